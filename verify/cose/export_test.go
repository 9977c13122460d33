// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"context"
	"io"
)

// SUITContext is what SUIT binds an agreed key to; the examples of COSE bind it to nothing (nil).
var SUITContext = suitContext

// DecryptIn is Decrypt with another SuppPubInfo.other.
func DecryptIn(ctx context.Context, info, ciphertext []byte, keys *RecipientKeys, other []byte) ([]byte, error) {
	i, err := ParseEncryptionInfo(info)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	d, err := i.decrypter(ctx, keys, other, &out)
	if err != nil {
		return nil, err
	}
	d.Write(ciphertext)
	err = d.Close()
	return out.Bytes(), err
}

// EncryptFrom is Encrypt with random numbers that a test chose: key, IV, then one scalar per ECDH-ES recipient.
func EncryptFrom(ctx context.Context, random io.Reader, alg ContentAlgorithm, plaintext []byte, other []byte, recipients ...Recipient) (info, ciphertext []byte, err error) {
	var out bytes.Buffer
	e, err := newEncrypter(ctx, random, alg, &out, recipients, other)
	if err != nil {
		return nil, nil, err
	}
	e.Write(plaintext)
	err = e.Close()
	return e.Info(), out.Bytes(), err
}

// MakeMacFrom is MakeMac with random numbers that a test chose.
func MakeMacFrom(ctx context.Context, random io.Reader, payload []byte, recipients ...Recipient) ([]byte, error) {
	return makeMac(ctx, random, payload, recipients)
}

// KDFContext is kdfContext.
var KDFContext = kdfContext

// ContentCipher is a content algorithm in pieces.
type ContentCipher struct{ c contentCipher }

// NewContentCipher is newContentCipher.
func NewContentCipher(alg ContentAlgorithm, key, nonce, aad []byte) (ContentCipher, error) {
	c, err := newContentCipher(alg, key, nonce, aad)
	return ContentCipher{c}, err
}

// Seal encrypts pieces, and appends the tag if the algorithm has one.
func (c ContentCipher) Seal(alg ContentAlgorithm, pieces ...[]byte) []byte {
	var out []byte
	for _, p := range pieces {
		b := make([]byte, len(p))
		c.c.xor(b, p)
		c.c.absorb(b)
		out = append(out, b...)
	}
	if !alg.Authenticated() {
		return out
	}
	tag := c.c.tag()
	return append(out, tag[:]...)
}

// ShortenRoom makes d or e believe that n bytes are the most their algorithm can do.
func (d *Decrypter) ShortenRoom(n int64) { d.room = n }

// ShortenRoom is Decrypter.ShortenRoom.
func (e *Encrypter) ShortenRoom(n int64) { e.room = n }

// Reads reports which kinds of message can be read, whatever their payload, algorithm and critical headers.
func Reads(message []byte) (sign1, sign, mac bool) {
	_, err1 := new(signed).read(message)
	m := new(signMessage)
	signatures, err := m.read(message)
	for _, s := range signatures {
		if err == nil {
			var items []item
			if items, err = tuple(s, 3); err == nil {
				err = new(signed).readLayer(items[0], items[1], items[2])
			}
		}
	}
	_, mac0Err := parseMac(message, tagMac0)
	_, macErr := parseMac(message, tagMac)
	return err1 == nil, err == nil, mac0Err == nil || macErr == nil
}
