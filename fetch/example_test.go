// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// signed is an image, its page file, and what a verified manifest says about it.
func signed() (image, pages []byte, res fetch.Resource) {
	image = bytes.Repeat([]byte("firmware"), 40_000)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), fetch.MinChunkSize)
	if err != nil {
		panic(err)
	}
	return image, pages, fetch.Resource{
		URI: "https://fw.example/image.bin", Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image),
		Chunks: &fetch.Chunks{Root: root, Size: fetch.MinChunkSize},
	}
}

// A download goes on at the last verified chunk: after a broken connection by itself, after a power cut in the next call.
func ExampleFetcher() {
	image, pages, resource := signed()
	source := &server{files: map[string]file{ // usually httpsource.New(nil)
		"https://fw.example/image.bin":        {image, `"1"`},
		"https://fw.example/image.bin.chunks": {pages, ""},
	}}
	source.body = func(_ context.Context, n int, _ request, rest []byte) io.Reader {
		if n != 1 {
			return nil
		}
		return broken(rest[:100_000], io.ErrUnexpectedEOF) // the first connection for the image
	}
	fetcher, err := fetch.New(fetch.Options{
		Source:  source,
		Storage: simfs.NewSim(simfs.Options{}).FS(), // a directory, by install.OpenDir: where the checkpoint is
		OnRetry: func(r fetch.Retry) { fmt.Println("trying again:", r.Err) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var slot recorder // such as an install.Writer
	stats, err := fetcher.Fetch(context.Background(), resource, &slot)
	fmt.Println(err, bytes.Equal(slot.medium, image))
	fmt.Println(stats.Fetched, "bytes in", stats.Requests, "requests,", stats.Discarded, "of them twice")
	// Output:
	// trying again: fetch: transport failed: unexpected EOF
	// <nil> true
	// 320000 bytes in 3 requests, 0 of them twice
}

// Of two places the one that serves wrong bytes is left.
func ExampleMirrors() {
	image, pages, resource := signed()
	wrong := bytes.Clone(image)
	wrong[50_000] ^= 1
	source := &server{files: map[string]file{ // usually httpsource.New(nil)
		"https://fw.example/image.bin":              {wrong, ""},
		"https://fw.example/image.bin.chunks":       {pages, ""},
		"https://mirror.example/a/image.bin":        {image, ""},
		"https://mirror.example/a/image.bin.chunks": {pages, ""},
	}}
	mirrors, err := fetch.NewMirrors(source, "https://fw.example/", "https://mirror.example/a/")
	if err != nil {
		fmt.Println(err)
		return
	}
	fetcher, err := fetch.New(fetch.Options{Source: mirrors})
	if err != nil {
		fmt.Println(err)
		return
	}
	var slot recorder // such as an install.Writer
	stats, err := fetcher.Fetch(context.Background(), resource, &slot)
	fmt.Println(err, bytes.Equal(slot.medium, image), stats.Discarded)
	// Output: <nil> true 16384
}

// What comes over the network is counted and limited apart from what a seed gives.
func ExampleMeter() {
	image, pages, resource := signed()
	source := &server{files: map[string]file{ // usually httpsource.New(nil)
		"https://fw.example/image.bin":        {image, ""},
		"https://fw.example/image.bin.chunks": {pages, ""},
	}}
	index, err := chunk.BuildIndex(bytes.NewReader(image)) // published beside the image
	if err != nil {
		fmt.Println(err)
		return
	}
	running := chunk.Seed{Image: bytes.NewReader(image), Index: index} // here the very same
	network := fetch.NewMeter(fetch.Options{Source: source, MaxRate: 1 << 20, MaxBytes: 100_000})
	fetcher, err := fetch.New(fetch.Options{Source: chunk.NewReuse(network, resource.URI, index, running)})
	if err != nil {
		fmt.Println(err)
		return
	}
	var slot recorder // such as an install.Writer
	_, err = fetcher.Fetch(context.Background(), resource, &slot)
	fmt.Println(err, bytes.Equal(slot.medium, image), network.Bytes(), network.Left())
	// Output: <nil> true 4096 95904
}

func ExampleRemote_Get() {
	// Usually httpsource.New(nil).
	source := &server{files: map[string]file{
		"https://repo.example/metadata/timestamp.json": {[]byte(`{"signed":{}}`), ""},
	}}
	remote, err := fetch.NewRemote(fetch.Options{Source: source}, "https://repo.example/metadata")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := remote.Get(context.Background(), "timestamp.json", 16<<10)
	fmt.Println(string(data), err)
	_, err = remote.Get(context.Background(), "2.root.json", 16<<10)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// {"signed":{}} <nil>
	// true
}
