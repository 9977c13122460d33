// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"filippo.io/edwards25519"
)

// checkEdwardsPoint accepts the canonical encodings of points of edwards25519 whose order
// is not a divisor of 8. crypto/ed25519 decodes such keys only while verifying, and
// verifies under small-order ones: with one of those as trusted key, a signature of zeros
// fits every message, or one in a few.
//
// RFC 8032, section 5.1.3 (decoding). SetBytes also decodes encodings that are not canonical, but encodes none.
func checkEdwardsPoint(pub ed25519.PublicKey) error {
	p, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return fmt.Errorf("ed25519 public key: not a point of the curve: %w", ErrAlgorithm)
	}
	if !bytes.Equal(p.Bytes(), pub) {
		return fmt.Errorf("ed25519 public key: encoding is not canonical: %w", ErrAlgorithm)
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("ed25519 public key: point of small order: %w", ErrAlgorithm)
	}
	return nil
}
