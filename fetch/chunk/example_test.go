// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
)

func ExampleBuild() {
	image := bytes.Repeat([]byte("firmware"), 10_000)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), 16<<10)
	if err != nil {
		fmt.Println(err)
		return
	}
	// The author signs root, the size and the chunk size, and publishes pages beside the image.
	fmt.Println(len(image), len(pages), root)

	image[50_000] ^= 1
	r, err := chunk.NewReader(bytes.NewReader(image), bytes.NewReader(pages), int64(len(image)), 16<<10, root)
	if err != nil {
		fmt.Println(err)
		return
	}
	err = r.Verify()
	var bad *fetch.DigestError
	if errors.As(err, &bad) {
		fmt.Println(errors.Is(err, fetch.ErrDigest), bad.Part, bad.Number)
	}
	// Output:
	// 80000 4096 sha256:d4f9b8183f992cbf1295566237128d72d1afa51c1b353369de6c5bdf4df2b25d
	// true chunk 3
}
