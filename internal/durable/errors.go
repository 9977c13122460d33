// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import "errors"

var (
	// ErrTooLarge means that a file is larger than the bound its reader set, a
	// log has no room for one more record before it is rewritten, or a record
	// does not fit its region. Nothing was written.
	ErrTooLarge = errors.New("too large")

	// ErrCorrupt means that what is on the medium cannot be the outcome of a
	// power cut at any point: it was damaged. Nothing is repaired or guessed.
	ErrCorrupt = errors.New("corrupt")

	// ErrPoisoned means that an earlier call on this Record or Log failed half
	// way. Open it again: what is on the medium then decides.
	ErrPoisoned = errors.New("poisoned by an earlier failure")
)
