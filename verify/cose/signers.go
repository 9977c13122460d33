// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"context"
	"fmt"

	"github.com/veraison/go-cose"

	"github.com/firmament-dev/firmament/verify"
)

const (
	// MaxSigners bounds the signatures of one COSE_Sign.
	MaxSigners = 16

	// MaxSignSize bounds an encoded COSE_Sign, in bytes: MaxSigners of the largest kind fit.
	MaxSignSize = MaxSigners * MaxBlockSize

	// maxChecks bounds the signature checks of one COSE_Sign.
	maxChecks = 4 * verify.MaxCandidates
)

// Signatory is one signer of a COSE_Sign.
type Signatory struct {
	// Signer makes the signature. Required.
	Signer verify.Signer

	// Algorithm must fit the signer's key. Zero: what AlgorithmFor says.
	Algorithm Algorithm

	// KID goes into the protected header, 1 to verify.MaxKIDSize bytes. Nil: none.
	KID []byte
}

// SignSign signs payload with every signatory and returns a COSE_Sign_Tagged (RFC 9052, section 4.1)
// without it, in deterministic encoding. No signatory, or more than MaxSigners, is
// verify.ErrLimit; otherwise errors are those of SignSign1WithKID. The block is verified before it is returned.
//
// One COSE_Sign and several COSE_Sign1 prove the same. Signers who do not meet in one
// process use the latter.
func SignSign(ctx context.Context, payload []byte, by ...Signatory) ([]byte, error) {
	if len(by) == 0 || len(by) > MaxSigners {
		return nil, fmt.Errorf("sign with %d signers, expected 1 to %d: %w", len(by), MaxSigners, verify.ErrLimit)
	}
	if payload == nil {
		return nil, fmt.Errorf("sign without a payload: %w", verify.ErrMalformed)
	}
	m := cose.NewSignMessage()
	m.Payload = payload
	var signers []cose.Signer
	var entries []verify.Entry
	for i, s := range by {
		signer, signature, err := s.prepare(ctx)
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i, err)
		}
		signers = append(signers, signer)
		m.Signatures = append(m.Signatures, signature)
		entries = append(entries, verify.Entry{KID: s.KID, Key: s.Signer.Public()})
	}
	if err := m.Sign(nil, nil, signers...); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	m.Payload = nil
	block, err := m.MarshalCBOR()
	if err != nil {
		return nil, fmt.Errorf("encode sign: %v: %w", err, verify.ErrMalformed)
	}
	return block, checkSign(block, payload, entries)
}

func (s Signatory) prepare(ctx context.Context) (cose.Signer, *cose.Signature, error) {
	if s.Signer == nil {
		return nil, nil, fmt.Errorf("none given: %w", verify.ErrKeyUnknown)
	}
	alg := s.Algorithm
	if alg == 0 {
		var err error
		if alg, err = AlgorithmFor(s.Signer.Public().Type()); err != nil {
			return nil, nil, err
		}
	}
	if !fits(alg, s.Signer) {
		return nil, nil, fmt.Errorf("%v and %v: %w", alg, s.Signer.Public(), verify.ErrAlgorithm)
	}
	signature := cose.NewSignature()
	signature.Headers.Protected.SetAlgorithm(cose.Algorithm(alg))
	if s.KID != nil {
		if err := checkKIDSize(s.KID); err != nil {
			return nil, nil, err
		}
		signature.Headers.Protected[cose.HeaderLabelKeyID] = s.KID
	}
	return borderSigner{ctx, s.Signer, alg}, signature, nil
}

// checkSign verifies what was just signed, each signature against its own key.
func checkSign(block, payload []byte, entries []verify.Entry) error {
	for i, e := range entries {
		keys, err := verify.NewKeySet(e)
		if err != nil {
			return fmt.Errorf("signer %d: %w", i, err)
		}
		sigs, err := VerifySign(block, payload, keys)
		if err != nil {
			return err
		}
		if sigs[i].Err != nil {
			return fmt.Errorf("signer %d returned a bad signature: %w", i, sigs[i].Err)
		}
	}
	return nil
}

// VerifySign checks a COSE_Sign_Tagged over the detached payload against keys. It returns one
// Signature per signer, in order; each tells in Err what VerifySign1 would return for it, and
// one bad signer does not spoil the others: a policy names what must be there.
//
// The error is for a block that has no signers to tell of: verify.ErrLimit above MaxSignSize bytes or
// MaxSigners, verify.ErrMalformed, verify.ErrUnsupported for a critical header of the body or an attached payload,
// verify.ErrAlgorithm for an alg in the body, where it would be nobody's. After 256
// signature checks the rest of the signers get verify.ErrLimit.
func VerifySign(block, detached []byte, keys *verify.KeySet) ([]verify.Signature, error) {
	m, err := parseSign(block)
	if err != nil {
		return nil, err
	}
	checks := maxChecks
	sigs := make([]verify.Signature, len(m.Signatures))
	for i, s := range m.Signatures {
		sigs[i].Err = verifySigner(&sigs[i], m, s, detached, keys, &checks)
	}
	return sigs, nil
}

func verifySigner(sig *verify.Signature, m *cose.SignMessage, s *cose.Signature, detached []byte, keys *verify.KeySet, checks *int) error {
	err := checkHeaders(s.Headers)
	if err != nil {
		return err
	}
	if sig.KID, err = keyID(s.Headers); err != nil {
		return err
	}
	alg, err := algorithm(s.Headers)
	if err != nil {
		return err
	}
	if detached == nil {
		return fmt.Errorf("sign without its detached payload: %w", verify.ErrSignature)
	}
	body := m.Headers.RawProtected
	if len(m.Headers.Protected) == 0 {
		body = []byte{0x40} // an empty map is signed as an empty string, RFC 9052 section 4.4
	}
	return search(sig, alg, alg.KeyType(), keys, checks, func(e verify.Entry) error {
		return s.Verify(borderVerifier{e.Key, alg}, body, detached, nil)
	})
}

func parseSign(block []byte) (*cose.SignMessage, error) {
	if len(block) > MaxSignSize {
		return nil, fmt.Errorf("sign of %d bytes, expected at most %d: %w", len(block), MaxSignSize, verify.ErrLimit)
	}
	m := new(cose.SignMessage)
	if err := m.UnmarshalCBOR(block); err != nil {
		return nil, fmt.Errorf("sign: %v: %w", err, verify.ErrMalformed)
	}
	if len(m.Signatures) > MaxSigners {
		return nil, fmt.Errorf("sign by %d signers, expected at most %d: %w", len(m.Signatures), MaxSigners, verify.ErrLimit)
	}
	if err := checkHeaders(m.Headers); err != nil {
		return nil, err
	}
	for _, header := range []map[any]any{m.Headers.Protected, m.Headers.Unprotected} {
		if _, ok := header[cose.HeaderLabelAlgorithm]; ok {
			return nil, fmt.Errorf("sign: alg in the body: %w", verify.ErrAlgorithm)
		}
	}
	if m.Payload != nil {
		return nil, fmt.Errorf("sign with an attached payload of %d bytes: %w", len(m.Payload), verify.ErrUnsupported)
	}
	return m, nil
}
