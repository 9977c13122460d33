// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/plan"
)

// A way that does not fit in the budget is not begun: a delta that failed does not become a whole image.
//
// covers: NET-12
func TestNET_12_Budget(t *testing.T) {
	w := newWorld(t)
	patch := int64(len(w.files["payloads/patch"]))
	budget := patch + int64(len(w.files["payloads/new.chunks"]))

	t.Run("enough for the delta", func(t *testing.T) {
		w := newWorld(t)
		w.maxBytes = budget
		s, err := w.fetch()
		must(t, err)
		if w.check(true); s.Network != budget {
			t.Errorf("took %d bytes of %d", s.Network, budget)
		}
	})
	t.Run("a byte too little", func(t *testing.T) {
		w := newWorld(t)
		w.maxBytes = budget - 1
		s, err := w.fetch()
		var over *plan.BudgetError
		if !errors.As(err, &over) || !errors.Is(err, fetch.ErrBudget) || over.Way != fetch.WayDelta || over.Needed != budget || over.Left != budget-1 {
			t.Errorf("got %v, want a budget error that names %d of %d", err, budget, budget-1)
		}
		if s.Network > 0 || len(w.source.asked) > 0 {
			t.Errorf("took %d bytes for %q", s.Network, w.source.asked)
		}
	})
	t.Run("the patch is bad", func(t *testing.T) {
		w := newWorld(t)
		budget := budget + 100
		w.maxBytes = budget
		w.offerPatch(wrongBytes(t, w.old, w.image))
		w.offer().Index = nil
		s, err := w.fetch()
		var over *plan.BudgetError
		if !errors.As(err, &over) || over.Way != fetch.WayFull || over.Needed <= over.Left {
			t.Errorf("got %v, want a budget error for the whole payload", err)
		}
		wantFallback(t, s, fetch.WayDelta, fetch.ErrDigest)
		if slices.Contains(w.source.asked, "payloads/new") || s.Network > budget {
			t.Errorf("took %d bytes for %q", s.Network, firstUses(w.source.asked))
		}
		w.check(false)

		// On a connection that costs nothing, the next call goes on at the last verified byte.
		w.maxBytes = 0
		kept := w.sink.Offset()
		s, err = w.fetch()
		must(t, err)
		if w.check(true); s.Kept != kept || kept == 0 {
			t.Errorf("kept %d bytes of %d", s.Kept, kept)
		}
	})
	t.Run("the index tells that too much is missing", func(t *testing.T) {
		w := newWorld(t)
		w.offer().Deltas = nil
		w.running = noise(77, len(w.old))
		copy(w.running[3*step:], w.old[3*step:10*step]) // seven chunks' worth
		w.maxBytes = w.res.Size - 5*step
		s, err := w.fetch()
		if !errors.Is(err, fetch.ErrBudget) || s.Network > w.offer().Index.Size {
			t.Errorf("got %v after %d bytes, want %v after the index", err, s.Network, fetch.ErrBudget)
		}
		wantFallback(t, s, fetch.WayChunks, fetch.ErrBudget)
	})
	t.Run("a server that damages the patch on the way", func(t *testing.T) {
		w := newWorld(t)
		w.maxBytes = budget + 100
		w.source.body = flipAlways(patch / 2)
		s, err := w.fetch()
		if s.Network != w.maxBytes || !errors.Is(err, fetch.ErrBudget) {
			t.Errorf("took %d bytes of %d, %v; want all of them, and %v", s.Network, w.maxBytes, err, fetch.ErrBudget)
		}
		w.check(false)
	})
}

type errorReader struct{ error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.error }

// When nothing answers, the delta stays the way: the next call goes on with it.
func TestDown(t *testing.T) {
	w := newWorld(t)
	w.storage = store()
	w.source.body = func(uri string, _ int64, rest []byte) io.Reader {
		if uri != "payloads/patch" {
			return nil
		}
		w.source.trouble = func(string) error { return errDown } // from now on
		return io.MultiReader(bytes.NewReader(rest[:len(rest)*2/3]), errorReader{errDown})
	}
	s, err := w.fetch()
	if !errors.Is(err, fetch.ErrTransport) || len(s.Fallbacks) > 0 {
		t.Fatalf("%v, fallbacks %v", err, s.Fallbacks)
	}
	w.check(false)
	first := s.Network
	w.source.trouble, w.source.body = nil, nil
	w.sink = w.sink.restart()
	s, err = w.fetch()
	must(t, err)
	w.check(true)
	again := first + s.Network - int64(len(w.files["payloads/patch"])+2*len(w.files["payloads/new.chunks"]))
	// A frame and a checkpoint interval, of what is mostly insertions, and the header and table.
	if s.Way != fetch.WayDelta || s.ResumedFrom == 0 || again > 3*64<<10 {
		t.Errorf("by %v from %d on, %d bytes a second time", s.Way, s.ResumedFrom, again)
	}
}

