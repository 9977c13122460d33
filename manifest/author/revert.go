// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"fmt"
	"math"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// Sequence numbers of releases rise in steps of two. The number after a release's is reserved
// for the release that takes it back: see Revert.
const sequenceStep = 2

// NextSequenceNumber returns the sequence number for the release after the one numbered last.
// Error: manifest.ErrSequence if there is none.
func NextSequenceNumber(last uint64) (uint64, error) {
	if last >= math.MaxUint64-sequenceStep {
		return 0, fmt.Errorf("%w: no number after %d", manifest.ErrSequence, last)
	}
	return last + sequenceStep, nil
}

// Revert returns a revert envelope, unsigned: the predecessor's content under the sequence number
// reserved behind release, so that devices that have confirmed release can go back. It is a
// release like any other: published, but offered to nobody until it is needed, and signed by
// whoever signs releases. The next release's number, by NextSequenceNumber, is above it.
//
// A revert envelope is not taken back by another one, whose number would be that of the next release, but by a release. So
// releases have to be numbered as by NextSequenceNumber.
//
// A dependency of the predecessor that the release has replaced by another cannot be reverted to so, as devices keep a floor for
// its number, too.
//
// Errors: manifest.ErrSequence if predecessor is not older than release, if a dependency was replaced since, if one of the two is a revert envelope by its number, or there is no number;
// manifest.ErrComponent if they are not for the same components; those of Encode. Neither argument
// is changed.
func Revert(predecessor, release *manifest.Envelope) (*manifest.Envelope, error) {
	e, err := revert(predecessor, release)
	if err != nil {
		return nil, fmt.Errorf("revert envelope: %w", err)
	}
	return e, nil
}

func revert(predecessor, release *manifest.Envelope) (*manifest.Envelope, error) {
	old, bad := &predecessor.Manifest, &release.Manifest
	if old.SequenceNumber >= bad.SequenceNumber {
		return nil, fmt.Errorf("%w: predecessor has %d, the release %d", manifest.ErrSequence, old.SequenceNumber, bad.SequenceNumber)
	}
	if (bad.SequenceNumber-old.SequenceNumber)%sequenceStep != 0 {
		return nil, fmt.Errorf("%w: predecessor has %d, the release %d, expected steps of %d", manifest.ErrSequence, old.SequenceNumber, bad.SequenceNumber, sequenceStep)
	}
	if err := checkSequenceNumber(bad.SequenceNumber); err != nil {
		return nil, err
	}
	if !slices.EqualFunc(old.Components, bad.Components, manifest.ComponentID.Equal) || !old.ComponentID.Equal(bad.ComponentID) {
		return nil, fmt.Errorf("%w: predecessor and release are not for the same components", manifest.ErrComponent)
	}
	if err := checkDependencies(old, bad); err != nil {
		return nil, err
	}
	e := *predecessor
	e.Authentication = nil
	e.Manifest.SequenceNumber = bad.SequenceNumber + 1
	e.Manifest.ReferenceURI = "" // the predecessor's is of another manifest
	return normal(&e)
}

func checkSequenceNumber(n uint64) error {
	if n == math.MaxUint64 {
		return fmt.Errorf("%w: %d leaves no room for another release", manifest.ErrSequence, n)
	}
	return nil
}
