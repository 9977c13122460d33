// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"errors"
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
