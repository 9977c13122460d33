// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"context"
	"fmt"
	"io"

	"github.com/veraison/go-cose"

	"github.com/firmament-dev/firmament/verify"
)

// SignSign1 signs payload and returns a COSE_Sign1_Tagged without it, in deterministic
// encoding, with the protected header {1: alg} and no kid. An algorithm that does not fit the
// signer's key, or EdDSA, is verify.ErrAlgorithm; a nil payload is verify.ErrMalformed. Errors of
// the signer come back wrapped. The block is verified before it is returned.
func SignSign1(ctx context.Context, signer verify.Signer, alg Algorithm, payload []byte) ([]byte, error) {
	return sign1(ctx, signer, alg, nil, payload)
}

// SignSign1WithKID is SignSign1 with the key id kid (1 to verify.MaxKIDSize bytes) in the
// protected header. A kid outside these bounds is verify.ErrLimit.
func SignSign1WithKID(ctx context.Context, signer verify.Signer, alg Algorithm, kid, payload []byte) ([]byte, error) {
	if err := checkKIDSize(kid); err != nil {
		return nil, err
	}
	return sign1(ctx, signer, alg, kid, payload)
}

func checkKIDSize(kid []byte) error {
	if len(kid) == 0 || len(kid) > verify.MaxKIDSize {
		return fmt.Errorf("kid of %d bytes, expected 1 to %d: %w", len(kid), verify.MaxKIDSize, verify.ErrLimit)
	}
	return nil
}

func sign1(ctx context.Context, signer verify.Signer, alg Algorithm, kid, payload []byte) ([]byte, error) {
	switch {
	case signer == nil:
		return nil, fmt.Errorf("sign1 without a signer: %w", verify.ErrKeyUnknown)
	case payload == nil:
		return nil, fmt.Errorf("sign1 without a payload: %w", verify.ErrMalformed)
	case !fits(alg, signer):
		return nil, fmt.Errorf("sign1 with %v and %v: %w", alg, signer.Public(), verify.ErrAlgorithm)
	}
	m := cose.NewSign1Message()
	m.Headers.Protected.SetAlgorithm(cose.Algorithm(alg))
	if kid != nil {
		m.Headers.Protected[cose.HeaderLabelKeyID] = kid
	}
	m.Payload = payload
	if err := m.Sign(nil, nil, borderSigner{ctx, signer, alg}); err != nil {
		return nil, fmt.Errorf("sign1 with %v: %w", signer.Public(), err)
	}
	m.Payload = nil
	block, err := m.MarshalCBOR()
	if err != nil {
		return nil, fmt.Errorf("encode sign1: %v: %w", err, verify.ErrMalformed)
	}
	keys, err := verify.NewKeySet(verify.Entry{KID: kid, Key: signer.Public()})
	if err != nil {
		return nil, err
	}
	if _, err := VerifySign1(block, payload, keys); err != nil {
		return nil, fmt.Errorf("signer returned a bad signature: %w", err)
	}
	return block, nil
}

// fits reports whether signer may sign with alg.
func fits(alg Algorithm, signer verify.Signer) bool {
	return alg.signs() && alg != EdDSA && alg.KeyType() == signer.Public().Type()
}

// borderSigner gives a verify.Signer to go-cose, for one call, with the algorithm
// numbers go-cose does not know.
type borderSigner struct {
	ctx    context.Context
	signer verify.Signer
	alg    Algorithm
}

func (s borderSigner) Algorithm() cose.Algorithm { return cose.Algorithm(s.alg) }

func (s borderSigner) Sign(_ io.Reader, content []byte) ([]byte, error) {
	sig, err := s.signer.Sign(s.ctx, content)
	if err != nil || s.alg.KeyType() != verify.P256 {
		return sig, err
	}
	return verify.RawSignature(sig)
}
