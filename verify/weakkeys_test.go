// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

// No RSA key of any size or exponent becomes a key, so that none can be forged under, and none costs a
// verification of minutes.
func TestCOS_10_RSA(t *testing.T) {
	modulus := func(bits uint) *big.Int {
		return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), bits), big.NewInt(1))
	}
	for name, pub := range map[string]*rsa.PublicKey{
		"e=1":         {N: modulus(2048), E: 1},
		"e=3":         {N: modulus(2048), E: 3},
		"1024 bit":    {N: modulus(1024), E: 65537},
		"2048 bit":    {N: modulus(2048), E: 65537},
		"16384 bit":   {N: modulus(16384), E: 65537},
		"large e":     {N: modulus(4096), E: 1<<31 - 1},
		"no modulus":  {E: 65537},
		"even number": {N: big.NewInt(1 << 40), E: 65537},
	} {
		if k, err := verify.NewKey(pub); !errors.Is(err, verify.ErrAlgorithm) || !k.IsZero() {
			t.Errorf("%s: %v, %v", name, k, err)
		}
		if pub.N == nil {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		if k, err := verify.ParsePublicKeyPEM(text); err == nil || !k.IsZero() {
			t.Errorf("%s as PEM: %v, %v", name, k, err)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus(2048), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.ParsePublicKeyPEM(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("a good one as PEM: got %v, want ErrAlgorithm", err)
	}
}

// covers: REG-03
func TestREG_03_Ed25519Length(t *testing.T) {
	good := ed25519.PublicKey(testkeys.Ed25519(1).Public().Public().(ed25519.PublicKey))
	for n := range 65 {
		key := make(ed25519.PublicKey, n)
		copy(key, good)
		if _, err := verify.NewKey(key); (err == nil) != (n == ed25519.PublicKeySize) || (err != nil && !errors.Is(err, verify.ErrAlgorithm)) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// r and s are 1 to n-1 on every curve that there is a key type for; now that is one.
func TestREG_34_ECDSARange(t *testing.T) {
	for curve, s := range map[elliptic.Curve]verify.Signer{elliptic.P256(): testkeys.P256(1)} {
		order, size := curve.Params().N, (curve.Params().BitSize+7)/8
		good, err := verify.RawSignature(mustSign(t, s, []byte("firmware")))
		if err != nil {
			t.Fatal(err)
		}
		out := []*big.Int{{}, order, new(big.Int).Add(order, big.NewInt(1)), new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*size)), big.NewInt(1))}
		for _, v := range out {
			for at := range 2 {
				sig := append([]byte(nil), good...)
				v.FillBytes(sig[at*size : (at+1)*size])
				if err := s.Public().VerifyRaw([]byte("firmware"), sig); !errors.Is(err, verify.ErrSignature) {
					t.Errorf("%v, %d of (r, s) is %v: %v", curve.Params().Name, at, v, err)
				}
			}
			both := append(v.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...)
			if err := s.Public().VerifyRaw([]byte("firmware"), both); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("%v, both are %v: %v", curve.Params().Name, v, err)
			}
		}
	}
}

// covers: REG-17
func TestREG_17_SignatureLength(t *testing.T) {
	for name, s := range signers() {
		good := mustSign(t, s, []byte("firmware"))
		if s.Public().Type() == verify.P256 {
			var err error
			if good, err = verify.RawSignature(good); err != nil {
				t.Fatal(err)
			}
		}
		longer := append(append([]byte(nil), good...), make([]byte, 64)...)
		for n := range len(longer) + 1 {
			if err := s.Public().VerifyRaw([]byte("firmware"), longer[:n]); (err == nil) != (n == len(good)) || (err != nil && !errors.Is(err, verify.ErrSignature)) {
				t.Errorf("%s: signature cut or extended to %d bytes: %v", name, n, err)
			}
		}
	}
}