// Wherever the connection is cut for good, and by whatever way, the next process has everything right, and takes a bounded number of bytes again: of a packed payload, too, not
// the beginning.
//
// covers: NET-01
func TestNET_01_CutAnywhere(t *testing.T) {
	for _, way := range []fetch.Way{fetch.WayDelta, fetch.WayChunks, fetch.WayPacked} {
		t.Run(way.String(), func(t *testing.T) {
			begin, index := newWorld, newWorld(t).offer().Index.Size
			if way == fetch.WayPacked {
				begin, index = newPackedWorld, 0
			}
			whole := begin(t)
			if way == fetch.WayChunks {
				whole.offer().Deltas = nil
			}
			s, err := whole.fetch()
			must(t, err)
			total := s.Network
			for cut := int64(1); cut < total; cut += total / 23 {
				w := begin(t)
				w.offers, w.storage = whole.offers, store()
				w.source.body = func(_ string, _ int64, rest []byte) io.Reader {
					left := cut - w.source.sent
					if left < int64(len(rest)) {
						w.source.trouble = func(string) error { return errDown }
						return io.MultiReader(bytes.NewReader(rest[:max(left, 0)]), errorReader{errDown})
					}
					return nil
				}
				first, err := w.fetch()
				if !errors.Is(err, fetch.ErrTransport) {
					t.Fatalf("cut at %d: %v", cut, err)
				}
				w.check(false)
				w.source.trouble, w.source.body = nil, nil
				w.sink = w.sink.restart()
				s, err := w.fetch()
				if err != nil || s.Way != way && s.Way != fetch.WayFull { // in the end the rest of the payload is the cheapest
					t.Fatalf("cut at %d: by %v, %v", cut, s.Way, err)
				}
				w.check(true)
				// What is small is taken again; of the payload, a frame, or a chunk and the range it lay in, and a checkpoint interval.
				small := int64(len(w.files["payloads/new.chunks"])) + index + 128 + 27*68
				if again := first.Network + s.Network - total; again > small+64<<10+3*step {
					t.Errorf("cut at %d of %d: %d bytes a second time", cut, total, again)
				}
			}
		})
	}
}

// MaxRate and Schedule hold for what comes over the network, not for what is made of it.
func TestRate(t *testing.T) {
	const rate = 10_000
	for _, c := range []struct {
		name  string
		set   func(o *fetch.Options)
		after time.Duration // before the first byte
	}{
		{"rate", func(o *fetch.Options) { o.MaxRate = rate }, 0},
		{"schedule", func(o *fetch.Options) {
			open := time.Now().Add(time.Hour)
			o.Schedule = func(now time.Time) fetch.Window {
				if now.Before(open) {
					return fetch.Window{Until: open}
				}
				return fetch.Window{Rate: rate}
			}
		}, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				custom, err := w.offers.Custom(nil)
				must(t, err)
				o := fetch.Options{Source: w.source}
				c.set(&o)
				s, err := w.planner.Fetch(t.Context(), o, w.res,
					fetch.Help{Offers: custom, Running: section(w.running), Resolve: func(uri string) (string, error) { return "payloads/" + uri, nil }}, w.sink)
				must(t, err)
				w.check(true)
				want := c.after + time.Duration(float64(s.Network)/rate*float64(time.Second))
				if took := time.Since(begin); s.Way != fetch.WayDelta || took < want-time.Second || took > want+time.Second {
					t.Errorf("%d bytes by %v took %v, want %v", s.Network, s.Way, took, want)
				}
			})
		})
	}
}

// A patch that breaks off at one place, however often it is asked for, while the server delivers everything else: the payload comes whole.
func TestNET_12_PatchCutForGood(t *testing.T) {
	w := newWorld(t)
	w.offer().Index = nil
	w.storage = store()
	patch := w.files["payloads/patch"]
	broken := int64(len(patch) * 2 / 3)
	w.source.body = func(uri string, offset int64, rest []byte) io.Reader {
		if uri != "payloads/patch" || offset+int64(len(rest)) <= broken {
			return nil
		}
		return io.MultiReader(bytes.NewReader(rest[:max(0, broken-offset)]), errorReader{errDown})
	}
	s, err := w.fetch()
	must(t, err)
	w.check(true)
	wantFallback(t, s, fetch.WayDelta, fetch.ErrTransport)
	if s.Way != fetch.WayFull || s.Network > int64(len(patch))+w.fullCost() {
		t.Errorf("by %v, %d bytes", s.Way, s.Network)
	}
}

// A way that cannot even be prepared does not hide where the download was taken up: whoever reads the medium back goes by it.
func TestResumedBehindBadIndex(t *testing.T) {
	w := newWorld(t)
	w.offer().Deltas = nil
	w.storage = store()
	w.files["payloads/index"][100] ^= 1
	w.source.body = func(uri string, _ int64, rest []byte) io.Reader {
		if uri != "payloads/new" {
			return nil
		}
		w.source.trouble = func(string) error { return errDown }
		return io.MultiReader(bytes.NewReader(rest[:len(rest)/2]), errorReader{errDown})
	}
	if _, err := w.fetch(); !errors.Is(err, fetch.ErrTransport) {
		t.Fatal(err)
	}
	w.source.trouble, w.source.body = nil, nil
	w.sink = w.sink.restart()
	s, err := w.fetch()
	must(t, err)
	w.check(true)
	wantFallback(t, s, fetch.WayChunks, fetch.ErrDigest)
	if s.ResumedFrom == 0 || s.Fetched != w.res.Size-s.Kept+s.Discarded {
		t.Errorf("from %d on, %d bytes fetched, %d kept, %d discarded, of %d", s.ResumedFrom, s.Fetched, s.Kept, s.Discarded, w.res.Size)
	}
}
