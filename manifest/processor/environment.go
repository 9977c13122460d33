// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/manifest"
)

// Clock is a Platform that knows the time, for use-before.
type Clock interface {
	// Now returns a time that is not before any the device has trusted. A device without
	// a trusted time returns verify.ErrClock.
	Now(ctx context.Context) (time.Time, error)
}

// Battery is a Platform that runs on one.
type Battery interface {
	// Battery returns what is left in it, in mWh.
	Battery(ctx context.Context) (uint64, error)
}

// Authorizer is a Platform with somebody to ask whether to update now.
type Authorizer interface {
	// Authorized reports whether an update of this priority may go on; smaller is
	// more urgent. It may block.
	Authorized(ctx context.Context, id manifest.ComponentID, priority int64) (bool, error)
}

// Waiter is a Platform that can wait for events.
type Waiter interface {
	// CanWait returns manifest.ErrUnsupported if the device cannot tell one of the events, as those
	// in local time without a time zone. It is asked before the first effect.
	CanWait(info manifest.WaitInfo) error

	// Wait returns when all the events have occurred.
	Wait(ctx context.Context, id manifest.ComponentID, info manifest.WaitInfo) error
}

// useBefore compares the clock with use-before, in 64 bits.
//
// draft-ietf-suit-update-management-14, section 5.1.
func (m *machine) useBefore(ctx context.Context, c int) error {
	limit := m.at(c).params.UseBefore
	if limit == nil {
		return fmt.Errorf("%w: the manifest gives no time", manifest.ErrCondition)
	}
	now, err := m.o.Platform.(Clock).Now(ctx)
	if err != nil {
		return platformError("clock", err)
	}
	if s := now.Unix(); s >= 0 && uint64(s) >= *limit {
		seen := uint64(s)
		return measured(manifest.Parameters{UseBefore: &seen}, "expected before %d, now %d", *limit, s)
	}
	return nil
}

// minimumBattery compares the battery with minimum-battery.
//
// draft-ietf-suit-update-management-14, section 5.3.
func (m *machine) minimumBattery(ctx context.Context, c int) error {
	want := m.at(c).params.MinimumBattery
	if want == nil {
		return fmt.Errorf("%w: the manifest gives no battery level", manifest.ErrCondition)
	}
	seen, err := m.o.Platform.(Battery).Battery(ctx)
	if err != nil {
		return platformError("battery", err)
	}
	if seen < *want {
		return measured(manifest.Parameters{MinimumBattery: &seen}, "expected at least %d mWh, seen %d", *want, seen)
	}
	return nil
}

// authorized asks for permission; in a rehearsal nobody is bothered, and the answer is unknown. An answer that has led to an effect
// stands, so that what has begun goes on the same way.
//
// draft-ietf-suit-update-management-14, section 5.4.
func (m *machine) authorized(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	priority := m.at(c).params.UpdatePriority
	if priority == nil {
		return false, fmt.Errorf("%w: the manifest gives no priority", manifest.ErrCondition)
	}
	if err, known := m.answered(); known {
		return true, err
	}
	if m.mode == rehearsal {
		return false, m.guess(f)
	}
	var ok bool
	err = m.call(func() (err error) {
		ok, err = m.o.Platform.(Authorizer).Authorized(ctx, m.id(c), *priority)
		return err
	})
	if err != nil {
		return false, platformError("authorization", err)
	}
	m.later(StepMatch, m.path, outcome(ok))
	if !ok {
		err = fmt.Errorf("%w: an update of priority %d is not authorized", manifest.ErrCondition, *priority)
	}
	return false, err
}

// wait waits. It is no effect: a resumed run waits again, for what may have occurred.
//
// draft-ietf-suit-update-management-14, section 5.6.
func (m *machine) wait(ctx context.Context, c int) error {
	info := m.at(c).params.WaitInfo
	if info == nil {
		return fmt.Errorf("%w: no wait info", ErrParameter)
	}
	w := m.o.Platform.(Waiter)
	if err := w.CanWait(*info); err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	if m.mode == rehearsal {
		return nil
	}
	return m.call(func() error {
		if err := w.Wait(ctx, m.id(c), *info); err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		return nil
	})
}
