// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// MaxEncrypt0Size bounds a COSE_Encrypt0, in bytes: it is held in memory.
const MaxEncrypt0Size = 2 << 20

// ContentKey is a content key that two parties share, with the one algorithm it is for. It is immutable and safe for
// concurrent use, and prints as REDACTED.
type ContentKey struct {
	alg ContentAlgorithm
	kid []byte
	key []byte
}

// NewContentKey copies a key of alg's size: 16 bytes for A128GCM and A128CTR, else 32. The kid is optional (nil), 1 to
// verify.MaxKIDSize bytes. With an algorithm that does not authenticate, what is opened is whatever the ciphertext's sender made
// it: a signature or MAC has to be around it. Errors: verify.ErrAlgorithm, verify.ErrLimit.
func NewContentKey(alg ContentAlgorithm, kid, key []byte) (*ContentKey, error) {
	if alg.keySize() == 0 || len(key) != alg.keySize() {
		return nil, fmt.Errorf("content key of %d bytes for %v: %w", len(key), alg, verify.ErrAlgorithm)
	}
	if kid != nil {
		if err := checkKIDSize(kid); err != nil {
			return nil, err
		}
	}
	return &ContentKey{alg, bytes.Clone(kid), bytes.Clone(key)}, nil
}

// Algorithm returns what the key is for.
func (k *ContentKey) Algorithm() ContentAlgorithm { return k.alg }

// Format prints the algorithm; the key is REDACTED under every verb.
func (k ContentKey) Format(f fmt.State, _ rune) {
	io.WriteString(f, "content key for "+k.alg.String()+" REDACTED")
}

// Encrypt0 returns a COSE_Encrypt0, untagged, with an iv from the system's random source:
//
//	[protected: bstr .cbor {1: alg}, {? 4: kid, 5: iv}, ciphertext: bstr]
//	[protected: h'', {1: alg, ? 4: kid, 5: iv}, ciphertext: bstr]    ; AES-CTR, which can protect no header
//
// Errors: verify.ErrLimit for more than MaxEncrypt0Size, verify.ErrUnsupported as NewDecrypter.
//
// RFC 9052, section 5.2; RFC 9459, section 5.
func (k *ContentKey) Encrypt0(plaintext []byte) ([]byte, error) {
	nonce := make([]byte, k.alg.nonceSize())
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("iv: %w", err)
	}
	var protected, aad []byte
	labels := 1
	if k.alg.Authenticated() {
		protected = protectedHeader(int64(k.alg), nil)
		aad = encStructure(encrypt0Context, protected)
	} else {
		labels++
	}
	if k.kid != nil {
		labels++
	}
	c, err := newContentCipher(k.alg, k.key, nonce, aad)
	if err != nil {
		return nil, err
	}
	ciphertext := make([]byte, len(plaintext), len(plaintext)+tagSize)
	c.xor(ciphertext, plaintext)
	if c.absorb(ciphertext); k.alg.Authenticated() {
		tag := c.tag()
		ciphertext = append(ciphertext, tag[:]...)
	}
	b := cborstream.AppendBytes(cborstream.AppendArray(nil, encrypt0Members), protected)
	b = cborstream.AppendMap(b, labels)
	if !k.alg.Authenticated() {
		b = cborstream.AppendInt(cborstream.AppendInt(b, labelAlg), int64(k.alg))
	}
	if k.kid != nil {
		b = cborstream.AppendBytes(cborstream.AppendInt(b, labelKID), k.kid)
	}
	b = cborstream.AppendBytes(cborstream.AppendInt(b, labelIV), nonce)
	b = cborstream.AppendBytes(b, ciphertext)
	if len(b) > MaxEncrypt0Size {
		return nil, fmt.Errorf("encrypt0 of %d bytes, limit %d: %w", len(b), MaxEncrypt0Size, verify.ErrLimit)
	}
	return b, nil
}

const (
	encrypt0Context = "Encrypt0"
	encrypt0Members = 3
)

// DecryptEncrypt0 reads what Encrypt0 makes and returns the plaintext. Of keys those are tried that are for its algorithm and, if it has
// a kid and they have one, have the same. Errors: those of ParseEncryptionInfo; verify.ErrLimit above MaxEncrypt0Size;
// verify.ErrKeyUnknown if no key fits; verify.ErrDecrypt if none opens it.
func DecryptEncrypt0(b []byte, keys ...*ContentKey) ([]byte, error) {
	if len(b) > MaxEncrypt0Size {
		return nil, fmt.Errorf("encrypt0 of %d bytes, limit %d: %w", len(b), MaxEncrypt0Size, verify.ErrLimit)
	}
	i, kid, ciphertext, err := parseEncrypt0(b)
	if err != nil {
		return nil, fmt.Errorf("encrypt0: %w", err)
	}
	err = fmt.Errorf("encrypt0 with %v: no key for it: %w", i.alg, verify.ErrKeyUnknown)
	for _, k := range keys {
		if k == nil || k.alg != i.alg || (kid != nil && k.kid != nil && !bytes.Equal(kid, k.kid)) {
			continue
		}
		var plaintext []byte
		if plaintext, err = i.openWith(k, ciphertext); err == nil {
			return plaintext, nil
		}
	}
	return nil, err
}

func parseEncrypt0(b []byte) (i *EncryptionInfo, kid, ciphertext []byte, err error) {
	p := cborstream.NewCOSE(b, cborstream.Limits{Size: MaxEncrypt0Size, Depth: limits.Depth, Items: limits.Items})
	n, err := p.Array()
	if err != nil {
		return nil, nil, nil, err
	}
	if n != encrypt0Members {
		return nil, nil, nil, fmt.Errorf("array of %d items, expected %d: %w", n, encrypt0Members, verify.ErrMalformed)
	}
	var items [2]item
	for k := range items {
		if items[k], err = p.Foreign(); err != nil {
			return nil, nil, nil, err
		}
	}
	if ciphertext, err = p.Bytes(); err == nil {
		p.End()
		err = p.Done()
	}
	if err != nil {
		return nil, nil, nil, err
	}
	h, err := readHeaders(items[0], items[1])
	if err == nil {
		err = h.critical()
	}
	if err != nil {
		return nil, nil, nil, err
	}
	i = new(EncryptionInfo)
	if err := i.readContent(h, encrypt0Context); err != nil {
		return nil, nil, nil, err
	}
	kid, err = h.keyID()
	return i, kid, ciphertext, err
}

func (i *EncryptionInfo) openWith(k *ContentKey, ciphertext []byte) ([]byte, error) {
	c, err := newContentCipher(k.alg, k.key, i.nonce, i.aad)
	if err != nil {
		return nil, err
	}
	var plaintext bytes.Buffer
	d := &Decrypter{dst: &plaintext, cipher: c, alg: i.alg, room: i.alg.MaxPlaintext(), buf: make([]byte, streamBuffer)}
	if _, err := d.Write(ciphertext); err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	return plaintext.Bytes(), nil
}
