// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
)

func TestWholePayloadIntoStaging(t *testing.T) {
	data := noise(10, 3*fetch.DefaultChunkSize+11)
	r := newRelease(t, data)
	r.res.Chunks = nil
	for _, test := range []struct {
		name      string
		validator string
		next      file
		cut       bool
		restarts  int
		fetched   int64
		want      error
	}{
		{"unbroken", `"v1"`, file{}, false, 0, r.res.Size, nil},
		{"cut, same version", `"v1"`, file{data, `"v1"`}, true, 0, r.res.Size, nil},
		{"cut, new tag", `"v1"`, file{data, `"v2"`}, true, 1, r.res.Size + 300000, nil},
		{"cut, no tag", "", file{data, ""}, true, 0, r.res.Size + 300000, nil},
		{"cut, other bytes under a new tag", `"v1"`, file{noise(11, len(data)), `"v2"`}, true, 1, r.res.Size + 300000, fetch.ErrDigest},
		{"cut, other bytes under the same tag", `"v1"`, file{noise(11, len(data)), `"v1"`}, true, 0, r.res.Size, fetch.ErrDigest},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := newServer(r)
			src.files[uri] = file{data, test.validator}
			src.body = func(_ context.Context, n int, _ request, rest []byte) io.Reader {
				if n == 0 && test.cut {
					src.files[uri] = test.next
					return broken(rest[:300000], errCut)
				}
				return nil
			}
			sink := recorder{staging: true}
			st, err := newFetcher(t, fetch.Options{Source: src, Storage: storage(t)}).Fetch(t.Context(), r.res, &sink)
			if !errors.Is(err, test.want) || st.Restarts != test.restarts || st.Fetched != test.fetched {
				t.Fatalf("%s: %+v, %v", test.name, st, err)
			}
			if test.want == nil {
				sink.holds(t, data)
				balanced(t, st, r.res.Size)
			} else if bytes.Equal(sink.medium, data) {
				t.Errorf("%s: digest error for the right bytes", test.name)
			}
		})
	}
}

func TestWholePayloadTampered(t *testing.T) {
	data := noise(10, 2*fetch.DefaultChunkSize)
	r := newRelease(t, data)
	r.res.Chunks = nil
	for _, i := range []int{0, len(data) / 2, len(data) - 1} {
		src := newServer(r)
		src.files[uri] = file{flip(data, i), `"v1"`}
		_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &recorder{staging: true})
		var bad *fetch.DigestError
		if !errors.As(err, &bad) || bad.Part != "payload" || bad.Want != r.res.Digest {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// TestWholePayloadRestartsAreBounded: a server without validators that breaks in the middle every time cannot keep a
// device busy for ever.
func TestWholePayloadRestartsAreBounded(t *testing.T) {
	data := noise(10, 4*fetch.DefaultChunkSize)
	r := newRelease(t, data)
	r.res.Chunks = nil
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		src.files[uri] = file{data, ""}
		src.body = func(_ context.Context, _ int, _ request, rest []byte) io.Reader {
			return broken(rest[:len(rest)/2], errCut)
		}
		_, err := newFetcher(t, fetch.Options{Source: src, Retries: 5}).Fetch(t.Context(), r.res, &recorder{staging: true})
		if !errors.Is(err, fetch.ErrTransport) || len(src.requests) != 6 {
			t.Errorf("%v after %d requests", err, len(src.requests))
		}
	})
}
