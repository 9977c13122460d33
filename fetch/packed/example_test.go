// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package packed_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"errors"
	"fmt"
	"testing/fstest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/filesource"
	"github.com/firmament-dev/firmament/fetch/packed"
	"github.com/firmament-dev/firmament/fetch/packed/gzip"
	"github.com/firmament-dev/firmament/verify"
)

func compress(p []byte) []byte {
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	w.Write(p)
	w.Close()
	return b.Bytes()
}

func ExampleUnpack() {
	image := bytes.Repeat([]byte("firmware"), 1000)
	var out bytes.Buffer
	err := packed.Unpack(&out, bytes.NewReader(compress(image)), int64(len(image)), gzip.Open)
	fmt.Println(out.Len(), err)

	// The signed size is the limit, whatever the payload would unpack to.
	out.Reset()
	err = packed.Unpack(&out, bytes.NewReader(compress(make([]byte, 10<<20))), 8000, gzip.Open)
	fmt.Println(out.Len() <= 8000, errors.Is(err, packed.ErrBomb))
	// Output:
	// 8000 <nil>
	// true true
}

// A compressed payload is fetched, verified and unpacked into a slot in one go.
func ExampleSink() {
	image := bytes.Repeat([]byte("firmware"), 1000)
	file := compress(image)
	// The author signs size, digest and chunk digests of the compressed file, so that nothing is unpacked that was not verified.
	pages, root, err := chunk.Build(bytes.NewReader(file), int64(len(file)), chunk.DefaultSize)
	if err != nil {
		fmt.Println(err)
		return
	}
	res := fetch.Resource{URI: "file:///media/usb/image.gz", Size: int64(len(file)), Digest: verify.Sum(verify.SHA256, file),
		Chunks: &fetch.Chunks{Root: root, Size: chunk.DefaultSize}}

	files := fstest.MapFS{"image.gz": {Data: file}, "image.gz.chunks": {Data: pages}}
	source, err := filesource.New(files, "file:///media/usb/")
	if err != nil {
		fmt.Println(err)
		return
	}

	var slot flat // a fetch.Sink, such as an install.Writer
	sink, err := packed.NewSink(&slot, int64(len(image)), gzip.Open)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close()
	fetcher, err := fetch.New(fetch.Options{Source: source})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = fetcher.Fetch(context.Background(), res, sink)
	fmt.Println(err, sink.Finish(), bytes.Equal(slot.data, image))
	// Output: <nil> <nil> true
}
