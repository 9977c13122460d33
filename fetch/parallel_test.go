// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// wide is a chunk size, and broad a payload size, at which several ranges are dealt out.
const (
	wide  = 256 << 10
	broad = 40<<20 + 77
)

var wideRelease = sync.OnceValue(func() release {
	data := noise(9, broad)
	pages, root, err := chunk.Build(bytes.NewReader(data), broad, wide)
	if err != nil {
		panic(err)
	}
	return release{data, pages, fetch.Resource{
		URI: uri, Size: broad, Digest: verify.Sum(verify.SHA256, data), Chunks: &fetch.Chunks{Root: root, Size: wide},
	}}
})

// scattered is a Scatterer in memory. It knows what was synced.
type scattered struct {
	medium, synced []byte
	there          []bool // by chunk
	offset         int64
	wrong          error
}

func newScattered() *scattered {
	return &scattered{medium: make([]byte, broad), synced: make([]byte, broad), there: make([]bool, broad/wide+1)}
}

func (s *scattered) Offset() int64             { return s.offset }
func (s *scattered) Write([]byte) (int, error) { return 0, errors.New("not in order") }
func (s *scattered) Sync() error               { copy(s.synced, s.medium); return nil }

func (s *scattered) WriteAt(p []byte, off int64) (int, error) {
	n := off / wide
	if s.there[n] || off < s.offset || off%wide != 0 || sha256.Sum256(p) != sha256.Sum256(wideRelease().data[off:off+int64(len(p))]) {
		s.wrong = fmt.Errorf("%d bytes at %d: again, or not in place, or not verified", len(p), off)
	}
	s.there[n] = true
	return copy(s.medium[off:], p), nil
}

func (s *scattered) Resume(offset int64) error {
	s.offset = offset
	return nil
}

func (s *scattered) ReadAt(p []byte, off int64) (int, error) { return copy(p, s.medium[off:]), nil }

// afterCut is what another process finds.
func (s *scattered) afterCut() *scattered {
	a := newScattered()
	copy(a.medium, s.synced)
	copy(a.synced, s.synced)
	return a
}

func (s *scattered) holds(t *testing.T) {
	t.Helper()
	if s.wrong != nil || !bytes.Equal(s.synced, wideRelease().data) || s.offset != broad {
		t.Errorf("stands at %d of %d; %v", s.offset, broad, s.wrong)
	}
}

// slowly makes a body that takes a second per chunk, so that ranges overlap in time.
func slowly(ctx context.Context, rest []byte) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if len(rest) == 0 {
			return 0, io.EOF
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		n := copy(p, rest)
		rest = rest[n:]
		return n, nil
	})
}

// Reading back what the checkpoint speaks of ends when the context is done.
func TestConfirmEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := wideRelease()
		src, sink, st := newServer(r), newScattered(), storage(t)
		src.body = func(ctx context.Context, _ int, q request, _ []byte) io.Reader {
			if q.uri == uri && q.offset == 0 {
				return silent{ctx} // so that what comes is not the beginning
			}
			return nil
		}
		o := fetch.Options{Source: src, Parallel: 2, Storage: st, Retries: 1}
		if _, err := newFetcher(t, o).Fetch(t.Context(), r.res, sink); !errors.Is(err, fetch.ErrStalled) {
			t.Fatalf("got %v, want ErrStalled", err)
		}
		src.honest()
		ctx, cancel := context.WithCancel(t.Context())
		next := &cancelling{sink.afterCut(), cancel, 0}
		if _, err := newFetcher(t, o).Fetch(ctx, r.res, next); !errors.Is(err, context.Canceled) || next.reads != 1 {
			t.Errorf("got %v after reading %d chunks back, want to end with the one at which the context was done", err, next.reads)
		}
	})
}

// cancelling ends the context as soon as it is read.
type cancelling struct {
	*scattered
	cancel context.CancelFunc
	reads  int
}

func (s *cancelling) ReadAt(p []byte, off int64) (int, error) {
	s.reads++
	s.cancel()
	return s.scattered.ReadAt(p, off)
}

