// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"fmt"
	"math"
)

// ContentAlgorithm is the algorithm that a payload is encrypted with.
type ContentAlgorithm int64

// The content algorithms in use: RFC 9053, sections 4.1 and 4.3, and RFC 9459.
const (
	A128GCM          ContentAlgorithm = 1
	A256GCM          ContentAlgorithm = 3
	ChaCha20Poly1305 ContentAlgorithm = 24
	A256CTR          ContentAlgorithm = -65532 // no integrity
	A128CTR          ContentAlgorithm = -65534 // no integrity
)

// String returns the registry's name.
func (a ContentAlgorithm) String() string {
	switch a {
	case A128GCM:
		return "A128GCM"
	case A256GCM:
		return "A256GCM"
	case ChaCha20Poly1305:
		return "ChaCha20/Poly1305"
	case A256CTR:
		return "A256CTR"
	case A128CTR:
		return "A128CTR"
	}
	return fmt.Sprintf("content algorithm(%d)", int64(a))
}

// Authenticated reports whether the ciphertext ends in a tag that proves it whole. Without one, anyone
// can flip any bit of the plaintext, and only a digest condition of the manifest protects it.
func (a ContentAlgorithm) Authenticated() bool {
	return a == A128GCM || a == A256GCM || a == ChaCha20Poly1305
}

// Overhead returns by how many bytes the ciphertext is longer than the plaintext.
func (a ContentAlgorithm) Overhead() int64 {
	if a.Authenticated() {
		return tagSize
	}
	return 0
}

// MaxPlaintext returns how many bytes one message can hold, 0 for an unknown algorithm.
func (a ContentAlgorithm) MaxPlaintext() int64 {
	switch a {
	case A128GCM, A256GCM:
		return 1<<36 - 32 // NIST SP 800-38D, section 5.2.1.1
	case ChaCha20Poly1305:
		return 1<<38 - 64 // RFC 8439, section 2.8
	case A128CTR, A256CTR:
		return math.MaxInt64 // the counter block has 128 bits, RFC 9459 section 4
	}
	return 0
}

const (
	tagSize = 16 // of every authenticated content algorithm

	aeadNonceSize = 12
	ctrNonceSize  = 16
)

func (a ContentAlgorithm) keySize() int {
	switch a {
	case A128GCM, A128CTR:
		return 16
	case A256GCM, ChaCha20Poly1305, A256CTR:
		return 32
	}
	return 0
}

func (a ContentAlgorithm) nonceSize() int {
	if a.Authenticated() {
		return aeadNonceSize
	}
	return ctrNonceSize
}
