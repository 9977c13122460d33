// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

// inPieces verifies a message that arrives in pieces of n bytes.
func inPieces(k verify.Key, message, sig []byte, n int) error {
	v, err := k.NewMessageVerifier(sig)
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(message, n) {
		if _, err := v.Write(piece); err != nil {
			return err
		}
	}
	return v.Verify()
}

func TestCOS_MessageVerifier(t *testing.T) {
	for i, s := range []verify.Signer{testkeys.Ed25519(1), testkeys.P256(1)} {
		for _, size := range []int{0, 1, 63, 64, 127, 128, 129, 5000} {
			message := slices.Repeat([]byte{byte(size)}, size)
			sig, err := s.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, 64, 1000} {
				if err := inPieces(s.Public(), message, sig, n); err != nil {
					t.Errorf("%d, %d bytes: %v", i, size, err)
				}
			}
			if err := inPieces(s.Public(), append(message, 0), sig, 64); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%d: one byte more: %v", i, err)
			}
			for at := range sig {
				for bit := range 8 {
					bad := slices.Clone(sig)
					bad[at] ^= 1 << bit
					got, want := inPieces(s.Public(), message, bad, 64), s.Public().VerifySignature(message, bad)
					if got == nil || (got == nil) != (want == nil) || !errors.Is(got, verify.ErrSignature) {
						t.Fatalf("%d: bit %d of byte %d: in pieces %v, as a whole %v", i, bit, at, got, want)
					}
				}
				if bad := sig[:at]; inPieces(s.Public(), message, bad, 64) == nil {
					t.Errorf("%d: %d bytes of a signature", i, at)
				}
			}
		}
	}
	for _, k := range []verify.Key{{}, testkeys.MLDSA65(1).Public(), testkeys.Macer(1).Key()} {
		if _, err := k.NewMessageVerifier(make([]byte, 64)); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("%v: %v, want ErrAlgorithm", k, err)
		}
	}
}

// S + L in place of S verifies under a lax reading of RFC 8032 (section 5.1.7 demands 0 <= S < L).
func TestCOS_MessageVerifierMalleable(t *testing.T) {
	s := testkeys.Ed25519(1)
	sig, err := s.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	if err != nil {
		t.Fatal(err)
	}
	carry := 0
	for i := range order {
		carry += int(sig[32+i]) + int(order[i])
		sig[32+i] = byte(carry)
		carry >>= 8
	}
	if carry != 0 {
		t.Fatal("the test's signature is not one that can be shifted")
	}
	if err := inPieces(s.Public(), []byte("message"), sig, 64); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

// FuzzMessageVerifier: what verifies in pieces verifies as a whole, and the other way round.
func FuzzMessageVerifier(f *testing.F) {
	keys := []verify.Signer{testkeys.Ed25519(1), testkeys.P256(1)}
	for i, s := range keys {
		sig, err := s.Sign(f.Context(), []byte("message"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, []byte("message"), sig)
		f.Add(i, []byte("massage"), sig)
		f.Add(1-i, []byte("message"), sig)
	}
	f.Add(0, []byte{}, make([]byte, 64))
	f.Add(0, []byte{}, append([]byte{1}, make([]byte, 63)...))
	f.Fuzz(func(t *testing.T, i int, message, sig []byte) {
		k := keys[uint(i)%2].Public()
		got, want := inPieces(k, message, sig, 50), k.VerifySignature(message, sig)
		if (got == nil) != (want == nil) {
			t.Errorf("in pieces %v, as a whole %v", got, want)
		}
	})
}
