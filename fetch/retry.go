// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// wrongRanges is how many in a row are tried again: of a source that reads another one, two until that asks for the whole, and one until it is asked for the whole itself.
const wrongRanges = 4

// A budget counts failures in a row. Whoever sees progress calls reset.
type budget struct {
	o        *Options
	uri      string
	failures int
	bad      int         // of them, those of a source that found wrong bytes, a file of another size, or no answer, itself
	ranges   int         // of them, wrong ranges
	notify   func(Retry) // nil: Options.OnRetry
	wasted   func() bool // nil: never
}

func (b *budget) reset() { b.failures, b.bad, b.ranges = 0, 0, 0 }

// wait decides about err. It returns nil after the pause that precedes another attempt, or the error to give up with.
func (b *budget) wait(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if !b.passing(err) {
		return err
	}
	if b.failures == b.o.Retries {
		return fmt.Errorf("gave up after %d attempts without progress: %w", b.failures+1, err)
	}
	if b.wasted != nil && b.wasted() {
		return fmt.Errorf("gave up, since too much had to be thrown away: %w", err)
	}
	wait := b.pause(err)
	b.failures++
	notify := b.notify
	if notify == nil {
		notify = b.o.OnRetry
	}
	if notify != nil {
		notify(Retry{URI: RedactURI(b.uri), Err: err, Left: b.o.Retries - b.failures, Wait: wait})
	}
	if pause(ctx, wait) != nil {
		return cancelled(ctx)
	}
	return nil
}

// passing reports whether err may pass.
func (b *budget) passing(err error) bool {
	switch {
	case errors.Is(err, ErrRefused), errors.Is(err, ErrTLS), errors.Is(err, ErrLimit):
		return false
	case errors.Is(err, ErrDigest), errors.Is(err, ErrAnswer), otherFile(err):
		b.bad++
		return b.bad <= repairs
	}
	if errors.Is(err, ErrRange) {
		b.ranges++
		return b.ranges <= wrongRanges
	}
	return errors.Is(err, ErrTransport)
}

// cancelled is the error of a context that is done, with its cause if it has another one.
func cancelled(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != ctx.Err() {
		return fmt.Errorf("%w: %w", ctx.Err(), cause)
	}
	return ctx.Err()
}

// pause is the back-off for the failures so far, with jitter, so that a fleet cut off together does not come back
// together. A server's Retry-After can make it longer, up to MaxRetryAfter, and is jittered upwards.
func (b *budget) pause(err error) time.Duration {
	d := b.o.MaxBackoff
	if b.failures < 32 && b.o.Backoff < b.o.MaxBackoff>>b.failures {
		d = b.o.Backoff << b.failures
	}
	d -= jitter(d / 2)
	var status *StatusError
	if errors.As(err, &status) && status.RetryAfter > d {
		d = min(status.RetryAfter, b.o.MaxRetryAfter)
		d += jitter(d / 4)
	}
	return d
}

// jitter returns a random duration from 0 up to d.
func jitter(d time.Duration) time.Duration { return rand.N(d + 1) }
