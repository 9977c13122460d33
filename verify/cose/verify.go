// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
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
	alg, err := m.identify(sig)
	if err != nil {
		return fmt.Errorf("sign1: %w", err)
	}
	if detached == nil {
		return fmt.Errorf("sign1 without its detached payload: %w", verify.ErrSignature)
	}
	content := signature1(m.raw, detached)
	checks := verify.MaxCandidates
	return search(sig, alg, alg.KeyType(), keys, &checks, func(e verify.Entry) error {
		return e.VerifyRaw(content, m.signature)
	})
}

// signature1 is the Sig_structure of a COSE_Sign1, RFC 9052 section 4.4, with an empty external_aad.
func signature1(protected, payload []byte) []byte {
	const heads = 32 // more than what is around the two
	b := cborstream.AppendArray(make([]byte, 0, heads+len(protected)+len(payload)), 4)
	b = cborstream.AppendText(b, "Signature1")
	b = cborstream.AppendBytes(b, protected)
	b = cborstream.AppendBytes(b, nil)
	return cborstream.AppendBytes(b, payload)
}

// search runs check on the keys of one type that a block with sig.KID may be by, and completes sig.
// Each check takes one from checks, the budget of the whole block.
func search(sig *verify.Signature, alg fmt.Stringer, kind verify.KeyType, keys *verify.KeySet, checks *int, check func(verify.Entry) error) error {
	candidates := keys.Lookup(sig.KID)
	fit, meant := 0, sig.KID == nil && len(candidates) > 0
	for _, e := range candidates {
		if e.Key.Type() == kind {
			fit++
		}
		meant = meant || e.KID != nil
	}
	switch {
	case fit == 0 && meant:
		return fmt.Errorf("block says %v, its key is not %v: %w", alg, kind, verify.ErrAlgorithm)
	case fit == 0:
		return fmt.Errorf("block %s: %w", kidText(sig.KID), verify.ErrKeyUnknown)
	}
	for _, e := range candidates {
		if e.Key.Type() != kind {
			continue
		}
		if *checks <= 0 {
			return fmt.Errorf("block costs too many checks: %w", verify.ErrLimit)
		}
		*checks--
		if fit == 1 {
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
	return fmt.Errorf("block %s, keys tried: %d: %w", kidText(sig.KID), fit, verify.ErrSignature)
}

func kidText(kid []byte) string {
	if len(kid) == 0 {
		return "without kid"
	}
	return fmt.Sprintf("with kid %x", kid)
}

// signed is a layer that carries a signature: a COSE_Sign1 or a COSE_Signature.
type signed struct {
	headers
	signature []byte
}

// parse decodes the block and applies the rules on its structure.
func parse(block []byte) (m signed, err error) {
	if len(block) > MaxBlockSize {
		return m, fmt.Errorf("sign1 of %d bytes, expected at most %d: %w", len(block), MaxBlockSize, verify.ErrLimit)
	}
	payload, err := m.read(block)
	if err != nil {
		return m, fmt.Errorf("sign1: %v: %w", err, verify.ErrMalformed) // whatever it is: nesting, too, is a matter of form
	}
	if err := m.checkHeaders(); err != nil {
		return m, err
	}
	if !payload.isNil() {
		return m, fmt.Errorf("sign1 with an attached payload: %w", verify.ErrUnsupported)
	}
	return m, nil
}

func (m *signed) read(block []byte) (payload item, err error) {
	items, err := tagged(block, tagSign1, 4)
	if err != nil {
		return nil, err
	}
	if err := checkPayload(items[2]); err != nil {
		return nil, err
	}
	return items[2], m.readLayer(items[0], items[1], items[3])
}

func checkPayload(payload item) error {
	if !payload.isNil() && payload.kind() != cborstream.Bytes {
		return fmt.Errorf("payload: nil expected: %w", verify.ErrMalformed)
	}
	return nil
}

func (m *signed) readLayer(protected, unprotected, signature item) (err error) {
	if m.headers, err = readSignatureHeaders(protected, unprotected); err != nil {
		return err
	}
	if m.signature, err = byteString(signature); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if len(m.signature) == 0 {
		return fmt.Errorf("signature of no bytes: %w", verify.ErrMalformed)
	}
	return nil
}

// identify reads what selects the key, and returns the algorithm, which the key has to confirm.
func (m *signed) identify(sig *verify.Signature) (alg Algorithm, err error) {
	if sig.KID, err = m.keyID(); err != nil {
		return 0, err
	}
	n, err := m.protectedAlg()
	if err == nil && !Algorithm(n).signs() {
		err = fmt.Errorf("protected alg %d: %w", n, verify.ErrAlgorithm)
	}
	return Algorithm(n), err
}

// checkHeaders refuses labels in both headers and critical ones.
func (h headers) checkHeaders() error {
	if err := h.disjoint(); err != nil {
		return err
	}
	return h.critical()
}
