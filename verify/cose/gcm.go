// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// gcm is AES-GCM (NIST SP 800-38D) in pieces. CTR mode streams as it is; for GHASH the standard
// library's GCM is asked, whose code is fast and constant-time on every platform. It only gives
// whole tags, but over additional data X alone, a multiple of 16 bytes, a tag is
//
//	T = E(J0) ^ (G ^ L)·H    with G = GHASH of X without lengths, L = the block of lengths
//
// so G = (T ^ E(J0))·H⁻¹ ^ L. And a GHASH goes on from a state S by adding S to the next block. So
// each piece costs one call of the library and one multiplication of our own. These tags never leave this type.
type gcm struct {
	aead   cipher.AEAD
	stream cipher.Stream

	nonce    []byte
	mask     element // E(J0)
	h, hInv  element
	state    element
	aadSize  uint64
	ctSize   uint64
	pieceLen int
	piece    [gcmPiece]byte // absorbed, not yet in state
	scratch  [tagSize]byte
}

// gcmPiece is a multiple of 16 and large enough that the call and the multiplication do not show.
const gcmPiece = 4096

func newGCM(block cipher.Block, nonce, aad []byte) (*gcm, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("aes-gcm: %v: %w", err, verify.ErrAlgorithm)
	}
	g := &gcm{aead: aead, nonce: nonce, aadSize: uint64(len(aad))}

	var b [16]byte
	block.Encrypt(b[:], b[:])
	g.h = load(b[:])
	g.hInv = g.h.invert()

	copy(b[:], nonce)
	binary.BigEndian.PutUint32(b[aeadNonceSize:], 1) // J0
	var mask [16]byte
	block.Encrypt(mask[:], b[:])
	g.mask = load(mask[:])
	// The counter of GCM has 32 bits, that of CTR 128. They are the same up to MaxPlaintext.
	binary.BigEndian.PutUint32(b[aeadNonceSize:], 2)
	g.stream = cipher.NewCTR(block, b[:])

	g.add(aad)
	g.fold()
	return g, nil
}

func (g *gcm) xor(dst, src []byte) { g.stream.XORKeyStream(dst, src) }

func (g *gcm) absorb(ciphertext []byte) {
	g.ctSize += uint64(len(ciphertext))
	g.add(ciphertext)
}

func (g *gcm) add(data []byte) {
	for len(data) > 0 {
		n := copy(g.piece[g.pieceLen:], data)
		g.pieceLen += n
		data = data[n:]
		if g.pieceLen == len(g.piece) {
			g.fold()
		}
	}
}

// fold brings the piece, padded with zeros to whole blocks, into state.
func (g *gcm) fold() {
	if g.pieceLen == 0 {
		return
	}
	size := (g.pieceLen + 15) &^ 15
	clear(g.piece[g.pieceLen:size])
	load(g.piece[:]).add(g.state).store(g.piece[:])
	tag := load(g.aead.Seal(g.scratch[:0], g.nonce, nil, g.piece[:size]))
	g.state = tag.add(g.mask).mul(g.hInv).add(sizes(uint64(size), 0))
	g.pieceLen = 0
}

func (g *gcm) tag() (tag [tagSize]byte) {
	g.fold()
	g.state.add(sizes(g.aadSize, g.ctSize)).mul(g.h).add(g.mask).store(tag[:])
	return tag
}

// sizes is the last block of a GHASH: both lengths in bits.
func sizes(aad, ciphertext uint64) element { return element{8 * aad, 8 * ciphertext} }

// element is a polynomial of GF(2^128) as GCM writes it: the coefficient of x^0 is the
// highest bit of hi. All operations take the same time for all values.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (e element) store(b []byte) {
	binary.BigEndian.PutUint64(b, e.hi)
	binary.BigEndian.PutUint64(b[8:], e.lo)
}

func (e element) add(f element) element { return element{e.hi ^ f.hi, e.lo ^ f.lo} }

// mul is algorithm 1 of NIST SP 800-38D, with masks in the place of branches.
func (e element) mul(f element) element {
	const reduction = 0xe1 << 56 // x^128 = x^7 + x^2 + x + 1
	var z element
	for i := range 128 {
		word := e.hi
		if i >= 64 {
			word = e.lo
		}
		bit := -(word >> (63 - i%64) & 1)
		z = element{z.hi ^ f.hi&bit, z.lo ^ f.lo&bit}
		carry := -(f.lo & 1)
		f = element{f.hi>>1 ^ reduction&carry, f.lo>>1 | f.hi<<63}
	}
	return z
}

// invert returns e^(2^128-2), which is e⁻¹, or zero for zero: then every GHASH is zero, and fold
// may put anything into state.
func (e element) invert() element {
	square, product := e, element{1 << 63, 0}
	for range 127 {
		square = square.mul(square)
		product = product.mul(square)
	}
	return product
}
