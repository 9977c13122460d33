// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"filippo.io/mldsa"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

func TestMLDSA65(t *testing.T) {
	message := []byte("a digest")
	s, err := verify.GenerateKey(verify.MLDSA65)
	if err != nil {
		t.Fatal(err)
	}
	private, err := verify.MarshalPrivateKeyPEM(s)
	if err != nil {
		t.Fatal(err)
	}
	back, err := verify.ParsePrivateKeyPEM(private)
	if err != nil || back.Public() != s.Public() {
		t.Fatalf("private key there and back: %v", err)
	}
	public, err := s.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(public)
	if err != nil || key != s.Public() || key.ID() != s.Public().ID() || key.ID().IsZero() {
		t.Fatalf("public key there and back: %v, %v", key, err)
	}
	if key.Type() != verify.MLDSA65 || key.Type().String() != "mldsa65" || key == testkeys.MLDSA65(1).Public() {
		t.Errorf("key %v", key)
	}
	sig, err := back.Sign(t.Context(), message)
	if err != nil || len(sig) != mldsa.MLDSA65SignatureSize {
		t.Fatalf("Sign: %d bytes, %v", len(sig), err)
	}
	if err := key.VerifySignature(message, sig); err != nil {
		t.Error(err)
	}
	if err := key.VerifyRaw(message, sig); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]byte{
		"nothing":     nil,
		"short":       sig[1:],
		"long":        append(bytes.Clone(sig), 0),
		"zeros":       make([]byte, len(sig)),
		"first bit":   flipBit(sig, 0),
		"last bit":    flipBit(sig, 8*len(sig)-1),
		"another key": mustSign(t, testkeys.MLDSA65(1), message),
	} {
		if err := key.VerifySignature(message, bad); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := key.VerifySignature([]byte("another digest"), sig); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("another message: %v", err)
	}
}

func flipBit(b []byte, bit int) []byte {
	b = bytes.Clone(b)
	b[bit/8] ^= 1 << (bit % 8)
	return b
}

func TestCOS_11_MLDSAContext(t *testing.T) {
	seed := sha256.Sum256([]byte("seed"))
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.NewKey(private.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := private.Sign(nil, []byte("m"), &mldsa.Options{Context: "report"})
	if err != nil {
		t.Fatal(err)
	}
	if err := key.VerifySignature([]byte("m"), sig); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("signature made for another context: %v", err)
	}
}

func TestMLDSAOtherParameters(t *testing.T) {
	for _, p := range []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA87()} {
		private, err := mldsa.GenerateKey(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify.NewKey(private.PublicKey()); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("%v: %v", p, err)
		}
		if _, err := verify.NewSigner(private); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("signer of %v: %v", p, err)
		}
	}
	if _, err := verify.NewKey((*mldsa.PublicKey)(nil)); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("nil: %v", err)
	}
}
