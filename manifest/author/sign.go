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
// and must still be over its digest; e is not changed.
//
// Errors: verify.ErrPolicy without a signer, those of manifest.Envelope.Encode, and
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
	if (s.Signer == nil) == (s.Macer == nil) {
		return nil, fmt.Errorf("expected a signer or a macer: %w", verify.ErrPolicy)
	}
	if s.Macer != nil {
		if s.Algorithm != 0 {
			return nil, fmt.Errorf("%v with a macer: %w", s.Algorithm, verify.ErrAlgorithm)
		}
		return cose.MakeMac0(ctx, s.Macer, s.KID, signed)
	}
	algorithm := s.Algorithm
	if algorithm == 0 {
		var err error
		if algorithm, err = cose.AlgorithmFor(s.Signer.Public().Type()); err != nil {
			return nil, err
		}
	}
	if s.KID != nil {
		return cose.SignSign1WithKID(ctx, s.Signer, algorithm, s.KID, signed)
	}
	return cose.SignSign1(ctx, s.Signer, algorithm, signed)
}

// readBack opens b as a device does that knows all signers and wants them all.
func readBack(b []byte, o manifest.Options, signatures []Signature) error {
	var entries []verify.Entry
	for _, s := range signatures {
		entry := verify.Entry{KID: s.KID}
		if s.Macer != nil {
			entry.Key, entry.Secret = s.Macer.Key(), s.Macer
		} else {
			entry.Key = s.Signer.Public()
		}
		if !slices.ContainsFunc(entries, func(e verify.Entry) bool {
			return e.Key == entry.Key && string(e.KID) == string(entry.KID)
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
