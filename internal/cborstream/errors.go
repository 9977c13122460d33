// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import (
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// The classes of refusal. Every error of a Parser is an *Error that wraps one
// of them.
var (
	// ErrMalformed: not well-formed CBOR, or not the item that was asked for.
	ErrMalformed = verify.ErrMalformed

	// ErrNotCanonical: well-formed, but not the one deterministic encoding
	// (RFC 8949, section 4.2.1). It wraps ErrMalformed.
	ErrNotCanonical = fmt.Errorf("not canonical: %w", verify.ErrMalformed)

	// ErrLimit: a budget of depth, items or bytes is used up.
	ErrLimit = verify.ErrLimit
)

// Error is a refusal and its place.
type Error struct {
	Offset int    // of the item, in bytes from the start of the outermost data
	What   string // what was expected and what was seen
	Err    error  // one of the classes above, or that of Parser.Refuse
}

// Error returns the place, what was wrong there, and the class.
func (e *Error) Error() string {
	return fmt.Sprintf("byte %d: %s: %v", e.Offset, e.What, e.Err)
}

// Unwrap returns the class of the refusal.
func (e *Error) Unwrap() error { return e.Err }

// Refuse ends parsing with an error of the caller's: the item at offset at, of the
// part that is being read, is readable but not acceptable.
func (p *Parser) Refuse(at int, class error, format string, args ...any) error {
	return p.fail(p.base+at, class, format, args...)
}
