// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"math"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// DefaultSequenceJump is the default of Options.SequenceJump. Numbers that are times in microseconds stay within it, and it
// takes more than two hundred bad releases, not one, to leave a device without a number for the next.
const DefaultSequenceJump = 1 << 56

// checkSequence compares the sequence number of v with the floor. The last number is nobody's: after it, no
// other release could follow.
//
// draft-ietf-suit-manifest-37, section 6.2; draft-ietf-suit-trust-domains-12, section 5.1.
func (p *Processor) checkSequence(v *manifest.Verified, floor uint64) error {
	n := v.SequenceNumber()
	if n < floor || n == math.MaxUint64 {
		return fmt.Errorf("%w: expected %d to %d, seen %d", manifest.ErrSequence, floor, uint64(math.MaxUint64-1), n)
	}
	if n-floor <= p.o.SequenceJump {
		return nil
	}
	if group := p.o.Recovery; group == "" || len(v.Evidence().Keys(group)) == 0 {
		return fmt.Errorf("%w: expected at most %d above %d without a signature of the recovery group, seen %d: %w",
			manifest.ErrSequence, p.o.SequenceJump, floor, n, verify.ErrPolicy)
	}
	return nil
}
