// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/fetch/delta"
)

func ExampleMake() {
	ctx := context.Background()
	old := bytes.Repeat([]byte("firmware 1.0, the first\n"), 5_000)
	image := append([]byte("a new header\n"), old...)

	var patch file // an io.WriterAt, such as an *os.File
	info, err := delta.Make(ctx, bytes.NewReader(old), bytes.NewReader(image), &patch, delta.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Size < 1000) // info.Digest and info.Size are published, signed

	p, err := delta.Open(bytes.NewReader(patch.data), info.Digest, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var slot medium // a fetch.Sink, such as an install.Writer
	err = p.Apply(ctx, bytes.NewReader(old), &slot, delta.ApplyOptions{})
	fmt.Println(err, bytes.Equal(slot.data, image))
	// Output:
	// true
	// <nil> true
}
