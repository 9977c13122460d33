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
	"time"

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

// What the medium lost of a download in pieces is in many places. A server that serves no ranges any more is read once over all of them.
func TestNET_02_GapsWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := wideRelease()
		src, sink, st := newServer(r), newScattered(), storage(t)
		src.body = func(ctx context.Context, _ int, q request, _ []byte) io.Reader {
			if q.uri == uri && q.offset == 0 {
				return silent{ctx} // the first piece never comes
			}
			return nil
		}
		o := fetch.Options{Source: src, Parallel: 2, Storage: st, Retries: 1}
		if _, err := newFetcher(t, o).Fetch(t.Context(), r.res, sink); !errors.Is(err, fetch.ErrStalled) {
			t.Fatalf("got %v, want ErrStalled", err)
		}
		next := sink.afterCut()
		for at := 0; at < broad; at += 2 * wide {
			next.medium[at] ^= 1
		}
		src.honest()
		src.noRanges = true
		stats, err := newFetcher(t, o).Fetch(t.Context(), r.res, next)
		if err != nil {
			t.Fatal(err)
		}
		next.holds(t)
		balanced(t, stats, broad)
		if stats.Fetched > 2*broad || stats.Kept < broad/3 {
			t.Errorf("payload of %d: %+v, want it fetched twice at most", broad, stats)
		}
	})
}

// Nor does a download go on for ever that begins anew in each window of a schedule and never gets to where it was.
func TestNET_02_WindowsWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, 256*step))
		src, sink := newServer(r), &recorder{}
		src.noRanges = true
		src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
			if q.uri != uri {
				return nil
			}
			return dripper(ctx, rest, step)
		}
		const retries = 2
		st, err := newFetcher(t, fetch.Options{Source: src, Retries: retries, Schedule: func(now time.Time) fetch.Window {
			if now.Minute()%2 == 1 {
				return fetch.Window{Until: now.Truncate(time.Minute).Add(time.Minute)}
			}
			return fetch.Window{Rate: -1}
		}}).Fetch(t.Context(), r.res, sink)
		if !errors.Is(err, fetch.ErrTransport) || st.Fetched > (retries+3)*r.res.Size {
			t.Errorf("got %v after %d bytes for %d, want to give up", err, st.Fetched, r.res.Size)
		}
		sink.onlyVerified(t, r.data)
	})
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

// A server that does not serve ranges sends its chunk digests a few times at most, not once up to each page.
func TestNET_02_PagesWithoutRanges(t *testing.T) {
	for leaves, most := range map[int]int64{20: 22, 150: 150 + 64 + 128 + 150 + 3} { // in pages; with 64 of them kept, 150 leaves take three passes
		r := newRelease(t, make([]byte, leaves*fetch.PageDigests*step))
		src := newServer(r)
		src.noRanges = true
		var sent int64
		src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
			if q.uri == uri {
				return nil
			}
			body := bytes.NewReader(rest)
			return readerFunc(func(p []byte) (int, error) {
				n, err := body.Read(p)
				sent += int64(n)
				return n, err
			})
		}
		st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &hole{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d leaves: %d pages sent", leaves, sent/fetch.PageSize)
		if sent != st.Pages || sent > most*fetch.PageSize {
			t.Errorf("%d leaves: %d pages sent, %d counted, want at most %d", leaves, sent/fetch.PageSize, st.Pages/fetch.PageSize, most)
		}
	}
}

// hole is a sink that keeps nothing.
type hole struct{ at int64 }

func (s *hole) Offset() int64 { return s.at }
func (s *hole) Sync() error   { return nil }
func (s *hole) Write(p []byte) (int, error) {
	s.at += int64(len(p))
	return len(p), nil
}

// A page that is wrong in what was read ahead is asked for again, and found if it is there.
func TestNET_02_WrongPageReadAhead(t *testing.T) {
	r := newRelease(t, make([]byte, 5*fetch.PageDigests*step))
	src := newServer(r)
	src.noRanges = true
	asked := 0
	src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
		if q.uri == uri {
			return nil
		}
		if asked++; asked != 2 {
			return nil
		}
		return bytes.NewReader(flip(rest, 3*fetch.PageSize+1))
	}
	if _, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &hole{}); err != nil || asked != 3 {
		t.Errorf("error %v after %d requests for pages, want 3: the first page, all, and the wrong one with what follows", err, asked)
	}
}
