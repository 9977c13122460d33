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

// A budget counts failures in a row. Whoever sees progress calls reset.
type budget struct {
	o        *Options
	uri      string
	failures int
	bad      int         // of them, those of a source that found wrong bytes, a file of another size, or no answer, itself
	notify   func(Retry) // nil: Options.OnRetry
	wasted   func() bool // nil: never
}

func (b *budget) reset() { b.failures, b.bad = 0, 0 }

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
	return errors.Is(err, ErrTransport) || errors.Is(err, ErrRange)
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
