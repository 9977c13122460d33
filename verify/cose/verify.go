// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/veraison/go-cose"

	"github.com/firmament-dev/firmament/verify"
)

// MaxBlockSize bounds an encoded COSE_Sign1, in bytes.
const MaxBlockSize = 4096

// VerifySign1 checks one COSE_Sign1_Tagged over the detached payload against keys. The
// returned Signature describes the block whatever the outcome; its Err is the returned error,
// so a caller with several blocks collects Signatures into verify.Evidence.
//
// With a kid, the keys listed under it are tried; without one, all keys of the block's
// algorithm. Errors, in the order they are checked:
//
//   - verify.ErrLimit: block above MaxBlockSize, or kid above verify.MaxKIDSize;
//   - verify.ErrMalformed: not exactly one tagged, well-formed, definite-length Sign1 without
//     duplicate labels; kid empty, not a bstr, or different in both headers;
//   - verify.ErrUnsupported: any critical header; an attached payload;
//   - verify.ErrAlgorithm: alg not an integer in the protected header alone, unknown, or not that of the keys;
//   - verify.ErrKeyUnknown: kid not in keys, or no keys;
//   - verify.ErrSignature: no candidate verifies it (a nil payload counts as swapped);
//   - verify.ErrKeyRevoked: a good signature by a revoked key.
//
// It keeps no reference to its arguments.
func VerifySign1(block, detached []byte, keys *verify.KeySet) (verify.Signature, error) {
	var sig verify.Signature
	sig.Err = verifySign1(&sig, block, detached, keys)
	return sig, sig.Err
}

func verifySign1(sig *verify.Signature, block, detached []byte, keys *verify.KeySet) error {
	m, err := parse(block)
	if err != nil {
		return err
	}
	if sig.KID, err = keyID(m.Headers); err != nil {
		return err
	}
	alg, err := algorithm(m.Headers)
	if err != nil {
		return err
	}
	if detached == nil {
		return fmt.Errorf("sign1 without its detached payload: %w", verify.ErrSignature)
	}
	m.Payload = detached

	checks := verify.MaxCandidates
	return search(sig, alg, alg.KeyType(), keys, &checks, func(e verify.Entry) error {
		return m.Verify(nil, borderVerifier{e.Key, alg})
	})
}

// search runs check on the keys of one type that a block with sig.KID may be by, and completes sig.
// Each check takes one from checks, the budget of the whole block.
func search(sig *verify.Signature, alg fmt.Stringer, kind verify.KeyType, keys *verify.KeySet, checks *int, check func(verify.Entry) error) error {
	candidates := keys.Lookup(sig.KID)
	if len(candidates) == 0 {
		return fmt.Errorf("block with kid %x: %w", sig.KID, verify.ErrKeyUnknown)
	}
	tried := 0
	for _, e := range candidates {
		if e.Key.Type() != kind {
			continue
		}
		if *checks <= 0 {
			return fmt.Errorf("block costs too many checks: %w", verify.ErrLimit)
		}
		*checks--
		tried++
		if len(candidates) == 1 {
			sig.Entry = e
		}
		if check(e) != nil {
			continue
		}
		sig.Entry = e
		if e.Revoked {
			return fmt.Errorf("block by %v: %w", e.Key, verify.ErrKeyRevoked)
		}
		return nil
	}
	if tried == 0 {
		return fmt.Errorf("block says %v, its key is not %v: %w", alg, kind, verify.ErrAlgorithm)
	}
	return fmt.Errorf("block with kid %x, %d keys tried: %w", sig.KID, tried, verify.ErrSignature)
}

// parse decodes the block and applies the rules on its structure. go-cose refuses
// indefinite lengths, duplicate labels, inner tags, trailing bytes, and an empty signature.
func parse(block []byte) (*cose.Sign1Message, error) {
	if len(block) > MaxBlockSize {
		return nil, fmt.Errorf("sign1 of %d bytes, expected at most %d: %w", len(block), MaxBlockSize, verify.ErrLimit)
	}
	m := new(cose.Sign1Message)
	if err := m.UnmarshalCBOR(block); err != nil {
		return nil, fmt.Errorf("sign1: %v: %w", err, verify.ErrMalformed)
	}
	if err := checkHeaders(m.Headers); err != nil {
		return nil, err
	}
	if m.Payload != nil {
		return nil, fmt.Errorf("sign1 with an attached payload of %d bytes: %w", len(m.Payload), verify.ErrUnsupported)
	}
	return m, nil
}

// checkHeaders refuses labels in both headers and critical ones. alg and kid have rules of their own.
func checkHeaders(h cose.Headers) error {
	for label := range h.Protected {
		if _, twice := h.Unprotected[label]; twice && label != cose.HeaderLabelAlgorithm && label != cose.HeaderLabelKeyID {
			return fmt.Errorf("label %v in both headers: %w", label, verify.ErrMalformed)
		}
	}
	if _, ok := h.Protected[cose.HeaderLabelCritical]; ok {
		return fmt.Errorf("block with critical headers: %w", verify.ErrUnsupported)
	}
	return nil
}

// keyID returns the kid, nil if there is none.
func keyID(h cose.Headers) ([]byte, error) {
	var kid []byte
	for _, header := range []map[any]any{h.Protected, h.Unprotected} {
		value, ok := header[cose.HeaderLabelKeyID]
		if !ok {
			continue
		}
		b, ok := value.([]byte)
		switch {
		case !ok || len(b) == 0:
			return nil, fmt.Errorf("sign1: kid is not a byte string of at least one byte: %w", verify.ErrMalformed)
		case len(b) > verify.MaxKIDSize:
			return nil, fmt.Errorf("sign1: kid of %d bytes, expected at most %d: %w", len(b), verify.MaxKIDSize, verify.ErrLimit)
		case kid != nil && !bytes.Equal(kid, b):
			return nil, fmt.Errorf("sign1: different kid in both headers: %w", verify.ErrMalformed)
		}
		kid = b
	}
	return bytes.Clone(kid), nil
}

// algorithm returns alg of the protected header; the unprotected one must not have it.
func algorithm(h cose.Headers) (Algorithm, error) {
	if _, ok := h.Unprotected[cose.HeaderLabelAlgorithm]; ok {
		return 0, fmt.Errorf("sign1: alg in the unprotected header: %w", verify.ErrAlgorithm)
	}
	alg, err := h.Protected.Algorithm()
	if err != nil || !Algorithm(alg).signs() {
		return 0, fmt.Errorf("sign1: protected alg %v: %w", h.Protected[cose.HeaderLabelAlgorithm], verify.ErrAlgorithm)
	}
	return Algorithm(alg), nil
}

// borderVerifier gives a verify.Key to go-cose, with the algorithm numbers go-cose does not know.
type borderVerifier struct {
	key verify.Key
	alg Algorithm
}

func (v borderVerifier) Algorithm() cose.Algorithm { return cose.Algorithm(v.alg) }

func (v borderVerifier) Verify(content, signature []byte) error {
	if v.key.Type() != v.alg.KeyType() {
		return errors.New("key type") // not reached; a second lock on the door
	}
	return v.key.VerifyRaw(content, signature)
}
