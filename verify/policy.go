// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"
	"slices"
)

// Signature is what the check of one signature block found. Only a Signature with
// a nil Err and a key counts; a Policy sees the others too.
type Signature struct {
	// Entry is the key set's entry for the signer; when Err is not nil it is the one
	// that was tried, or the zero Entry if there was none, or several.
	Entry Entry

	// KID is the key id the block carries, nil if it carries none. It is a hint by
	// whoever carried the block, never an identity.
	KID []byte

	// Err is nil if the block verified under Entry.Key.
	Err error
}

// Verified reports whether the block is a good signature by a key that is not revoked.
func (s Signature) Verified() bool {
	return s.Err == nil && !s.Entry.Key.IsZero() && !s.Entry.Revoked
}

// Evidence is everything that was found about the authorship of one object: one Signature
// per block, in the object's order.
type Evidence struct {
	Signatures []Signature
}

// Keys returns the distinct public keys whose signatures verified and whose entry is in
// group, in the order of the blocks; "" is every group.
func (e Evidence) Keys(group string) []Key {
	var keys []Key
	for _, s := range e.Signatures {
		if s.Verified() && s.Entry.In(group) && !slices.Contains(keys, s.Entry.Key) {
			keys = append(keys, s.Entry.Key)
		}
	}
	return keys
}

// Policy decides whether evidence suffices. Check returns nil to accept and otherwise an
// error that wraps ErrPolicy, best a *PolicyError. It must not block, must not
// keep or change the evidence, and must be safe for concurrent use.
type Policy interface {
	Check(Evidence) error
}

// PolicyFunc is a Policy of one function. A nil PolicyFunc refuses everything.
type PolicyFunc func(Evidence) error

// Check calls f.
func (f PolicyFunc) Check(e Evidence) error {
	if f == nil {
		return &PolicyError{Evidence: e, Reason: "no policy"}
	}
	return f(e)
}

// PolicyError is a refusal with the evidence it was based on. errors.Is finds ErrPolicy,
// Err, and why each block that did not verify was not counted.
type PolicyError struct {
	Evidence Evidence
	Reason   string // what was asked for and what was seen
	Err      error  // narrower sentinel, such as ErrThreshold; may be nil
}

// Error returns the reason and the first reason a block was not counted.
func (e *PolicyError) Error() string {
	text := fmt.Sprintf("%v: %s", ErrPolicy, e.Reason)
	for i, s := range e.Evidence.Signatures {
		if s.Err != nil {
			return fmt.Sprintf("%s (signature %d: %v)", text, i, s.Err)
		}
	}
	return text
}

// Unwrap returns ErrPolicy, Err and the Errs of the evidence.
func (e *PolicyError) Unwrap() []error {
	errs := []error{ErrPolicy}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	for _, s := range e.Evidence.Signatures {
		if s.Err != nil {
			errs = append(errs, s.Err)
		}
	}
	return errs
}

type threshold struct {
	n     int
	group string
}

// Threshold returns the Policy "at least n distinct public keys of group signed"; the
// group "" is every key of the key set. A key counts once, however many blocks or key ids it
// signed under. The refusal is a *PolicyError with ErrThreshold; n below one is ErrPolicy
// at once, n above MaxCandidates ErrLimit.
func Threshold(n int, group string) (Policy, error) {
	if n < 1 {
		return nil, fmt.Errorf("threshold %d, expected at least 1: %w", n, ErrPolicy)
	}
	if n > MaxCandidates {
		return nil, fmt.Errorf("threshold %d, expected at most %d: %w", n, MaxCandidates, ErrLimit)
	}
	return threshold{n, group}, nil
}

func (t threshold) Check(e Evidence) error {
	seen := len(e.Keys(t.group))
	if seen >= t.n {
		return nil
	}
	of := ""
	if t.group != "" {
		of = fmt.Sprintf(" of group %q", t.group)
	}
	return &PolicyError{
		Evidence: e,
		Reason:   fmt.Sprintf("%d of %d distinct keys%s in %d signatures", seen, t.n, of, len(e.Signatures)),
		Err:      ErrThreshold,
	}
}

type allOf []Policy

// AllOf returns the Policy that accepts what every one of policies accepts; the first refusal is
// returned. A key in two groups may satisfy two thresholds. AllOf of nothing, or
// with a nil among them, refuses everything.
func AllOf(policies ...Policy) Policy { return allOf(slices.Clone(policies)) }

func (a allOf) Check(e Evidence) error {
	if len(a) == 0 {
		return &PolicyError{Evidence: e, Reason: "no policy"}
	}
	for _, p := range a {
		if p == nil {
			return &PolicyError{Evidence: e, Reason: "no policy"}
		}
		if err := p.Check(e); err != nil {
			return err
		}
	}
	return nil
}