func TestParallelRanges(t *testing.T) {
	for _, lanes := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			r := wideRelease()
			src, sink := newServer(r), newScattered()
			src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader { return slowly(ctx, rest) }
			var s fetch.Sink = sink
			if lanes == 1 {
				s = &recorder{}
			}
			start := time.Now()
			st, err := newFetcher(t, fetch.Options{Source: src, Parallel: lanes}).Fetch(t.Context(), r.res, s)
			if err != nil {
				t.Fatal(err)
			}
			balanced(t, st, broad)
			if st.Discarded != 0 {
				t.Errorf("%+v: bytes fetched twice", st)
			}
			took := time.Since(start)
			if lanes > 1 {
				sink.holds(t)
			}
			if most := time.Duration(broad/wide/lanes+40) * time.Second; took > most {
				t.Errorf("%d ranges took %v, want at most %v", lanes, took, most)
			}
			t.Logf("%d ranges: %v, %+v", lanes, took, st)
		})
	}
}

// A process is killed again and again. What is fetched twice for each kill is at most a chunk per range and an interval.
func TestM1_NET_01_ParallelKilled(t *testing.T) {
	const lanes, interval = 4, 4 << 20
	synctest.Test(t, func(t *testing.T) {
		r, store, sink := wideRelease(), storage(t), newScattered()
		total, kills := int64(0), 0
		for seconds := 7; ; seconds += 5 {
			src := newServer(r)
			src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader { return slowly(ctx, rest) }
			dead := false
			ctx, kill := context.WithTimeout(t.Context(), time.Duration(seconds%13+4)*time.Second)
			f := newFetcher(t, fetch.Options{Source: src, Storage: dying{store, &dead}, Parallel: lanes, CheckpointEvery: interval})
			st, err := f.Fetch(ctx, r.res, &killed{sink, ctx, &dead})
			kill()
			total += st.Fetched
			if err == nil {
				sink.holds(t)
				break
			}
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			kills++
			if twice := total - broad; twice > int64(kills)*(lanes*wide+interval) {
				t.Fatalf("%d bytes twice after %d kills", twice, kills)
			}
			if sink.wrong != nil {
				t.Fatal(sink.wrong)
			}
			sink = sink.afterCut()
		}
		if twice := total - broad; kills < 3 || twice > int64(kills)*(lanes*wide+interval) {
			t.Errorf("%d bytes twice in %d kills", twice, kills)
		}
		t.Logf("%d kills, %d bytes twice", kills, total-broad)
	})
}

// killed is a sink of a process that is dead once its context is done: it syncs no more.
type killed struct {
	*scattered
	ctx  context.Context
	dead *bool
}

func (k *killed) Sync() error {
	if k.ctx.Err() != nil {
		*k.dead = true
		return errDead
	}
	return k.scattered.Sync()
}

func TestNET_02_ParallelWithoutRanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := wideRelease()
		src, sink := newServer(r), newScattered()
		src.noRanges = true
		src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader { return slowly(ctx, rest) }
		st, err := newFetcher(t, fetch.Options{Source: src, Parallel: 4}).Fetch(t.Context(), r.res, sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t)
		balanced(t, st, broad)
		if st.Discarded > 0 || st.Restarts != 3 {
			t.Errorf("%+v, want the three other ranges given up before a byte, and one stream", st)
		}
	})
}

// One lane's range is poisoned: one chunk is asked for again. For good: the call ends, and what the others verified is kept.
func TestNET_06_ParallelFlip(t *testing.T) {
	const at = 17<<20 + 5
	for _, always := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := wideRelease()
			src, sink, store := newServer(r), newScattered(), storage(t)
			flips := 0
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri == uri && q.offset <= at && at < q.offset+int64(len(rest)) && (always || flips == 0) {
					flips++
					return bytes.NewReader(flip(rest, int(at-q.offset)))
				}
				return nil
			}
			st, err := newFetcher(t, fetch.Options{Source: src, Storage: store, Parallel: 4}).Fetch(t.Context(), r.res, sink)
			if always != errors.Is(err, fetch.ErrDigest) || !always && err != nil || sink.wrong != nil {
				t.Fatalf("always %v: %v, %v", always, err, sink.wrong)
			}
			if !always {
				sink.holds(t)
				if st.Discarded != wide {
					t.Errorf("%+v, want one chunk twice", st)
				}
				return
			}
			src.body = nil
			again := sink.afterCut()
			st, err = newFetcher(t, fetch.Options{Source: src, Storage: store, Parallel: 2}).Fetch(t.Context(), r.res, again)
			if err != nil || st.Kept < st.ResumedFrom || st.Kept == 0 {
				t.Fatalf("%+v, %v", st, err)
			}
			again.holds(t)
			balanced(t, st, broad)
		})
	}
}

