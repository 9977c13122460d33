// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
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
	protected := protectedHeader(int64(alg), kid)
	signature, err := signRaw(ctx, signer, signature1(protected, payload))
	if err != nil {
		return nil, fmt.Errorf("sign1 with %v: %w", signer.Public(), err)
	}
	block := cborstream.AppendArray(bytes.Clone(tagSign1), 4)
	block = cborstream.AppendBytes(block, protected)
	block = cborstream.AppendMap(block, 0)
	block = cborstream.AppendNil(block)
	block = cborstream.AppendBytes(block, signature)
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

// signRaw returns a signature in the form COSE has it.
func signRaw(ctx context.Context, signer verify.Signer, content []byte) ([]byte, error) {
	signature, err := signer.Sign(ctx, content)
	if err != nil || signer.Public().Type() != verify.P256 {
		return signature, err
	}
	return verify.RawSignature(signature)
}
