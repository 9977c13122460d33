// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// cutAt makes the first connection for the payload break after n bytes.
func cutAt(src *server, n int) {
	first := true
	src.body = func(_ context.Context, _ int, r request, rest []byte) io.Reader {
		if r.uri != uri || !first {
			return nil
		}
		first = false
		return broken(rest[:n], errCut)
	}
}

// cuts returns every offset of a small payload: all around the chunk edges, and a stride between them.
func cuts(size, stride int) (offsets []int) {
	for n := range size {
		if edge := n % step; n%stride == 0 || edge < 2 || edge > step-2 {
			offsets = append(offsets, n)
		}
	}
	return offsets
}

func TestNET_01_ConnectionCutAtEveryOffset(t *testing.T) {
	r := newRelease(t, noise(2, step+777))
	stride := 1
	if testing.Short() {
		stride = 61
	}
	synctest.Test(t, func(t *testing.T) {
		for _, n := range cuts(len(r.data), stride) {
			src := newServer(r)
			cutAt(src, n)
			var sink recorder
			st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
			if err != nil {
				t.Fatalf("cut at %d: %v", n, err)
			}
			sink.holds(t, r.data)
			if st.Fetched != r.res.Size || st.Discarded != 0 {
				t.Fatalf("cut at %d: %+v, want not one byte twice", n, st)
			}
			want := []request{{uri: uri}, {uri: uri, offset: int64(n), validator: `"v1"`}}
			if n == 0 {
				want[1].validator = "" // nothing to be of the same version as
			}
			if got := src.seen(); !slices.Equal(got, want) {
				t.Fatalf("cut at %d: requests %+v, want %+v", n, got, want)
			}
		}
	})
}

// errDead is what everything says once the process is dead.
var errDead = errors.New("process is dead")

// dying fails every operation on the storage once dead.
type dying struct {
	simfs.FS
	dead *bool
}

func (d dying) OpenFile(name string, flag int) (simfs.File, error) {
	if *d.dead {
		return nil, errDead
	}
	f, err := d.FS.OpenFile(name, flag)
	return dyingFile{f, d.dead}, err
}

type dyingFile struct {
	simfs.File
	dead *bool
}

func (f dyingFile) WriteAt(p []byte, off int64) (int, error) {
	if *f.dead {
		return 0, errDead
	}
	return f.File.WriteAt(p, off)
}

func TestNET_01_ProcessKilledAtManyOffsets(t *testing.T) {
	const interval = 2 * step
	r := newRelease(t, noise(2, 7*step+77))
	disk := storage(t)
	for _, n := range cuts(len(r.data), 6007) {
		dead := false
		src := newServer(r)
		f := newFetcher(t, fetch.Options{Source: src, Storage: dying{disk, &dead}, CheckpointEvery: interval})
		if err := f.Forget(r.res); err != nil {
			t.Fatal(err)
		}
		var sink recorder
		sink.beforeSync = func() error {
			if dead {
				return errDead
			}
			return nil
		}
		ctx, kill := context.WithCancel(t.Context())
		src.body = func(_ context.Context, _ int, r request, rest []byte) io.Reader {
			if r.uri != uri {
				return nil
			}
			return io.MultiReader(bytes.NewReader(rest[:n]), readerFunc(func([]byte) (int, error) {
				dead = true
				kill()
				return 0, errCut
			}))
		}
		first, err := f.Fetch(ctx, r.res, &sink)
		if err == nil {
			t.Fatalf("killed at %d: no error", n)
		}
		src.honest()
		dead = false
		again := sink.afterCut()
		f = newFetcher(t, fetch.Options{Source: src, Storage: disk, CheckpointEvery: interval})
		second, err := f.Fetch(t.Context(), r.res, again)
		if err != nil {
			t.Fatalf("killed at %d: %v", n, err)
		}
		again.holds(t, r.data)
		balanced(t, second, r.res.Size)
		if twice := first.Fetched + second.Fetched - r.res.Size; twice > step+interval {
			t.Fatalf("killed at %d: %d bytes fetched twice, want at most a chunk and an interval", n, twice)
		}
		if second.ResumedFrom > 0 && src.seen()[0].validator != `"v1"` {
			t.Fatalf("killed at %d: resumed without the validator: %+v", n, src.seen()[0])
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestNET_02_RangesIgnored(t *testing.T) {
	r := newRelease(t, noise(2, 5*step+1))
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		cutAt(src, 3*step+5)
		src.noRanges = true
		var sink recorder
		st, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		sink.onlyVerified(t, r.data)
		balanced(t, st, r.res.Size)
		if st.Restarts != 1 || st.Discarded != 3*step+5 {
			t.Errorf("stats %+v, want one restart and what came before read again", st)
		}
	})
}

func TestNET_02_BodyBeginsElsewhere(t *testing.T) {
	r := newRelease(t, noise(2, 5*step))
	synctest.Test(t, func(t *testing.T) {
		src := newServer(r)
		cutAt(src, 2*step)
		f := newFetcher(t, fetch.Options{Source: shifting{src}})
		var sink recorder
		st, err := f.Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		sink.onlyVerified(t, r.data)
		if st.Restarts != 1 {
			t.Errorf("stats %+v, want a restart at zero", st)
		}
	})
}

// shifting answers a range with the one that begins a byte later.
type shifting struct{ s *server }

func (s shifting) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	if offset > 0 {
		offset++
	}
	return s.s.Open(ctx, uri, offset, validator)
}

func TestNET_02_ContentChangesMidway(t *testing.T) {
	r := newRelease(t, noise(2, 8*step))
	other := noise(3, 8*step)
	for _, test := range []struct {
		name     string
		next     file
		noRanges bool
		want     error
	}{
		{"same bytes, new tag", file{r.data, `"v2"`}, false, nil},
		{"same bytes, no tag", file{r.data, ""}, false, nil},
		{"other bytes, new tag", file{other, `"v2"`}, false, fetch.ErrDigest},
		{"other bytes, same tag", file{other, `"v1"`}, false, fetch.ErrDigest},
		{"other bytes, no ranges", file{other, `"v2"`}, true, fetch.ErrDigest},
		{"other size", file{other[:7*step], `"v2"`}, false, fetch.ErrSize},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newServer(r)
				cutAt(src, 3*step+9)
				payloads := 0
				src.open = func(_ int, q request) error {
					if q.uri == uri {
						if payloads++; payloads == 2 {
							src.files[uri] = test.next
							src.noRanges = test.noRanges
						}
					}
					return nil
				}
				var sink recorder
				_, err := newFetcher(t, fetch.Options{Source: src}).Fetch(t.Context(), r.res, &sink)
				if !errors.Is(err, test.want) {
					t.Fatalf("got %v, want %v", err, test.want)
				}
				sink.onlyVerified(t, r.data)
				if test.want == nil {
					sink.holds(t, r.data)
				} else if sink.Offset() != 3*step {
					t.Errorf("sink stands at %d, want the verified %d", sink.Offset(), 3*step)
				}
				for i, q := range src.seen()[1:] {
					if q.offset > 0 && q.validator == "" && test.next.validator != "" {
						t.Errorf("resumed request %d without a validator: %+v", i+1, q)
					}
				}
			})
		})
	}
}
