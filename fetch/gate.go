// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A gate holds a call to Options.MaxRate, Options.MaxBytes and Options.Schedule, over all its requests. A nil gate is open.
// Safe for concurrent use.
type gate struct {
	rate, most int64 // 0: no limit
	schedule   func(time.Time) Window

	mu    sync.Mutex
	spent int64
	free  time.Time // when the bytes so far are paid for
}

// newGate returns the gate for one call, nil if nothing is limited.
func newGate(o *Options) *gate {
	if o.MaxRate == 0 && o.MaxBytes == 0 && o.Schedule == nil {
		return nil
	}
	return &gate{rate: o.MaxRate, most: o.MaxBytes, schedule: o.Schedule}
}

// hold waits while the schedule lets nothing through, and calls before first. It reports whether it waited.
func (g *gate) hold(ctx context.Context, before func()) (held bool, err error) {
	if g == nil || g.schedule == nil {
		return false, nil
	}
	for {
		now := time.Now()
		w := g.schedule(now)
		if w.Rate != 0 {
			return held, nil
		}
		if !held {
			before()
		}
		held = true
		// A schedule that says nothing useful about its end is asked again after a minute, and never more than once a second.
		until := w.Until
		if !until.After(now) {
			until = now.Add(time.Minute)
		}
		if err := pause(ctx, max(until.Sub(now), time.Second)); err != nil {
			return held, err
		}
	}
}

// now is the rate that counts at present, 0 for none.
func (g *gate) now() int64 {
	rate := g.rate
	if g.schedule != nil {
		if w := g.schedule(time.Now()); w.Rate > 0 && (rate == 0 || w.Rate < rate) {
			rate = w.Rate
		}
	}
	return rate
}

// admit returns as much of p as may be read now.
func (g *gate) admit(p []byte) ([]byte, error) {
	if g == nil {
		return p, nil
	}
	if rate := g.now(); rate > 0 { // in quarters of a second, so that the pauses are short
		p = p[:min(int64(len(p)), max(rate/4, 1))]
	}
	if g.most > 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		left := g.most - g.spent
		if left <= 0 && len(p) > 0 {
			return nil, fmt.Errorf("%d bytes taken: %w", g.spent, ErrBudget)
		}
		p = p[:min(int64(len(p)), left)]
		g.spent += int64(len(p)) // given back by passed, as far as it was not used
	}
	return p, nil
}

// passed accounts for n bytes of the asked ones that admit let through, and waits until they are paid for.
func (g *gate) passed(ctx context.Context, n, asked int) error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	if g.most > 0 {
		g.spent -= int64(asked - n)
	}
	rate := g.now()
	if rate == 0 || n == 0 {
		g.mu.Unlock()
		return nil
	}
	now := time.Now()
	if g.free.Before(now) {
		g.free = now
	}
	g.free = g.free.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	wait := g.free.Sub(now)
	g.mu.Unlock()
	return pause(ctx, wait)
}

// pause waits for d, or until ctx is done and then returns its error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
