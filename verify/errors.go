// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "errors"

// Conditions a caller can act on; match them with errors.Is. The packages above wrap
// them under their own sentinels, so both are found.
var (
	// ErrSignature: the bytes are not a signature of this message by this key.
	ErrSignature = errors.New("signature does not verify")

	// ErrDecrypt: no key at hand opens the encryption layer, or a ciphertext or wrapped key was
	// altered. Which of them is not told apart further.
	ErrDecrypt = errors.New("does not decrypt")

	// ErrThreshold: fewer distinct public keys signed than the policy asks for.
	ErrThreshold = errors.New("too few distinct signers")

	// ErrAlgorithm: an algorithm, key type or curve that is unknown, weak, or not the
	// one the key record stands for.
	ErrAlgorithm = errors.New("algorithm not accepted")

	// ErrKeyUnknown: the signature names a key that is not in the key set.
	ErrKeyUnknown = errors.New("key unknown")

	// ErrKeyRevoked: the key is in the key set, marked as revoked.
	ErrKeyRevoked = errors.New("key revoked")

	// ErrExpired: signed data is past the time its signer set for it.
	ErrExpired = errors.New("expired")

	// ErrClock: no trustworthy time, or a clock that stands before time already proven.
	ErrClock = errors.New("no trustworthy clock")

	// ErrPolicy: the evidence does not satisfy the policy, or the key set or policy
	// itself is unusable (empty, contradictory). See PolicyError.
	ErrPolicy = errors.New("refused by policy")

	// ErrMalformed: bytes that are not an encoding of what was asked for.
	ErrMalformed = errors.New("malformed")

	// ErrUnsupported: a well-formed structure that demands something this package
	// does not do, such as an unknown critical header.
	ErrUnsupported = errors.New("unsupported")

	// ErrCounter: a Counter whose number cannot be known for certain, or that cannot be raised.
	ErrCounter = errors.New("counter unusable")

	// ErrLimit: input above a documented bound.
	ErrLimit = errors.New("limit exceeded")
)
