// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
)

// A server without ranges that breaks off a little later each time makes progress each time, and would send the square of the payload. One
// that spoils each chunk once would, too.
func TestNET_02_WasteIsBounded(t *testing.T) {
	const retries = 3
	for _, test := range []struct {
		name string
		body func(n int, q request, rest []byte) io.Reader
		want error
	}{
		{"ever later", func(n int, _ request, rest []byte) io.Reader {
			return broken(rest[:min(n*2*step, len(rest))], errCut)
		}, fetch.ErrTransport},
		{"spoils each chunk once", func(_ int, q request, rest []byte) io.Reader {
			if q.length == 0 {
				rest = bytes.Clone(rest)
				for at := 0; at < len(rest); at += step {
					rest[at] ^= 1
				}
			}
			return bytes.NewReader(rest)
		}, fetch.ErrDigest},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelease(t, noise(1, 256*step))
				src, sink := newServer(r), &recorder{}
				src.noRanges = true
				src.body = func(_ context.Context, n int, q request, rest []byte) io.Reader {
					if q.uri != uri {
						return nil
					}
					return test.body(n, q, rest)
				}
				st, err := newFetcher(t, fetch.Options{Source: src, Retries: retries}).Fetch(t.Context(), r.res, sink)
				if !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if most := (retries + 3) * r.res.Size; st.Fetched > most {
					t.Errorf("%d bytes fetched for %d, want at most %d", st.Fetched, r.res.Size, most)
				}
				sink.onlyVerified(t, r.data)
			})
		})
	}
}

// A source that finds out itself that bytes are wrong is asked three times in all, and what it says is the class of the error: it is no trouble of the
// connection.
func TestNET_06_SourceFindsWrongBytes(t *testing.T) {
	for _, times := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelease(t, noise(1, 9*step))
			src, sink := newServer(r), &recorder{}
			wrong, seen := fmt.Errorf("not the chunk: %w", fetch.ErrDigest), 0
			src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri || seen == times {
					return nil
				}
				seen++
				return broken(rest[:min(len(rest), 3*step-int(q.offset))], wrong)
			}
			_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, sink)
			if times < 3 {
				if err != nil {
					t.Fatalf("wrong %d times: %v", times, err)
				}
				sink.holds(t, r.data)
				return
			}
			if !errors.Is(err, fetch.ErrDigest) || errors.Is(err, fetch.ErrTransport) || seen != 3 {
				t.Errorf("asked %d times: %v", seen, err)
			}
		})
	}
}
