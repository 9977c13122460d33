// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/ed25519"
	"fmt"
	"math/big"
	"slices"
)

// checkEdwardsPoint accepts the canonical encodings of points of edwards25519 whose order
// is not a divisor of 8. crypto/ed25519 decodes such keys only while verifying, and
// verifies under small-order ones: with one of those as trusted key, a signature of zeros
// fits every message, or one in a few.
//
// RFC 8032, section 5.1.3 (decoding); the curve is -x^2 + y^2 = 1 + d x^2 y^2 modulo p = 2^255-19.
func checkEdwardsPoint(pub ed25519.PublicKey) error {
	le := slices.Clone(pub)
	sign := le[31] >> 7
	le[31] &= 0x7f
	slices.Reverse(le)
	y := new(big.Int).SetBytes(le)

	one := big.NewInt(1)
	p := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	mul := func(a, b *big.Int) *big.Int { c := new(big.Int).Mul(a, b); return c.Mod(c, p) }
	add := func(a, b *big.Int) *big.Int { c := new(big.Int).Add(a, b); return c.Mod(c, p) }
	sub := func(a, b *big.Int) *big.Int { c := new(big.Int).Sub(a, b); return c.Mod(c, p) }

	if y.Cmp(p) >= 0 {
		return fmt.Errorf("ed25519 public key: encoding is not canonical: %w", ErrAlgorithm)
	}
	d := mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), p))
	yy := mul(y, y)
	xx := mul(sub(yy, one), new(big.Int).ModInverse(add(mul(d, yy), one), p)) // -d is no square: never zero
	x := new(big.Int).ModSqrt(xx, p)
	if x == nil || (x.Sign() == 0 && sign == 1) {
		return fmt.Errorf("ed25519 public key: not a point of the curve: %w", ErrAlgorithm)
	}
	// Doubling three times ends in the neutral element (0, 1) exactly for the eight points of
	// small order. Only y is needed: y(2P) = (y^2 + x^2) / (2 + x^2 - y^2), and the curve gives x^2.
	for range 3 {
		yy = mul(y, y)
		xx = mul(sub(yy, one), new(big.Int).ModInverse(add(mul(d, yy), one), p))
		y = mul(add(yy, xx), new(big.Int).ModInverse(sub(add(big.NewInt(2), xx), yy), p))
	}
	if y.Cmp(one) == 0 {
		return fmt.Errorf("ed25519 public key: point of small order: %w", ErrAlgorithm)
	}
	return nil
}
