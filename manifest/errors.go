// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Errors of parsing and verifying. Signature, key and policy errors are those
// of package verify (verify.ErrSignature, verify.ErrKeyUnknown,
// verify.ErrAlgorithm, *verify.PolicyError).
var (
	// ErrMalformed: the bytes are not what the specification's grammar allows.
	// It is verify.ErrMalformed.
	ErrMalformed = verify.ErrMalformed

	// ErrNotCanonical: well-formed, but not in the one deterministic encoding
	// of its value. It wraps ErrMalformed.
	ErrNotCanonical = cborstream.ErrNotCanonical

	// ErrLimit: larger, deeper or more numerous than this package accepts. It
	// is verify.ErrLimit.
	ErrLimit = verify.ErrLimit

	// ErrUnsupported: a member, command, parameter or algorithm that is or may be
	// valid SUIT, but that this package does not implement. It is
	// verify.ErrUnsupported.
	ErrUnsupported = verify.ErrUnsupported

	// ErrDigest: bytes do not have the digest that was given for them.
	ErrDigest = errors.New("digest mismatch")

	// ErrComponent: a component that does not exist, is named twice, or cannot
	// do what a command asks of it.
	ErrComponent = errors.New("component not usable")

	// ErrCommand: a command in a place or with an argument that the
	// specification forbids.
	ErrCommand = errors.New("command not allowed")
)

// PlaceError is an error in a command sequence, with its place.
type PlaceError struct {
	Section Section
	Offset  int // of the outermost command, in bytes from the start of the byte string that holds the sequence
	Err     error
}

// Error returns the place and the cause.
func (e *PlaceError) Error() string {
	return fmt.Sprintf("%v, command at byte %d: %v", e.Section, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *PlaceError) Unwrap() error { return e.Err }

// Errors of running a manifest, returned by package manifest/processor.
var (
	// ErrSequence: the manifest's sequence number is lower than one already
	// accepted, or further above it than is allowed.
	ErrSequence = errors.New("sequence number not accepted")

	// ErrNotApplicable: the manifest is for another vendor, class or device.
	ErrNotApplicable = errors.New("not for this device")

	// ErrBudget: the manifest asks for more commands or deeper nesting than the
	// processor grants.
	ErrBudget = errors.New("budget exhausted")

	// ErrCondition: a condition did not hold.
	ErrCondition = errors.New("condition failed")
)
