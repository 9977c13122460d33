// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
	"time"
)

// A gate holds a call to Options.MaxRate and Options.MaxBytes, over all its requests. A nil gate is open.
type gate struct {
	rate, most int64 // 0: no limit
	spent      int64
	free       time.Time // when the bytes so far are paid for
}

// newGate returns the gate for one call, nil if nothing is limited.
func newGate(o *Options) *gate {
	if o.MaxRate == 0 && o.MaxBytes == 0 {
		return nil
	}
	return &gate{rate: o.MaxRate, most: o.MaxBytes}
}

// admit returns as much of p as may be read now.
func (g *gate) admit(p []byte) ([]byte, error) {
	if g == nil {
		return p, nil
	}
	if g.rate > 0 { // in quarters of a second, so that the pauses are short
		p = p[:min(int64(len(p)), max(g.rate/4, 1))]
	}
	if g.most > 0 {
		left := g.most - g.spent
		if left == 0 {
			return nil, fmt.Errorf("%d bytes taken: %w", g.spent, ErrBudget)
		}
		p = p[:min(int64(len(p)), left)]
	}
	return p, nil
}

// passed accounts for n bytes and waits until they are paid for.
func (g *gate) passed(ctx context.Context, n int) error {
	if g == nil {
		return nil
	}
	g.spent += int64(n)
	if g.rate == 0 || n == 0 {
		return nil
	}
	now := time.Now()
	if g.free.Before(now) {
		g.free = now
	}
	g.free = g.free.Add(time.Duration(float64(n) / float64(g.rate) * float64(time.Second)))
	timer := time.NewTimer(g.free.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
