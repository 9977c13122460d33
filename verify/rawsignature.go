// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"math/big"
)

// ecdsaSignature is Ecdsa-Sig-Value of RFC 3279, section 2.2.3.
type ecdsaSignature struct{ R, S *big.Int }

// RawSignature converts a P-256 signature from ASN.1 DER to the 64 bytes r||s of COSE (RFC
// 9053, section 2.1). It takes exactly the one DER encoding of two integers from 1 to 2^256-1;
// anything else is ErrSignature. It checks the form, not the signature.
func RawSignature(der []byte) ([]byte, error) {
	var sig ecdsaSignature
	if len(der) > maxDERSize {
		return nil, fmt.Errorf("der signature of %d bytes, expected at most %d: %w", len(der), maxDERSize, ErrSignature)
	}
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 || !inRange(sig.R) || !inRange(sig.S) {
		return nil, fmt.Errorf("signature of %d bytes is not two integers in der: %w", len(der), ErrSignature)
	}
	if again, err := asn1.Marshal(sig); err != nil || !bytes.Equal(again, der) {
		return nil, fmt.Errorf("signature is not in canonical der: %w", ErrSignature)
	}
	raw := make([]byte, rawSize)
	sig.R.FillBytes(raw[:rawSize/2])
	sig.S.FillBytes(raw[rawSize/2:])
	return raw, nil
}

// DERSignature converts a P-256 signature from r||s (exactly 64 bytes, neither half zero) to
// ASN.1 DER. Anything else is ErrSignature. It checks the form, not the signature.
func DERSignature(raw []byte) ([]byte, error) {
	if len(raw) != rawSize {
		return nil, fmt.Errorf("raw signature of %d bytes, expected %d: %w", len(raw), rawSize, ErrSignature)
	}
	r, s := bytes.TrimLeft(raw[:rawSize/2], "\x00"), bytes.TrimLeft(raw[rawSize/2:], "\x00")
	if len(r) == 0 || len(s) == 0 {
		return nil, fmt.Errorf("raw signature with r or s of zero: %w", ErrSignature)
	}
	der := make([]byte, 2, maxDERSize) // all lengths are below 128
	der = appendDERInteger(appendDERInteger(der, r), s)
	der[0], der[1] = derSequence, byte(len(der)-2)
	return der, nil
}

const (
	derSequence = 0x30
	derInteger  = 0x02
)

// appendDERInteger appends a positive number without leading zeros.
func appendDERInteger(der, n []byte) []byte {
	if n[0] < 0x80 {
		return append(append(der, derInteger, byte(len(n))), n...)
	}
	return append(append(der, derInteger, byte(len(n)+1), 0), n...) // or it would be negative
}

func inRange(n *big.Int) bool { return n != nil && n.Sign() > 0 && n.BitLen() <= 8*rawSize/2 }
