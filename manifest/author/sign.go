// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"context"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// Signature says how one authentication block is made: by a Signer or by a Macer.
type Signature struct {
	Signer verify.Signer

	// Macer makes a COSE_Mac0 with HMAC-256. Every device that can check one can also make
	// one: see verify.Secret.
	Macer verify.Macer

	// Algorithm must fit the signer's key. Zero means cose.AlgorithmFor.
	Algorithm cose.Algorithm

	// KID names the key to the device, which then tries only keys of that name.
	// Nil for no name.
	KID []byte
}

// Sign returns the encoded envelope with one more authentication block
// (COSE_Sign1, by cose.AlgorithmFor, no kid) for each signer. Blocks that e has already stay
// and must still be over its digest; e is not changed. A signer whose block by the same key and algorithm is there already makes
// no other: several blocks are by different ones (manifest-37, section 8.3), and signing again gives the same bytes.
//
// Errors: verify.ErrPolicy without a signer, or if the block that is there names its key otherwise than the Signature does; those of manifest.Envelope.Encode, and
// what a signer returns. It may block as long as the signers do.
func Sign(ctx context.Context, e *manifest.Envelope, signers ...verify.Signer) ([]byte, error) {
	signatures := make([]Signature, len(signers))
	for i, s := range signers {
		signatures[i].Signer = s
	}
	return SignAs(ctx, e, signatures...)
}

// SignAs is Sign with a choice of algorithm and key identifier.
func SignAs(ctx context.Context, e *manifest.Envelope, signatures ...Signature) ([]byte, error) {
	if len(signatures) == 0 {
		return nil, fmt.Errorf("sign without a signer: %w", verify.ErrPolicy)
	}
	signed, err := e.SignedBytes()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := *e
	out.Authentication = slices.Clone(e.Authentication)
	for i, s := range signatures {
		done, err := s.isAmong(out.Authentication, signed)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
		if done {
			continue
		}
		block, err := s.sign(ctx, signed)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i, err)
		}
		out.Authentication = append(out.Authentication, block)
	}
	b, err := out.Encode()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return b, readBack(b, e.Options, signatures)
}

func (s Signature) sign(ctx context.Context, signed []byte) ([]byte, error) {
	algorithm, err := s.algorithm()
	switch {
	case err != nil:
		return nil, err
	case s.Macer != nil:
		return cose.MakeMac0(ctx, s.Macer, s.KID, signed)
	case s.KID != nil:
		return cose.SignSign1WithKID(ctx, s.Signer, algorithm, s.KID, signed)
	}
	return cose.SignSign1(ctx, s.Signer, algorithm, signed)
}

// algorithm returns what the block will be by.
func (s Signature) algorithm() (cose.Algorithm, error) {
	switch {
	case (s.Signer == nil) == (s.Macer == nil):
		return 0, fmt.Errorf("expected a signer or a macer: %w", verify.ErrPolicy)
	case s.Macer != nil && s.Algorithm != 0:
		return 0, fmt.Errorf("%v with a macer: %w", s.Algorithm, verify.ErrAlgorithm)
	case s.Macer != nil:
		return cose.HMAC256, nil
	case s.Algorithm != 0:
		return s.Algorithm, nil
	}
	return cose.AlgorithmFor(s.Signer.Public().Type())
}

// entry is what a device has of s's key.
func (s Signature) entry() verify.Entry {
	if s.Macer != nil {
		return verify.Entry{Key: s.Macer.Key(), Secret: s.Macer}
	}
	return verify.Entry{Key: s.Signer.Public()}
}

// isAmong reports whether one of blocks is good and by the key and algorithm of s.
func (s Signature) isAmong(blocks [][]byte, signed []byte) (bool, error) {
	algorithm, err := s.algorithm()
	if err != nil {
		return false, err
	}
	keys, err := verify.NewKeySet(s.entry())
	if err != nil {
		return false, err
	}
	for _, a := range authorities(blocks, signed, keys) {
		if a.algorithm != algorithm {
			continue
		}
		if s.KID != nil && string(s.KID) != a.kid {
			return false, fmt.Errorf("%v has signed with %v already, with the key id %x, not %x: %w", a.key, algorithm, a.kid, s.KID, verify.ErrPolicy)
		}
		return true, nil
	}
	return false, nil
}

// An authority is who has made a good signature or MAC, and how.
type authority struct {
	key       verify.Key
	algorithm cose.Algorithm
	kid       string
}

// authorities returns those of keys that have made blocks.
func authorities(blocks [][]byte, signed []byte, keys *verify.KeySet) (list []authority) {
	for _, block := range blocks {
		algorithms := cose.AlgorithmsOf(block)
		for i, sig := range cose.Verify(block, signed, keys) {
			if sig.Verified() && i < len(algorithms) {
				list = append(list, authority{sig.Entry.Key, algorithms[i], string(sig.KID)})
			}
		}
	}
	return list
}

// readBack opens b as a device does that knows all signers and wants them all.
func readBack(b []byte, o manifest.Options, signatures []Signature) error {
	var entries []verify.Entry
	for _, s := range signatures {
		entry := s.entry()
		if !slices.ContainsFunc(entries, func(e verify.Entry) bool {
			return e.Key == entry.Key
		}) {
			entries = append(entries, entry)
		}
	}
	keys, err := verify.NewKeySet(entries...)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	policy, err := verify.Threshold(len(keys.Group("")), "")
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if _, err := o.OpenBytes(b, keys, policy); err != nil {
		return fmt.Errorf("read back what was signed: %w", err)
	}
	return nil
}
