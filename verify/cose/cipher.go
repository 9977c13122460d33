// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 the one-shot construction cannot stream; its use here follows RFC 8439, section 2.8
	"golang.org/x/crypto/poly1305"

	"github.com/firmament-dev/firmament/verify"
)

// contentCipher is a content algorithm in pieces. The library's AEADs want the whole message in memory,
// where a firmware image does not fit; their parts do not.
type contentCipher interface {
	// xor applies the next len(src) bytes of key stream; dst and src may be the same.
	xor(dst, src []byte)

	// absorb authenticates the next bytes of ciphertext. A no-op where nothing is authenticated.
	absorb(ciphertext []byte)

	// tag ends the message. All zero where nothing is authenticated.
	tag() [tagSize]byte
}

// newContentCipher checks all sizes: the libraries below panic at wrong ones.
func newContentCipher(alg ContentAlgorithm, key, nonce, aad []byte) (contentCipher, error) {
	if alg.keySize() == 0 || len(key) != alg.keySize() || len(nonce) != alg.nonceSize() {
		return nil, fmt.Errorf("%v with a key of %d and an iv of %d bytes: %w", alg, len(key), len(nonce), verify.ErrAlgorithm)
	}
	if alg.Authenticated() && fips140.Enforced() {
		return nil, fmt.Errorf("%v in pieces, under strict FIPS 140 enforcement: %w", alg, verify.ErrUnsupported)
	}
	if alg == ChaCha20Poly1305 {
		return newChaCha(key, nonce, aad)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%v: %v: %w", alg, err, verify.ErrAlgorithm)
	}
	if alg.Authenticated() {
		return newGCM(block, nonce, aad)
	}
	return ctr{cipher.NewCTR(block, nonce)}, nil
}

// ctr is AES-CTR, RFC 9459: the counter block starts at the IV.
type ctr struct{ stream cipher.Stream }

func (c ctr) xor(dst, src []byte) { c.stream.XORKeyStream(dst, src) }
func (c ctr) absorb([]byte)       {}
func (c ctr) tag() [tagSize]byte  { return [tagSize]byte{} }

// chacha is AEAD_CHACHA20_POLY1305, RFC 8439 section 2.8.
type chacha struct {
	stream          *chacha20.Cipher
	mac             *poly1305.MAC
	aadSize, ctSize uint64
}

func newChaCha(key, nonce, aad []byte) (*chacha, error) {
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		return nil, fmt.Errorf("chacha20: %v: %w", err, verify.ErrAlgorithm)
	}
	var macKey [32]byte // the first half of block 0; the content starts at block 1
	stream.XORKeyStream(macKey[:], macKey[:])
	stream.SetCounter(1)
	c := &chacha{stream: stream, mac: poly1305.New(&macKey), aadSize: uint64(len(aad))}
	c.mac.Write(aad)
	c.pad(c.aadSize)
	return c, nil
}

func (c *chacha) pad(n uint64) {
	var zeros [16]byte
	c.mac.Write(zeros[:(16-n%16)%16])
}

func (c *chacha) xor(dst, src []byte) { c.stream.XORKeyStream(dst, src) }

func (c *chacha) absorb(ciphertext []byte) {
	c.mac.Write(ciphertext)
	c.ctSize += uint64(len(ciphertext))
}

func (c *chacha) tag() (tag [tagSize]byte) {
	c.pad(c.ctSize)
	var sizes [16]byte
	binary.LittleEndian.PutUint64(sizes[:8], c.aadSize)
	binary.LittleEndian.PutUint64(sizes[8:], c.ctSize)
	c.mac.Write(sizes[:])
	c.mac.Sum(tag[:0])
	return tag
}
