// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// suitContext is SuppPubInfo.other of draft-ietf-suit-firmware-encryption-25, section 6.2.4. MACs have
// none (RFC 9053, section 5.2), so a key agreed for one is never a key for the other.
var suitContext = []byte("SUIT Payload Encryption")

// kdfContext is the COSE_KDF_Context over the recipient's protected header, byte for byte as received.
func kdfContext(wrap RecipientAlgorithm, keySize int, protected, other []byte) []byte {
	b := cborstream.AppendArray(nil, 4)
	b = cborstream.AppendInt(b, int64(wrap))
	for range 2 { // PartyUInfo and PartyVInfo: no identity, nonce, other
		b = cborstream.AppendArray(b, 3)
		for range 3 {
			b = cborstream.AppendNil(b)
		}
	}
	n := 2
	if other != nil {
		n = 3
	}
	b = cborstream.AppendArray(b, n)
	b = cborstream.AppendInt(b, int64(8*keySize))
	b = cborstream.AppendBytes(b, protected)
	if other != nil {
		b = cborstream.AppendBytes(b, other)
	}
	return b
}

// agreedWrapper derives the key-encryption key of an ECDH-ES recipient from the shared secret.
func agreedWrapper(alg RecipientAlgorithm, secret, salt, protected, other []byte) (verify.KeyWrapper, error) {
	size := 16
	if alg == ECDHA256KW {
		size = 32
	}
	info := kdfContext(alg.agreed(), size, protected, other)
	kek, err := hkdf.Key(sha256.New, secret, salt, string(info), size)
	if err != nil {
		return nil, fmt.Errorf("derive key-encryption key: %v: %w", err, verify.ErrAlgorithm)
	}
	return verify.NewKeyWrapper(kek)
}
