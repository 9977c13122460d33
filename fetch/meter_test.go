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
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// A meter holds what comes to its rate, and that is nobody's slowness, not even far below MinRate. What a source between adds costs nothing.
func TestMeterRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelease(t, noise(6, 8*step))
		src := newServer(r)
		m := fetch.NewMeter(fetch.Options{Source: src, MaxRate: 500})
		var sink recorder
		began := time.Now()
		st, err := newFetcher(t, fetch.Options{Source: half{m, r.data}, OnRetry: func(r fetch.Retry) { t.Errorf("retry %+v", r) }}).Fetch(t.Context(), r.res, &sink)
		if err != nil {
			t.Fatal(err)
		}
		sink.holds(t, r.data)
		balanced(t, st, r.res.Size)
		came := r.res.Size/2 + st.Pages
		if m.Bytes() != came || m.Requests() != int64(len(src.requests)) || m.Left() != -1 {
			t.Errorf("%d bytes in %d requests, want %d in %d; %d left", m.Bytes(), m.Requests(), came, len(src.requests), m.Left())
		}
		if took, want := time.Since(began), time.Duration(came)*time.Second/500; took < want || took > want+2*time.Second {
			t.Errorf("took %v for %d bytes, want %v", took, came, want)
		}
	})
}

// half has the first half of the payload itself.
type half struct {
	fetch.Source
	data []byte
}

func (h half) Open(ctx context.Context, u string, offset int64, v string) (*fetch.Stream, error) {
	n := len(h.data) / 2
	if u != uri || offset >= int64(n) {
		return h.Source.Open(ctx, u, offset, v)
	}
	tail, err := h.Source.Open(ctx, u, int64(n), v)
	if err != nil {
		return nil, err
	}
	return &fetch.Stream{Offset: offset, Size: tail.Size, Body: struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(h.data[offset:n]), tail.Body), tail.Body}}, nil
}

// Nor does it hide a server that is silent or slow.
func TestNET_07_MeterHidesNoStall(t *testing.T) {
	for stall, body := range map[string]func(ctx context.Context, rest []byte) io.Reader{
		"idle": func(ctx context.Context, _ []byte) io.Reader { return silent{ctx} },
		"rate": func(ctx context.Context, rest []byte) io.Reader { return dripper(ctx, rest, 100) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelease(t, noise(6, 8*step))
			src := newServer(r)
			src.body = func(ctx context.Context, _ int, q request, rest []byte) io.Reader {
				if q.uri != uri {
					return nil
				}
				return body(ctx, rest)
			}
			m := fetch.NewMeter(fetch.Options{Source: src, MaxRate: 1 << 20})
			began := time.Now()
			_, err := newFetcher(t, fetch.Options{Source: m, Retries: 1}).Fetch(t.Context(), r.res, &recorder{})
			var bad *fetch.StallError
			if took := time.Since(began); !errors.As(err, &bad) || bad.Step != stall || took > 2*time.Minute {
				t.Errorf("%v after %v, want a stall (%s)", err, took, stall)
			}
		})
	}
}

func TestMeterBudget(t *testing.T) {
	r := newRelease(t, noise(6, 8*step))
	m := fetch.NewMeter(fetch.Options{Source: newServer(r), MaxBytes: 3 * step})
	if _, err := newFetcher(t, fetch.Options{Source: m}).Fetch(t.Context(), r.res, &recorder{}); !errors.Is(err, fetch.ErrBudget) || m.Bytes() != 3*step || m.Left() != 0 {
		t.Errorf("%v after %d bytes with %d left, want ErrBudget after %d", err, m.Bytes(), m.Left(), 3*step)
	}
}
