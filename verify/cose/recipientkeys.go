// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/verify"
)

// RecipientKey is one secret with which a device opens encryption layers: exactly one of Wrapper,
// Exchange and Content.
type RecipientKey struct {
	// KID is the name under which messages refer to the key. Nil: the key is tried for every recipient.
	KID []byte

	// Wrapper unwraps content keys of A128KW or A256KW recipients.
	Wrapper verify.KeyWrapper

	// Exchange is a P-256 key, in memory (*ecdh.PrivateKey) or in hardware, for ECDH-ES recipients.
	Exchange ecdh.KeyExchanger

	// Content is the content key itself, for messages with the one recipient direct.
	Content []byte
}

// Format prints the kid; the secret is REDACTED under every verb.
func (k RecipientKey) Format(f fmt.State, _ rune) {
	io.WriteString(f, fmt.Sprintf("recipient key %x REDACTED", k.KID))
}

func (k RecipientKey) check() error {
	kinds := 0
	if k.Wrapper != nil {
		kinds++
		if t := k.Wrapper.Key().Type(); t != verify.A128KW && t != verify.A256KW {
			return fmt.Errorf("wrapper of type %v: %w", t, verify.ErrAlgorithm)
		}
	}
	if k.Exchange != nil {
		kinds++
		if k.Exchange.Curve() != ecdh.P256() {
			return fmt.Errorf("key exchange on another curve than P-256: %w", verify.ErrAlgorithm)
		}
	}
	if k.Content != nil {
		kinds++
	}
	if kinds != 1 {
		return fmt.Errorf("%d secrets in one key, expected 1: %w", kinds, verify.ErrPolicy)
	}
	if k.KID != nil {
		return checkKIDSize(k.KID)
	}
	return nil
}

// RecipientKeys is an immutable set of recipient keys, safe for concurrent use. A nil set opens nothing.
type RecipientKeys struct{ keys func() []RecipientKey }

// NewRecipientKeys copies and checks keys. No keys, or a key with none or several secrets, is
// verify.ErrPolicy; a secret of another kind than its field needs is verify.ErrAlgorithm; more than
// verify.MaxCandidates keys, or a KID of no or more than verify.MaxKIDSize bytes, is verify.ErrLimit.
func NewRecipientKeys(keys ...RecipientKey) (*RecipientKeys, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("no recipient keys: %w", verify.ErrPolicy)
	}
	if len(keys) > verify.MaxCandidates {
		return nil, fmt.Errorf("%d recipient keys, expected at most %d: %w", len(keys), verify.MaxCandidates, verify.ErrLimit)
	}
	own := slices.Clone(keys)
	for i, k := range own {
		if err := k.check(); err != nil {
			return nil, fmt.Errorf("recipient key %d: %w", i, err)
		}
		own[i].KID = bytes.Clone(k.KID)
		own[i].Content = bytes.Clone(k.Content)
	}
	return &RecipientKeys{func() []RecipientKey { return own }}, nil
}

// open returns the content key of keySize bytes. Recipients that name one of the keys come first, then recipients without a
// name, then keys without one; at most verify.MaxCandidates attempts in all. So whoever is among as many without a name is
// served, however many with names of their own there are.
func (s *RecipientKeys) open(ctx context.Context, recipients []recipient, keySize int, other []byte) ([]byte, error) {
	if s == nil {
		return nil, fmt.Errorf("no recipient keys: %w", verify.ErrKeyUnknown)
	}
	attempts := 0
	var failures []error
	for try := byName; try <= otherwise; try++ {
		for _, r := range recipients {
			for _, k := range s.keys() {
				if !k.fits(r) || k.turn(r) != try {
					continue
				}
				if attempts++; attempts > verify.MaxCandidates {
					return nil, fmt.Errorf("%d attempts to open %d recipients: %w", verify.MaxCandidates, len(recipients), verify.ErrLimit)
				}
				key, err := k.open(ctx, r, other)
				if err == nil && len(key) != keySize {
					err = fmt.Errorf("content key of %d bytes, expected %d: %w", len(key), keySize, verify.ErrAlgorithm)
				}
				if err == nil {
					return key, nil
				}
				if ctx.Err() != nil {
					return nil, err
				}
				failures = append(failures, err)
			}
		}
	}
	if len(failures) > 0 {
		return nil, fmt.Errorf("%d attempts to open %d recipients: %w, the first: %w", attempts, len(recipients), verify.ErrDecrypt, failures[0])
	}
	return nil, unknown(recipients)
}

// unknown says why there was nothing to try.
func unknown(recipients []recipient) error {
	for _, r := range recipients {
		if r.unusable == nil {
			return fmt.Errorf("no key for any of %d recipients: %w", len(recipients), verify.ErrKeyUnknown)
		}
	}
	return fmt.Errorf("no usable one of %d recipients: %w", len(recipients), recipients[0].unusable)
}

// The turns in which a key is tried on a recipient.
const (
	byName    = iota // both have the same name
	nameless         // the recipient has none
	otherwise        // the key has none
	never            // they have two
)

func (k RecipientKey) turn(r recipient) int {
	switch {
	case r.kid == nil:
		return nameless
	case k.KID == nil:
		return otherwise
	case bytes.Equal(k.KID, r.kid):
		return byName
	}
	return never
}

// fits reports whether k is of the kind that r needs.
func (k RecipientKey) fits(r recipient) bool {
	if r.unusable != nil {
		return false
	}
	switch {
	case r.alg.wraps() != 0:
		return k.Wrapper != nil && k.Wrapper.Key().Type() == r.alg.wraps()
	case r.alg.agreed() != 0:
		return k.Exchange != nil
	}
	return r.alg == Direct && k.Content != nil
}

func (k RecipientKey) open(ctx context.Context, r recipient, other []byte) ([]byte, error) {
	switch {
	case k.Wrapper != nil:
		return k.Wrapper.UnwrapKey(ctx, r.ciphertext)
	case k.Exchange != nil:
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		secret, err := k.Exchange.ECDH(r.ephemeral)
		if err != nil {
			return nil, fmt.Errorf("key exchange: %w", err)
		}
		wrapper, err := agreedWrapper(r.alg, secret, r.salt, r.raw, other)
		if err != nil {
			return nil, err
		}
		return wrapper.UnwrapKey(ctx, r.ciphertext)
	}
	return bytes.Clone(k.Content), nil
}
