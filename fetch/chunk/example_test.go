// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

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

// An image is made of the one that is there, and what that lacks.
func ExampleReuse() {
	old := random(1, 1<<20)
	image := append([]byte("a new header\n"), old...)
	index, err := chunk.BuildIndex(bytes.NewReader(image)) // published beside the image
	if err != nil {
		fmt.Println(err)
		return
	}

	running, err := chunk.BuildIndex(bytes.NewReader(old)) // on the device
	if err != nil {
		fmt.Println(err)
		return
	}
	const uri = "x:image"
	network := &origin{files: map[string][]byte{uri: image}} // such as an httpsource.Source
	reuse := chunk.NewReuse(network, uri, index, chunk.Seed{Image: bytes.NewReader(old), Index: running})
	s, err := reuse.Open(context.Background(), uri, 0, "") // fetch.Options.Source takes reuse, and verifies
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Body.Close()
	got, err := io.ReadAll(s.Body)
	fmt.Println(err, bytes.Equal(got, image), reuse.Stats().Fetched < 100_000)
	// Output: <nil> true true
}

func ExampleWriteStore() {
	image := bytes.Repeat([]byte("firmware"), 10_000)
	index, err := chunk.BuildIndex(bytes.NewReader(image))
	if err != nil {
		fmt.Println(err)
		return
	}
	store := map[string][]byte{} // files, by their paths
	err = chunk.WriteStore(index, bytes.NewReader(image), nil, func(name string, packed []byte) error {
		store[name] = bytes.Clone(packed)
		return nil
	})
	fmt.Println(index.Chunks(), len(store), err)
	// Output: 2 2 <nil>
}
