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

// TestNET_06_TamperedPayload is the central promise: no byte of a chunk that is not what the author signed, and none
// after it, reaches the sink.
func TestNET_06_TamperedPayload(t *testing.T) {
	const chunks = 9
	r := newRelease(t, noise(4, chunks*step-100))
	swapped := bytes.Clone(r.data)
	copy(swapped[4*step:], r.data[5*step:6*step])
	copy(swapped[5*step:], r.data[4*step:5*step])
	replayed := bytes.Clone(r.data)
	copy(replayed[4*step:5*step], noise(9, step)) // the same place in another version
	for _, test := range []struct {
		name string
		data []byte
		bad  int64
	}{
		{"first byte", flip(r.data, 0), 0},
		{"last byte of the first chunk", flip(r.data, step-1), 0},
		{"middle", flip(r.data, 4*step+step/2), 4},
		{"last chunk", flip(r.data, 8*step+1), 8},
		{"last byte", flip(r.data, len(r.data)-1), 8},
		{"chunks swapped", swapped, 4},
		{"chunk of another version", replayed, 4},
	} {
		for _, resumed := range []int64{0, 1, 3} {
			if resumed > test.bad {
				continue
			}
			src := newServer(r)
			disk := storage(t)
			f := newFetcher(t, fetch.Options{Source: src, Storage: disk, CheckpointEvery: step})
			var sink recorder
			if resumed > 0 {
				ctx, cancel := context.WithCancel(t.Context())
				sink.beforeWrite = func() error {
					if sink.Offset() == (resumed-1)*step {
						cancel()
					}
					return nil
				}
				src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
					if q.uri != uri {
						return nil
					}
					return io.MultiReader(bytes.NewReader(rest[:resumed*step]), silent{ctx})
				}
				if _, err := f.Fetch(ctx, r.res, &sink); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				src.honest()
			}
			src.files[uri] = file{test.data, `"v1"`}
			again := sink.afterCut()
			st, err := f.Fetch(t.Context(), r.res, again)
			var bad *fetch.DigestError
			if !errors.As(err, &bad) || !errors.Is(err, fetch.ErrDigest) || bad.Part != "chunk" || bad.Number != test.bad {
				t.Fatalf("%s, resumed at chunk %d: %v, want chunk %d refused", test.name, resumed, err, test.bad)
			}
			if st.ResumedFrom != resumed*step {
				t.Errorf("%s: resumed from %d, want %d", test.name, st.ResumedFrom, resumed*step)
			}
			again.onlyVerified(t, r.data)
			if again.Offset() != test.bad*step {
				t.Errorf("%s: sink got %d bytes, want all chunks before the bad one", test.name, again.Offset())
			}
			if n := len(src.seen()); n != 3 {
				t.Errorf("%s: %d payload requests, want 1 and 2 for the bad chunk", test.name, n)
			}
			// The good chunks stay; with the right file only the rest is fetched.
			src.honest()
			src.files[uri] = file{r.data, `"v1"`}
			last := again.afterCut()
			st, err = f.Fetch(t.Context(), r.res, last)
			if err != nil || st.ResumedFrom != test.bad*step || st.Discarded != 0 {
				t.Fatalf("%s, repaired: %+v, %v", test.name, st, err)
			}
			last.holds(t, r.data)
		}
	}
}

func TestNET_06_OneFlippedBitCostsOneChunk(t *testing.T) {
	r := newRelease(t, noise(4, 9*step))
	for _, ranged := range []bool{true, false} {
		src := newServer(r)
		payloads := 0
		src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
			if q.uri == uri {
				if payloads++; payloads == 1 {
					return bytes.NewReader(flip(rest, 4*step))
				}
			}
			return nil
		}
		var source fetch.Source = src
		if !ranged {
			source = plain{src}
		}
		var sink recorder
		st, err := newFetcher(t, fetch.Options{Source: source}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		sink.onlyVerified(t, r.data)
		if st.Fetched != 10*step || st.Discarded != step || payloads != 2 {
			t.Errorf("%+v in %d requests, want one chunk twice", st, payloads)
		}
	}
}

// TestNET_06_SplicedChunk: half a chunk of one version and half of another is found by its digest.
func TestNET_06_SplicedChunk(t *testing.T) {
	r := newRelease(t, noise(4, 4*step))
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		payloads := 0
		src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
			if q.uri != uri {
				return nil
			}
			switch payloads++; payloads {
			case 1:
				return broken(append(bytes.Clone(r.data[:step]), noise(5, step/2)...), errCut)
			default:
				return nil
			}
		}
		var sink recorder
		st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		sink.onlyVerified(t, r.data)
		if st.Discarded != step {
			t.Errorf("%+v, want the spliced chunk thrown away", st)
		}
	})
}

func TestNET_06_TamperedPages(t *testing.T) {
	r := newRelease(t, noise(4, 300*step)) // root page and three leaf pages
	for n, at := range []int64{0, 0, 128, 256} {
		src := newServer(r)
		src.files[pagesURI] = file{flip(r.pages, n*fetch.PageSize+5), `"p1"`}
		var sink recorder
		_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
		var bad *fetch.DigestError
		if !errors.As(err, &bad) || bad.Part != "page" || bad.Number != int64(n) {
			t.Fatalf("page %d: %v", n, err)
		}
		sink.onlyVerified(t, r.data)
		if sink.Offset() != at*step {
			t.Errorf("page %d: sink got %d chunks, want %d", n, sink.Offset()/step, at)
		}
	}
	// A flip on the way is repaired by asking again.
	src := newServer(r)
	pages := 0
	src.body = func(_ context.Context, _ int, q request, rest []byte) io.Reader {
		if q.uri != uri {
			if pages++; pages%2 == 1 {
				return bytes.NewReader(flip(rest, 7))
			}
		}
		return nil
	}
	var sink recorder
	if st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink); err != nil || st.Pages != 2*int64(len(r.pages)) {
		t.Fatalf("%+v, %v", st, err)
	}
	sink.holds(t, r.data)
}

func TestPagesMissingOrOfWrongSize(t *testing.T) {
	r := newRelease(t, noise(4, 3*step))
	for _, test := range []struct {
		name  string
		pages []byte
		want  error
	}{
		{"missing", nil, fetch.ErrRefused},
		{"longer", append(bytes.Clone(r.pages), 0), fetch.ErrSize},
		{"empty", []byte{}, fetch.ErrSize},
	} {
		src := newServer(r)
		src.files[pagesURI] = file{test.pages, ""}
		if test.pages == nil {
			delete(src.files, pagesURI)
		}
		var sink recorder
		_, err := newFetcher(t, fetch.Options{Source: src, Retries: 1}).Fetch(t.Context(), r.res, &sink)
		if !errors.Is(err, test.want) || len(src.seen()) != 0 || len(sink.ever) != 0 {
			t.Errorf("%s: %v after %d payload requests, want %v before any", test.name, err, len(src.seen()), test.want)
		}
	}
}