// What does not fit together is one range at a time, never an error.
func TestParallelNeedsAllThree(t *testing.T) {
	r := newRelease(t, noise(1, 5*step))
	for name, o := range map[string]fetch.Options{"no range source": {Source: plain{newServer(r)}}, "no scatterer": {Source: newServer(r)}} {
		o.Parallel = 8
		var sink recorder
		if _, err := newFetcher(t, o).Fetch(t.Context(), r.res, &sink); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sink.holds(t, r.data)
	}
	for _, n := range []int{-1, 9} {
		if _, err := fetch.New(fetch.Options{Source: newServer(r), Parallel: n}); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("parallel %d: %v", n, err)
		}
	}
}

// What a checkpoint says of ranges behind the beginning is looked at: what the medium lost is fetched again, and nothing else. A sink that
// cannot be read has only a beginning.
func TestNET_16_ParallelLostRanges(t *testing.T) {
	for _, test := range []struct {
		name   string
		reads  bool
		lost   int // chunks
		refuse int // requests for pages that fail at first
	}{{"nothing lost", true, 0, 0}, {"two chunks lost", true, 2, 0}, {"and pages that break off", true, 2, 2}, {"cannot be read", false, 0, 0}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, store := wideRelease(), storage(t)
				src, first := newServer(r), newScattered()
				src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader { return slowly(ctx, rest) }
				o := fetch.Options{Source: src, Storage: store, Parallel: 4, CheckpointEvery: 4 << 20}
				ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
				defer stop()
				if _, err := newFetcher(t, o).Fetch(ctx, r.res, first); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				again := first.afterCut()
				lost, behind := 0, int64(0)
				for n := range again.there {
					at := n * wide
					if int64(at) < first.offset || !bytes.Equal(again.medium[at:min(at+wide, broad)], r.data[at:min(at+wide, broad)]) {
						continue
					}
					if behind += wide; lost < test.lost {
						again.medium[at+7] ^= 1
						lost++
					}
				}
				if lost != test.lost || behind < 4*wide {
					t.Fatalf("%d chunks behind the beginning", behind/wide)
				}
				o.Source, src = newServer(r), nil
				o.Source.(*server).open = func(n int, r request) error {
					if r.uri == pagesURI && n < test.refuse {
						return errCut
					}
					return nil
				}
				var sink fetch.Sink = again
				want := first.offset + behind - int64(lost)*wide
				if !test.reads {
					sink, want = blind{again}, first.offset
				}
				st, err := newFetcher(t, o).Fetch(t.Context(), r.res, sink)
				if err != nil || st.Kept != want {
					t.Errorf("kept %d of %d and %d, want %d; %v", st.Kept, first.offset, behind, want, err)
				}
				again.holds(t)
				balanced(t, st, broad)
			})
		})
	}
}

// blind is a Scatterer that cannot be read.
type blind struct{ s *scattered }

func (b blind) Offset() int64                            { return b.s.Offset() }
func (b blind) Write(p []byte) (int, error)              { return b.s.Write(p) }
func (b blind) WriteAt(p []byte, off int64) (int, error) { return b.s.WriteAt(p, off) }
func (b blind) Sync() error                              { return b.s.Sync() }
func (b blind) Resume(offset int64) error                { return b.s.Resume(offset) }

// A checkpoint of ranges behind a beginning that never came says nothing of a new medium.
func TestNET_01_ParallelNewMedium(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, late := wideRelease(), storage(t), errors.New("cut")
		src := newServer(r)
		src.body = func(ctx context.Context, _ int, req request, rest []byte) io.Reader {
			if req.uri == uri && req.offset == 0 {
				return readerFunc(func([]byte) (int, error) { time.Sleep(20 * time.Second); return 0, late })
			}
			return slowly(ctx, rest)
		}
		o := fetch.Options{Source: src, Storage: store, Parallel: 4, CheckpointEvery: 4 << 20, Retries: 1}
		if _, err := newFetcher(t, o).Fetch(t.Context(), r.res, newScattered()); !errors.Is(err, late) {
			t.Fatal(err)
		}
		sink := newScattered()
		o.Source = newServer(r)
		if _, err := newFetcher(t, o).Fetch(t.Context(), r.res, sink); err != nil {
			t.Fatal(err)
		}
		sink.holds(t)
	})
}
