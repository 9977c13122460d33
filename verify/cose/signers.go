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
	var protected [][]byte
	var entries []verify.Entry
	for i, s := range by {
		header, err := s.header()
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", i, err)
		}
		protected = append(protected, header)
		entries = append(entries, verify.Entry{KID: s.KID, Key: s.Signer.Public()})
	}
	block := cborstream.AppendArray(bytes.Clone(tagSign), 4)
	block = cborstream.AppendBytes(block, nil)
	block = cborstream.AppendMap(block, 0)
	block = cborstream.AppendNil(block)
	block = cborstream.AppendArray(block, len(by))
	for i, s := range by {
		signature, err := signRaw(ctx, s.Signer, signatureN(nil, protected[i], payload))
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		block = cborstream.AppendArray(block, 3)
		block = cborstream.AppendBytes(block, protected[i])
		block = cborstream.AppendMap(block, 0)
		block = cborstream.AppendBytes(block, signature)
	}
	return block, checkSign(block, payload, entries)
}

// signatureN is the Sig_structure of one signature of a COSE_Sign, RFC 9052 section 4.4, with an empty external_aad.
func signatureN(body, protected, payload []byte) []byte {
	b := cborstream.AppendArray(nil, 5)
	b = cborstream.AppendText(b, "Signature")
	b = cborstream.AppendBytes(b, body)
	b = cborstream.AppendBytes(b, protected)
	b = cborstream.AppendBytes(b, nil)
	return cborstream.AppendBytes(b, payload)
}

// header returns the protected header.
func (s Signatory) header() ([]byte, error) {
	if s.Signer == nil {
		return nil, fmt.Errorf("none given: %w", verify.ErrKeyUnknown)
	}
	alg := s.Algorithm
	if alg == 0 {
		var err error
		if alg, err = AlgorithmFor(s.Signer.Public().Type()); err != nil {
			return nil, err
		}
	}
	if !fits(alg, s.Signer) {
		return nil, fmt.Errorf("%v and %v: %w", alg, s.Signer.Public(), verify.ErrAlgorithm)
	}
	if s.KID != nil {
		if err := checkKIDSize(s.KID); err != nil {
			return nil, err
		}
	}
	return protectedHeader(int64(alg), s.KID), nil
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
	sigs := make([]verify.Signature, len(m.signatures))
	for i, s := range m.signatures {
		sigs[i].Err = verifySigner(&sigs[i], m.body, s, detached, keys, &checks)
	}
	return sigs, nil
}

func verifySigner(sig *verify.Signature, body []byte, s signed, detached []byte, keys *verify.KeySet, checks *int) error {
	if err := s.checkHeaders(); err != nil {
		return err
	}
	alg, err := s.identify(sig)
	if err != nil {
		return err
	}
	if detached == nil {
		return fmt.Errorf("sign without its detached payload: %w", verify.ErrSignature)
	}
	content := signatureN(body, s.raw, detached)
	return search(sig, alg, alg.KeyType(), keys, checks, func(e verify.Entry) error {
		return e.VerifyRaw(content, s.signature)
	})
}

// signMessage is a decoded COSE_Sign.
type signMessage struct {
	headers
	body       []byte // the protected header as it is signed
	payload    item
	signatures []signed
}

func parseSign(block []byte) (m signMessage, err error) {
	if len(block) > MaxSignSize {
		return m, fmt.Errorf("sign of %d bytes, expected at most %d: %w", len(block), MaxSignSize, verify.ErrLimit)
	}
	signatures, err := m.read(block)
	if err != nil {
		return m, fmt.Errorf("sign: %v: %w", err, verify.ErrMalformed)
	}
	if len(signatures) > MaxSigners {
		return m, fmt.Errorf("sign by %d signers, expected at most %d: %w", len(signatures), MaxSigners, verify.ErrLimit)
	}
	m.signatures = make([]signed, len(signatures))
	for i, encoded := range signatures {
		items, err := tuple(encoded, 3)
		if err == nil {
			err = m.signatures[i].readLayer(items[0], items[1], items[2])
		}
		if err != nil {
			return m, fmt.Errorf("signature %d: %v: %w", i, err, verify.ErrMalformed)
		}
	}
	if err := m.checkHeaders(); err != nil {
		return m, err
	}
	if _, ok := m.value(labelAlg); ok {
		return m, fmt.Errorf("sign: alg in the body: %w", verify.ErrAlgorithm)
	}
	if !m.payload.isNil() {
		return m, fmt.Errorf("sign with an attached payload: %w", verify.ErrUnsupported)
	}
	return m, nil
}

func (m *signMessage) read(block []byte) (signatures []item, err error) {
	items, err := tagged(block, tagSign, 4)
	if err != nil {
		return nil, err
	}
	if m.headers, err = readSignatureHeaders(items[0], items[1]); err != nil {
		return nil, err
	}
	if len(m.protected) > 0 {
		m.body = m.raw // an empty map is signed as an empty string
	}
	m.payload = items[2]
	if err := checkPayload(m.payload); err != nil {
		return nil, err
	}
	signatures, err = list(items[3])
	if err == nil && len(signatures) == 0 {
		err = fmt.Errorf("no signatures: %w", verify.ErrMalformed)
	}
	return signatures, err
}
