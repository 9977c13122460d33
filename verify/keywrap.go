// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// MaxWrappedKey bounds the key that a KeyWrapper wraps, in bytes.
const MaxWrappedKey = 64

// wrapIV is the default initial value, RFC 3394 section 2.2.3.1.
const wrapIV = 0xA6A6A6A6A6A6A6A6

const wrapBlock = 8 // bytes of one of RFC 3394's 64-bit blocks

// NewKeyWrapper returns a KeyWrapper over a copy of kek: A128KW for 16 bytes, A256KW for 32; other
// lengths are ErrAlgorithm.
func NewKeyWrapper(kek []byte) (KeyWrapper, error) {
	var kind KeyType
	switch len(kek) {
	case 16:
		kind = A128KW
	case 32:
		kind = A256KW
	default:
		return nil, fmt.Errorf("key-encryption key of %d bytes, expected 16 or 32: %w", len(kek), ErrAlgorithm)
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %v: %w", err, ErrAlgorithm)
	}
	return &wrapper{nameOf(kind, kek), func() cipher.Block { return block }}, nil
}

// wrapper hides its secret in a closure, as signer does.
type wrapper struct {
	key   Key
	block func() cipher.Block
}

func (w *wrapper) Key() Key { return w.key }

// Format prints the name; the secret is REDACTED under every verb.
func (w *wrapper) Format(f fmt.State, _ rune) {
	io.WriteString(f, "key wrapper "+w.key.String()+" REDACTED")
}

// WrapKey is RFC 3394, section 2.2.1, in its indexed form.
func (w *wrapper) WrapKey(ctx context.Context, key []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(key)%wrapBlock != 0 || len(key) < 2*wrapBlock || len(key) > MaxWrappedKey {
		return nil, fmt.Errorf("wrap a key of %d bytes, expected a multiple of 8 from 16 to %d: %w", len(key), MaxWrappedKey, ErrAlgorithm)
	}
	block, n := w.block(), len(key)/wrapBlock
	out := append(make([]byte, wrapBlock), key...)
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], wrapIV)
	for t := range 6 * n {
		r := out[(t%n+1)*wrapBlock:][:wrapBlock]
		copy(b[wrapBlock:], r)
		block.Encrypt(b[:], b[:])
		copy(r, b[wrapBlock:])
		xorCounter(&b, t+1)
	}
	copy(out, b[:wrapBlock])
	return out, nil
}

// UnwrapKey is RFC 3394, section 2.2.2, in its indexed form.
func (w *wrapper) UnwrapKey(ctx context.Context, wrapped []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(wrapped)%wrapBlock != 0 || len(wrapped) < 3*wrapBlock || len(wrapped) > MaxWrappedKey+wrapBlock {
		return nil, fmt.Errorf("wrapped key of %d bytes, expected a multiple of 8 from 24 to %d: %w", len(wrapped), MaxWrappedKey+wrapBlock, ErrDecrypt)
	}
	block, n := w.block(), len(wrapped)/wrapBlock-1
	out := slices.Clone(wrapped[wrapBlock:])
	var b [aes.BlockSize]byte
	copy(b[:], wrapped[:wrapBlock])
	for t := 6*n - 1; t >= 0; t-- {
		r := out[t%n*wrapBlock:][:wrapBlock]
		xorCounter(&b, t+1)
		copy(b[wrapBlock:], r)
		block.Decrypt(b[:], b[:])
		copy(r, b[wrapBlock:])
	}
	var want [wrapBlock]byte
	binary.BigEndian.PutUint64(want[:], wrapIV)
	if subtle.ConstantTimeCompare(b[:wrapBlock], want[:]) != 1 {
		clear(out)
		return nil, fmt.Errorf("wrapped key of %d bytes under %v: %w", len(wrapped), w.key, ErrDecrypt)
	}
	return out, nil
}

func xorCounter(b *[aes.BlockSize]byte, t int) {
	binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(t))
}
