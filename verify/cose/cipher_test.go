// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var contentAlgorithms = []cose.ContentAlgorithm{cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR, cose.A256CTR}

// whole encrypts with the library's own construction, all at once.
func whole(tb testing.TB, alg cose.ContentAlgorithm, key, nonce, aad, plaintext []byte) []byte {
	tb.Helper()
	if alg == cose.ChaCha20Poly1305 {
		aead, err := chacha20poly1305.New(key)
		if err != nil {
			tb.Fatal(err)
		}
		return aead.Seal(nil, nonce, plaintext, aad)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		tb.Fatal(err)
	}
	if !alg.Authenticated() {
		out := make([]byte, len(plaintext))
		cipher.NewCTR(block, nonce).XORKeyStream(out, plaintext)
		return out
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		tb.Fatal(err)
	}
	return aead.Seal(nil, nonce, plaintext, aad)
}

func sizesOf(alg cose.ContentAlgorithm) (key, nonce int) {
	key, nonce = 32, 12
	if alg == cose.A128GCM || alg == cose.A128CTR {
		key = 16
	}
	if !alg.Authenticated() {
		nonce = 16
	}
	return key, nonce
}

// In pieces of whatever sizes, the result is what the libraries make of the whole.
func TestPiecesAgreeWithWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	lengths := []int{0, 1, 15, 16, 17, 31, 32, 33, 255, 4079, 4080, 4095, 4096, 4097, 8191, 8192, 12_345, 32 << 10, 32<<10 + 1, 70_001}
	for _, alg := range contentAlgorithms {
		for _, n := range lengths {
			for _, aadSize := range []int{0, 12, 16, 40, 4096, 5000} {
				keySize, nonceSize := sizesOf(alg)
				key, nonce, aad, plaintext := fill(keySize), fill(nonceSize), fill(aadSize), fill(n)
				if random.IntN(4) == 0 {
					for i := range nonce { // a counter that carries through
						nonce[i] = 0xff
					}
				}
				var pieces [][]byte
				for rest := plaintext; len(rest) > 0; {
					k := min(len(rest), 1+random.IntN(5000))
					pieces, rest = append(pieces, rest[:k]), rest[k:]
				}
				c, err := cose.NewContentCipher(alg, key, nonce, aad)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := c.Seal(alg, pieces...), whole(t, alg, key, nonce, aad, plaintext); !bytes.Equal(got, want) {
					t.Fatalf("%v, %d bytes in %d pieces, %d bytes of aad: differs from the whole", alg, n, len(pieces), aadSize)
				}
			}
		}
	}
}

func TestCipherSizes(t *testing.T) {
	for _, alg := range append(contentAlgorithms, 0, 2, -65533) {
		wantKey, wantNonce := sizesOf(alg)
		for key := range 40 {
			for nonce := range 20 {
				_, err := cose.NewContentCipher(alg, make([]byte, key), make([]byte, nonce), nil)
				ok := key == wantKey && nonce == wantNonce && alg.MaxPlaintext() > 0
				if ok != (err == nil) || (!ok && !errors.Is(err, verify.ErrAlgorithm)) {
					t.Fatalf("%v, key of %d, iv of %d: %v", alg, key, nonce, err)
				}
			}
		}
	}
}

// Memory does not grow with the payload: after the start there is no allocation at all.
func TestStreamAllocatesNothing(t *testing.T) {
	k := testkeys.KeyWrapper(1, 16)
	chunk := make([]byte, 100_000)
	for _, alg := range contentAlgorithms {
		e, err := cose.NewEncrypter(t.Context(), alg, io.Discard, cose.Recipient{Wrapper: k})
		if err != nil {
			t.Fatal(err)
		}
		d, err := cose.NewDecrypter(t.Context(), e.Info(), recipientKeys(t, cose.RecipientKey{Wrapper: k}), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range map[string]io.Writer{"encrypt": e, "decrypt": d} {
			if n := testing.AllocsPerRun(20, func() { w.Write(chunk) }); n != 0 {
				t.Errorf("%v: %s allocates %v times per 100 kB", alg, name, n)
			}
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	k := testkeys.KeyWrapper(1, 16)
	chunk := make([]byte, 1<<20)
	for _, alg := range contentAlgorithms {
		b.Run(fmt.Sprint(alg), func(b *testing.B) {
			e, err := cose.NewEncrypter(b.Context(), alg, io.Discard, cose.Recipient{Wrapper: k})
			if err != nil {
				b.Fatal(err)
			}
			d, err := cose.NewDecrypter(b.Context(), e.Info(), recipientKeys(b, cose.RecipientKey{Wrapper: k}), io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				d.Write(chunk)
			}
		})
	}
}
