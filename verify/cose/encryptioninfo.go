// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// MaxEncryptionInfoSize bounds an encoded SUIT_Encryption_Info, in bytes: MaxRecipients with short key ids fit.
const MaxEncryptionInfoSize = 256 << 10

// EncryptionInfo is a decoded SUIT_Encryption_Info: a COSE_Encrypt whose ciphertext is elsewhere. It is
// immutable and safe for concurrent use. Nothing in it is authenticated but by the manifest it came in.
//
// draft-ietf-suit-firmware-encryption-25, sections 6 and 7.
type EncryptionInfo struct {
	alg        ContentAlgorithm
	nonce      []byte
	aad        []byte // the encoded Enc_structure; nil without authentication
	recipients []recipient
}

// RecipientInfo is what a message says of one recipient.
type RecipientInfo struct {
	Algorithm RecipientAlgorithm
	KID       []byte // nil if the recipient has none
	Err       error  // why this package cannot serve the recipient, nil if it can
}

// ParseEncryptionInfo decodes the content of suit-parameter-encryption-info. It needs no key, so that
// all that can be refused is refused before the first side effect:
//
//   - verify.ErrLimit: above MaxEncryptionInfoSize, or a kid above verify.MaxKIDSize;
//   - verify.ErrMalformed: not exactly one tagged COSE_Encrypt; a label twice; no or too many recipients; an IV
//     that is missing or not 12 bytes (16 for AES-CTR); an ephemeral key that is no point of the curve; a protected header
//     where AES-CTR, AES key wrap and direct allow none;
//   - verify.ErrAlgorithm: an unknown content algorithm; an authenticated one that is not in the protected header alone;
//   - verify.ErrUnsupported: critical headers, an attached ciphertext, a partial IV.
//
// A recipient with an algorithm that this package does not have is somebody else's, and no error.
func ParseEncryptionInfo(info []byte) (*EncryptionInfo, error) {
	return parseEncrypt(info, tagEncrypt, "Encrypt")
}

func parseEncrypt(info, tag []byte, context string) (*EncryptionInfo, error) {
	if len(info) > MaxEncryptionInfoSize {
		return nil, fmt.Errorf("encryption info of %d bytes, expected at most %d: %w", len(info), MaxEncryptionInfoSize, verify.ErrLimit)
	}
	info = bytes.Clone(info) // kept in parts
	items, err := tagged(info, tag, 4)
	if err != nil {
		return nil, fmt.Errorf("encryption info: %w", err)
	}
	h, err := readHeaders(items[0], items[1])
	if err != nil {
		return nil, fmt.Errorf("encryption info: %w", err)
	}
	if err := h.critical(); err != nil {
		return nil, fmt.Errorf("encryption info: %w", err)
	}
	if !items[2].isNil() {
		if items[2].kind() == cborstream.Bytes {
			return nil, fmt.Errorf("encryption info with an attached ciphertext: %w", verify.ErrUnsupported)
		}
		return nil, fmt.Errorf("encryption info: ciphertext: nil expected: %w", verify.ErrMalformed)
	}
	i := new(EncryptionInfo)
	if err := i.readContent(h, context); err != nil {
		return nil, fmt.Errorf("encryption info: %w", err)
	}
	if i.recipients, err = readRecipients(items[3]); err == nil {
		err = readAgreements(i.recipients)
	}
	if err != nil {
		return nil, fmt.Errorf("encryption info: %w", err)
	}
	return i, nil
}

// readContent checks algorithm and IV, so that no library is ever called with a size it panics at.
func (i *EncryptionInfo) readContent(h headers, context string) error {
	alg, isProtected, err := h.anyAlg()
	if err != nil {
		return err
	}
	i.alg = ContentAlgorithm(alg)
	switch {
	case i.alg.keySize() == 0:
		return fmt.Errorf("%v: %w", i.alg, verify.ErrAlgorithm)
	case i.alg.Authenticated() && !isProtected:
		return fmt.Errorf("%v in the unprotected header: %w", i.alg, verify.ErrAlgorithm)
	case i.alg.Authenticated():
		i.aad = encStructure(context, h.raw)
	case len(h.raw) != 0:
		return fmt.Errorf("%v with a protected header, which it cannot protect: %w", i.alg, verify.ErrMalformed)
	}
	if _, ok := h.value(labelPartialIV); ok {
		return fmt.Errorf("partial iv: %w", verify.ErrUnsupported)
	}
	if i.nonce, err = h.bytes(labelIV); err != nil {
		return err
	}
	if len(i.nonce) != i.alg.nonceSize() {
		return fmt.Errorf("iv of %d bytes for %v, expected %d: %w", len(i.nonce), i.alg, i.alg.nonceSize(), verify.ErrMalformed)
	}
	return nil
}

// encStructure is the Enc_structure of RFC 9052, section 5.3, with an empty external_aad.
func encStructure(context string, protected []byte) []byte {
	b := cborstream.AppendArray(nil, 3)
	b = cborstream.AppendText(b, context)
	b = cborstream.AppendBytes(b, protected)
	return cborstream.AppendBytes(b, nil)
}

// Algorithm returns the content algorithm.
func (i *EncryptionInfo) Algorithm() ContentAlgorithm { return i.alg }

// Recipients returns what the message says of each recipient, in its order.
func (i *EncryptionInfo) Recipients() []RecipientInfo {
	var out []RecipientInfo
	for _, r := range i.recipients {
		out = append(out, RecipientInfo{r.alg, bytes.Clone(r.kid), r.unusable})
	}
	return out
}

// open returns the cipher with the content key that keys can get at.
func (i *EncryptionInfo) open(ctx context.Context, keys *RecipientKeys, other []byte) (contentCipher, error) {
	key, err := keys.open(ctx, i.recipients, i.alg.keySize(), other)
	if err != nil {
		return nil, fmt.Errorf("content key: %w", err)
	}
	defer clear(key)
	return newContentCipher(i.alg, key, i.nonce, i.aad)
}
