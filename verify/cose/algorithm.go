// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// Algorithm is a signature or MAC algorithm of the IANA COSE Algorithms registry.
type Algorithm int64

// The authentication algorithms in use.
const (
	HMAC256 Algorithm = 5   // HMAC with SHA-256 and a tag of 32 bytes, RFC 9053 section 3.1
	ES256   Algorithm = -7  // ECDSA with SHA-256, RFC 9053 section 2.1; here with P-256 only
	EdDSA   Algorithm = -8  // RFC 9053 section 2.2; verified for Ed25519 keys, never produced (use Ed25519)
	ESP256  Algorithm = -9  // ECDSA with P-256 and SHA-256, RFC 9864
	Ed25519 Algorithm = -19 // RFC 9864
	MLDSA65 Algorithm = -49 // ML-DSA-65 with an empty context string, draft-ietf-cose-dilithium
)

// String returns the registry's name.
func (a Algorithm) String() string {
	switch a {
	case ES256:
		return "ES256"
	case EdDSA:
		return "EdDSA"
	case ESP256:
		return "ESP256"
	case Ed25519:
		return "Ed25519"
	case MLDSA65:
		return "ML-DSA-65"
	case HMAC256:
		return "HMAC 256/256"
	}
	return fmt.Sprintf("algorithm(%d)", int64(a))
}

// KeyType returns the type of key the algorithm works with, 0 for an unknown algorithm.
func (a Algorithm) KeyType() verify.KeyType {
	switch a {
	case ES256, ESP256:
		return verify.P256
	case EdDSA, Ed25519:
		return verify.Ed25519
	case MLDSA65:
		return verify.MLDSA65
	case HMAC256:
		return verify.HMAC256
	}
	return 0
}

// signs reports whether a is a signature algorithm; a MAC under a public key is no evidence.
func (a Algorithm) signs() bool { return a.KeyType() != 0 && a != HMAC256 }

// AlgorithmFor returns the algorithm to sign with for a type of key: ESP256 or Ed25519, the fully
// specified ones that the SUIT algorithm profiles name, or MLDSA65. Any other type is verify.ErrAlgorithm.
func AlgorithmFor(t verify.KeyType) (Algorithm, error) {
	switch t {
	case verify.P256:
		return ESP256, nil
	case verify.Ed25519:
		return Ed25519, nil
	case verify.MLDSA65:
		return MLDSA65, nil
	}
	return 0, fmt.Errorf("no signature algorithm for %v: %w", t, verify.ErrAlgorithm)
}
