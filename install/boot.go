// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package install

import "context"

// NoSlot stands for the absence of a slot in a [Boot].
const NoSlot = -1

// Boot is what a boot loader with two slots knows.
type Boot struct {
	Current   int // the slot that is running
	Confirmed int // the slot the boot loader goes back to
	Trial     int // the slot that is armed, or on trial, or was given up; NoSlot
	Left      int // trial boots left before the boot loader gives up
}

// Status is b in the words of the state machine.
func (b Boot) Status() Status {
	switch {
	case b.Trial == NoSlot:
		return Status{State: Ready, Reboot: b.Current != b.Confirmed}
	case b.Current == b.Trial:
		return Status{State: Trial}
	case b.Left > 0:
		return Status{State: Staged}
	}
	return Status{State: Failed}
}

// BootControl is an A/B boot loader seen from the running system. Every method is durable on return and
// idempotent; a power cut leaves the old state or the new. Methods are not called concurrently.
type BootControl interface {
	// Boot reads the state. ErrState if it cannot be read.
	Boot(ctx context.Context) (Boot, error)
	// Free makes sure that slot will not be tried. It refuses the confirmed slot.
	Free(ctx context.Context, slot int) error
	// Arm lets the next boots try slot, which holds img. The confirmed slot stays the fallback.
	Arm(ctx context.Context, slot int, img Image) error
	// MarkGood makes slot the confirmed one and ends the trial.
	MarkGood(ctx context.Context, slot int) error
}
