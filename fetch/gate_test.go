// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

func TestMaxRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, 10*step))
		var sink recorder
		start := time.Now()
		// Below MinRate: it is not the server that is slow.
		_, err := newFetcher(t, fetch.Options{Source: newServer(r), MaxRate: step / 2, MinRate: step}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		if took := time.Since(start); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("took %v for 10 chunks and a page at half a chunk per second", took)
		}
	})
}

func TestMaxBytes(t *testing.T) {
	r := newRelease(t, noise(1, 10*step))
	s, store := newServer(r), storage(t)
	sink := &recorder{}
	st, err := newFetcher(t, fetch.Options{Source: s, Storage: store, MaxBytes: 4*step + fetch.PageSize + 100}).Fetch(t.Context(), r.res, sink)
	if !errors.Is(err, fetch.ErrBudget) {
		t.Fatalf("error %v, want ErrBudget", err)
	}
	if st.Fetched+st.Pages != 4*step+fetch.PageSize+100 || sink.Offset() != 4*step {
		t.Errorf("%+v with %d in the sink", st, sink.Offset())
	}
	// What was paid for is kept: the next call needs only the rest.
	if _, err := newFetcher(t, fetch.Options{Source: s, Storage: store, MaxBytes: 6*step + fetch.PageSize}).Fetch(t.Context(), r.res, sink); err != nil {
		t.Fatal(err)
	}
	sink.holds(t, r.data)
}

type reserving struct {
	recorder
	asked int64
	err   error
}

func (s *reserving) Reserve(size int64) error {
	s.asked = size
	return s.err
}

func TestNET_15_NoSpace(t *testing.T) {
	r := newRelease(t, noise(1, 3*step))
	s := newServer(r)
	full := errors.New("no space left on device")
	sink := &reserving{err: full}
	if _, err := newFetcher(t, fetch.Options{Source: s}).Fetch(t.Context(), r.res, sink); !errors.Is(err, full) || len(s.requests) > 0 {
		t.Errorf("error %v after %d requests, want the sink's before any", err, len(s.requests))
	}
	sink.err = nil
	if _, err := newFetcher(t, fetch.Options{Source: s}).Fetch(t.Context(), r.res, sink); err != nil || sink.asked != r.res.Size {
		t.Errorf("error %v, %d bytes reserved", err, sink.asked)
	}
}

// Nothing by day, a little at night: the call waits without a connection, and the wait costs no retry.
func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which begins at midnight
		r := newRelease(t, noise(1, 10*step))
		night := func(now time.Time) fetch.Window {
			if h := now.UTC().Hour(); h >= 1 && h < 23 {
				return fetch.Window{Until: now.UTC().Truncate(24 * time.Hour).Add(23 * time.Hour)}
			}
			return fetch.Window{Rate: step / 1000} // the file takes 10,000 s
		}
		src := newServer(r)
		var sink recorder
		start := time.Now()
		st, err := newFetcher(t, fetch.Options{Source: src, Schedule: night, OnRetry: func(r fetch.Retry) { t.Errorf("retry %+v", r) }}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		balanced(t, st, r.res.Size)
		if took := time.Since(start); took < 24*time.Hour+2000*time.Second || took > 25*time.Hour {
			t.Errorf("took %v, want two nights", took)
		}
		if len(src.seen()) != 2 || src.seen()[1].validator == "" {
			t.Errorf("requests %+v, want one for each night", src.seen())
		}
	})
}

// Ranges set aside what they read at a time: the budget is spent at most that much earlier, and suffices if it is no more than what is needed.
func TestMaxBytesWithRanges(t *testing.T) {
	const lanes, ahead = 4, 1 << 20
	r := wideRelease()
	enough := int64(len(r.data) + lanes*len(r.pages)) // each reads its pages itself
	for _, most := range []int64{10 << 20, 10<<20 + 150_000, 11<<20 + 77, enough} {
		synctest.Test(t, func(t *testing.T) {
			src, sink := newServer(r), newScattered()
			src.body = func(ctx context.Context, _ int, _ request, rest []byte) io.Reader { return dripper(ctx, rest, step) }
			st, err := newFetcher(t, fetch.Options{Source: src, Parallel: lanes, MaxBytes: most}).Fetch(t.Context(), r.res, sink)
			if taken := st.Fetched + st.Pages; errors.Is(err, fetch.ErrBudget) != (most < enough) || taken > most || taken < most-lanes*ahead {
				t.Errorf("budget of %d: %v, %d taken", most, err, taken)
			} else {
				t.Logf("budget of %d: %d left", most, most-taken)
			}
		})
	}
}

// A window that never opens is waited for until the deadline, and a schedule that makes no sense is not asked in a loop.
func TestScheduleNeverOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, step))
		asked := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := newFetcher(t, fetch.Options{Source: newServer(r), Schedule: func(time.Time) fetch.Window { asked++; return fetch.Window{} }}).Fetch(ctx, r.res, &recorder{})
		if !errors.Is(err, context.DeadlineExceeded) || asked > 61 {
			t.Errorf("%v after asking %d times", err, asked)
		}
	})
}

func TestProgressTellsTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(1, 100*step))
		var at []fetch.Progress
		_, err := newFetcher(t, fetch.Options{Source: newServer(r), MaxRate: step, OnProgress: func(p fetch.Progress) { at = append(at, p) }}).Fetch(t.Context(), r.res, &recorder{})
		if err != nil {
			t.Fatal(err)
		}
		if p := at[50]; p.Done != 50*step || p.Rate < step*9/10 || p.Rate > step*11/10 || p.Left < 45*time.Second || p.Left > 55*time.Second {
			t.Errorf("halfway: %+v", p)
		}
	})
}
