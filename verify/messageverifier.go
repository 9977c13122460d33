// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"filippo.io/edwards25519"
)

// A MessageVerifier checks one signature over a message that is written to it piece by piece, so that the message need not be in
// memory. It comes to the same result as Key.VerifySignature. It is not safe for concurrent use.
type MessageVerifier struct {
	key    Key
	h      hash.Hash
	finish func(sum []byte) bool
}

// NewMessageVerifier returns a MessageVerifier for a signature in the form that VerifySignature takes. A key of type MLDSA65 needs
// the whole message: it, a Secret's name and the zero Key are ErrAlgorithm. A signature that fits no message is ErrSignature.
func (k Key) NewMessageVerifier(sig []byte) (*MessageVerifier, error) {
	sig = append([]byte(nil), sig...)
	switch pub := k.Public().(type) {
	case *ecdsa.PublicKey:
		return &MessageVerifier{k, sha256.New(), func(sum []byte) bool {
			return len(sig) <= maxDERSize && ecdsa.VerifyASN1(pub, sum, sig)
		}}, nil
	case ed25519.PublicKey:
		return newEd25519Verifier(k, pub, sig)
	}
	return nil, fmt.Errorf("verify a message in pieces with %v: %w", k, ErrAlgorithm)
}

// newEd25519Verifier is RFC 8032, section 5.1.7, in the variant that crypto/ed25519 has, too: without the cofactor, R compared as bytes.
func newEd25519Verifier(k Key, pub ed25519.PublicKey, sig []byte) (*MessageVerifier, error) {
	if len(sig) != rawSize {
		return nil, fmt.Errorf("%v, signature of %d bytes: %w", k, len(sig), ErrSignature)
	}
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return nil, fmt.Errorf("%v: %v: %w", k, err, ErrAlgorithm)
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(sig[32:])
	if err != nil {
		return nil, fmt.Errorf("%v: %v: %w", k, err, ErrSignature)
	}
	h := sha512.New()
	h.Write(sig[:32])
	h.Write(pub)
	return &MessageVerifier{k, h, func(sum []byte) bool {
		c, err := edwards25519.NewScalar().SetUniformBytes(sum)
		if err != nil {
			return false
		}
		// [S]B = R + [c]A, that is R = [S]B + [c](-A)
		r := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(c, new(edwards25519.Point).Negate(a), s)
		return string(r.Bytes()) == string(sig[:32])
	}}, nil
}

// Write takes the next piece of the message. It returns no error.
func (v *MessageVerifier) Write(p []byte) (int, error) { return v.h.Write(p) }

// Verify returns nil if the signature is one over what was written, or ErrSignature.
func (v *MessageVerifier) Verify() error {
	if !v.finish(v.h.Sum(nil)) {
		return fmt.Errorf("%v: %w", v.key, ErrSignature)
	}
	return nil
}
