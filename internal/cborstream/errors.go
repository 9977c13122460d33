// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import (
	"errors"
	"fmt"
)

// The classes of refusal. Every error of a Parser is an *Error that wraps one
// of them.
var (
	// ErrMalformed: not well-formed CBOR, or not the item that was asked for.
	ErrMalformed = errors.New("cbor: malformed")

	// ErrNotCanonical: well-formed, but not the one deterministic encoding
	// (RFC 8949, section 4.2.1). It wraps ErrMalformed.
	ErrNotCanonical = fmt.Errorf("%w: not canonical", ErrMalformed)

	// ErrLimit: a budget of depth, items or bytes is used up.
	ErrLimit = errors.New("cbor: limit exceeded")
)

// Error is a refusal and its place.
type Error struct {
	Offset int    // of the item, in bytes from the start of the outermost data
	What   string // what was expected and what was seen
	Err    error  // ErrMalformed, ErrNotCanonical or ErrLimit
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: at byte %d: %s", e.Err, e.Offset, e.What)
}

// Unwrap returns the class of the refusal.
func (e *Error) Unwrap() error { return e.Err }
