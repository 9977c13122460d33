// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/verify"
)

// The author's side builds the page file; the device fetches the image chunk by chunk, and stops at the first that was tampered with.
func Example() {
	image := bytes.Repeat([]byte("firmware"), 10_000)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), 16<<10)
	if err != nil {
		fmt.Println(err)
		return
	}
	// In practice all of this comes out of a verified manifest.
	resource := fetch.Resource{
		Size:   int64(len(image)),
		Digest: verify.Sum(verify.SHA256, image),
		Chunks: &fetch.Chunks{Root: root, Size: 16 << 10},
	}

	// Any web server will do. This one has been broken into.
	image[50_000] ^= 1
	files := http.NewServeMux()
	files.HandleFunc("/image.bin", func(w http.ResponseWriter, r *http.Request) { w.Write(image) })
	files.HandleFunc("/image.bin.chunks", func(w http.ResponseWriter, r *http.Request) { w.Write(pages) })
	server := httptest.NewServer(files)
	defer server.Close()
	resource.URI = server.URL + "/image.bin"

	fetcher, err := fetch.New(fetch.Options{Source: httpsource.New(nil)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sink medium
	_, err = fetcher.Fetch(context.Background(), resource, &sink)
	var bad *fetch.DigestError
	if errors.As(err, &bad) {
		fmt.Println(errors.Is(err, fetch.ErrDigest), bad.Part, bad.Number)
	}
	fmt.Println(sink.Offset(), "verified bytes in the sink")
	// Output:
	// true chunk 3
	// 49152 verified bytes in the sink
}
