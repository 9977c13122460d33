// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// The tags of RFC 9052, table 1, in their only accepted encoding.
var (
	tagMac0    = []byte{0xd1}       // 17
	tagSign1   = []byte{0xd2}       // 18
	tagEncrypt = []byte{0xd8, 0x60} // 96
	tagMac     = []byte{0xd8, 0x61} // 97
	tagSign    = []byte{0xd8, 0x62} // 98
)

// Verify checks one authentication block of a SUIT envelope, of any of the four kinds that may stand
// there: COSE_Sign1, COSE_Sign, COSE_Mac0 or COSE_Mac, told apart by their tag. It returns one
// Signature per signer, at least one and at most MaxSigners, each with its own Err; a block that
// cannot be read is one Signature with the reason in Err, verify.ErrMalformed if the
// tag is none of the four.
func Verify(block, detached []byte, keys *verify.KeySet) []verify.Signature {
	var one verify.Signature
	switch {
	case bytes.HasPrefix(block, tagSign1):
		one, _ = VerifySign1(block, detached, keys) // the error is in one.Err
	case bytes.HasPrefix(block, tagMac0):
		one, _ = VerifyMac0(block, detached, keys)
	case bytes.HasPrefix(block, tagMac):
		one, _ = VerifyMac(block, detached, keys)
	case bytes.HasPrefix(block, tagSign):
		sigs, err := VerifySign(block, detached, keys)
		if err == nil {
			return sigs
		}
		one.Err = err
	default:
		one.Err = fmt.Errorf("block of %d bytes without the tag of a signature or mac: %w", len(block), verify.ErrMalformed)
	}
	return []verify.Signature{one}
}
