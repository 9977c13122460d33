// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package httpsource_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/fetchtest"
	"github.com/firmament-dev/firmament/fetch/httpsource"
)

// scattered is a medium that takes chunks in any order.
type scattered struct{ medium }

func (s *scattered) WriteAt(p []byte, at int64) (int, error) {
	if missing := int(at) + len(p) - len(s.data); missing > 0 {
		s.data = append(s.data, make([]byte, missing)...)
	}
	return copy(s.data[at:], p), nil
}

// A way is one of the ways to fetch the image.
type way struct {
	name            string
	chunks          bool // the author's chunk digests
	parallel        int
	reuse           bool // an index, and a seed with every other chunk
	http2, pageFile bool // the trick is played over HTTP/2, or on the page file
}

var ways = []way{
	{name: "whole"}, {name: "chunks", chunks: true}, {name: "chunks, HTTP/2", chunks: true, http2: true}, {name: "parallel", chunks: true, parallel: 2},
	{name: "page file", chunks: true, pageFile: true}, {name: "reuse", reuse: true}, {name: "reuse and chunks", chunks: true, reuse: true},
}

// Whatever the first of two places always answers, the second one is asked, soon, and the file comes. Without chunk digests wrong bytes are found out when
// all have come; then the next call asks the second place.
func TestNET_13_FirstMirrorPlaysTricks(t *testing.T) {
	for _, r := range tricks() {
		for _, w := range ways {
			if w.http2 && (r.http1 || r.threat == "NET-05") {
				continue
			}
			t.Run(r.threat+" "+r.name+"/"+w.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { firstMirror(t, r, w) })
			})
		}
	}
}

func firstMirror(t *testing.T, r row, w way) {
	img := theImage()
	server := fetchtest.NewServer()
	for _, place := range []string{"", "/two"} {
		server.Put(place+path, img.data)
		server.Put(place+pages, img.pages)
	}
	bad := path
	if w.pageFile {
		bad = pages
	}
	server.Always(bad, r.trick)
	client, base := server.Client(t), host
	if w.http2 {
		client, base = server.ClientHTTP2(t), "http://fw.example"
	}
	client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
	mirrors, err := fetch.NewMirrors(httpsource.New(client), base+"/", base+"/two/")
	if err != nil {
		t.Fatal(err)
	}
	o := fetch.Options{Source: fetch.NewMeter(fetch.Options{Source: mirrors}), Parallel: w.parallel}
	res := fetch.Resource{URI: base + path, Size: size, Digest: img.digest}
	if w.chunks {
		res.Chunks = &fetch.Chunks{Root: img.root, Size: step}
	}
	if w.reuse {
		o.Source = reuse(t, o.Source, res.URI, img.data)
	}
	sink := &scattered{}
	fetcher, err := fetch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = fetcher.Fetch(t.Context(), res, sink)
	if !w.chunks && errors.Is(err, fetch.ErrDigest) {
		sink = &scattered{}
		_, err = fetcher.Fetch(t.Context(), res, sink)
	}
	if err != nil || !bytes.Equal(sink.data, img.data) {
		t.Errorf("%v", err)
	}
	asked := len(server.Requests(bad))
	if took := time.Since(start); took > 2*time.Minute || asked > 15 { // redirects, and the runs of missing chunks, count
		t.Errorf("the first place was asked %d times, and all took %v", asked, took)
	}
}

// reuse is a source with an index of the image, and a seed that has every other chunk of it.
func reuse(t *testing.T, origin fetch.Source, uri string, data []byte) *chunk.Reuse {
	t.Helper()
	index, err := chunk.BuildIndex(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(data)
	for n := 0; n < index.Chunks(); n += 2 {
		at, _, _ := index.Chunk(n)
		old[at] ^= 1
	}
	return chunk.NewReuse(origin, uri, index, chunk.Seed{Image: bytes.NewReader(old), Index: index})
}

// With an index and a seed, a single server that plays a trick for ever costs no more, and is given up no later, than without: what will not change at
// once, and wrong ranges never cost the payload for each run of missing chunks.
func TestM1_TricksWithReuse(t *testing.T) {
	for _, r := range tricks() {
		t.Run(r.threat+" "+r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				img := theImage()
				server := fetchtest.NewServer()
				server.Put(path, img.data)
				server.Always(path, r.trick)
				client := server.Client(t)
				client.Transport.(*http.Transport).MaxResponseHeaderBytes = 64 << 10
				source := reuse(t, fetch.NewMeter(fetch.Options{Source: httpsource.New(client)}), host+path, img.data)
				retries := 0
				fetcher, err := fetch.New(fetch.Options{Source: source, OnRetry: func(fetch.Retry) { retries++ }})
				if err != nil {
					t.Fatal(err)
				}
				sink, start := &medium{}, time.Now()
				_, err = fetcher.Fetch(t.Context(), fetch.Resource{URI: host + path, Size: size, Digest: img.digest}, sink)
				took, sent := time.Since(start), server.Sent(path)
				judge(t, cell{}, err, errAny, sink, img.data)
				t.Logf("%v in %v after %d retries, %d requests, %d bytes", err, took, retries, len(server.Requests(path)), sent)
				if most := int64(2*size + 300_000); sent > most {
					t.Errorf("%d bytes left the server for a file of %d, want at most %d", sent, size, most)
				}
				if most := time.Duration(retries+1) * (2*time.Minute + r.waits); took > most || lasting(err) && retries > 5 {
					t.Errorf("took %v after %d retries for %v", took, retries, err)
				}
				if errors.Is(err, fetch.ErrRange) && !errors.Is(r.want(cell{when: fresh, always: true}), fetch.ErrRange) {
					t.Errorf("%v, though the whole can be had", err)
				}
			})
		})
	}
}
