// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/fetch"
)

// A meter is the network: every byte of a call comes through it, whatever file it is of, is counted, and held to the caller's budget and rate.
type meter struct {
	fetch.Source
	rate, most int64 // 0: no limit
	schedule   func(time.Time) fetch.Window

	mu       sync.Mutex
	spent    int64
	requests int
	free     time.Time // when the bytes so far are paid for
}

// Open implements fetch.Source.
func (m *meter) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	m.asked()
	s, err := m.Source.Open(ctx, uri, offset, validator)
	return m.metered(ctx, s, err)
}

// OpenRange implements fetch.RangeSource.
func (m *meter) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	r, ok := m.Source.(fetch.RangeSource)
	if !ok || length == 0 {
		return m.Open(ctx, uri, offset, validator)
	}
	m.asked()
	s, err := r.OpenRange(ctx, uri, offset, length, validator)
	return m.metered(ctx, s, err)
}

// Reject implements fetch.Rejecter.
func (m *meter) Reject(uri string, offset, length int64) {
	if r, ok := m.Source.(fetch.Rejecter); ok {
		r.Reject(uri, offset, length)
	}
}

// elsewhere reports whether the source may have what was rejected from somewhere else.
func (m *meter) elsewhere() bool {
	_, ok := m.Source.(fetch.Rejecter)
	return ok
}

func (m *meter) asked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests++
}

func (m *meter) metered(ctx context.Context, s *fetch.Stream, err error) (*fetch.Stream, error) {
	if err == nil && s != nil && s.Body != nil {
		s.Body = &meteredBody{s.Body, m, ctx}
	}
	return s, err
}

// total is how many bytes came so far.
func (m *meter) total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent
}

// left is what the budget has left, or -1 without one.
func (m *meter) left() int64 {
	if m.most == 0 {
		return -1
	}
	return m.most - m.total()
}

type meteredBody struct {
	io.ReadCloser
	m   *meter
	ctx context.Context
}

func (b *meteredBody) Read(p []byte) (int, error) {
	p, err := b.m.admit(p)
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	fetch.Arrived(b.ctx, n)
	if waited := b.m.pay(b.ctx, n, len(p)); err == nil {
		err = waited
	}
	return n, err
}

// now is the rate that counts at present, 0 for none. While nothing may be taken it is the writer that waits.
func (m *meter) now() int64 {
	rate := m.rate
	if m.schedule != nil {
		if w := m.schedule(time.Now()); w.Rate > 0 && (rate == 0 || w.Rate < rate) {
			rate = w.Rate
		}
	}
	return rate
}

// admit returns as much of p as may be read now, and counts it.
func (m *meter) admit(p []byte) ([]byte, error) {
	if rate := m.now(); rate > 0 { // in quarters of a second, so that the pauses are short
		p = p[:min(int64(len(p)), max(rate/4, 1))]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.most > 0 {
		left := m.most - m.spent
		if left <= 0 && len(p) > 0 {
			return nil, fmt.Errorf("%d bytes taken: %w", m.spent, fetch.ErrBudget)
		}
		p = p[:min(int64(len(p)), left)]
	}
	m.spent += int64(len(p))
	return p, nil
}

// pay gives back what was counted and did not come, and waits until the rate allows more.
func (m *meter) pay(ctx context.Context, n, asked int) error {
	rate := m.now()
	m.mu.Lock()
	m.spent -= int64(asked - n)
	if rate == 0 || n == 0 {
		m.mu.Unlock()
		return nil
	}
	now := time.Now()
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	pause := m.free.Sub(now)
	m.mu.Unlock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
