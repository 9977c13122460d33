// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package testkeys holds fixed keys for tests: the same key for the same number in every
// run and every package, so that vectors and failures are reproducible. The private halves
// are derivable by anyone who reads this file; nothing outside tests may trust them.
package testkeys

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"

	"filippo.io/mldsa"

	"github.com/firmament-dev/firmament/verify"
)

// P256 returns the i-th P-256 test key. Its signatures are deterministic (RFC 6979).
func P256(i int) verify.Signer { return wrap(p256(i)) }

// Ed25519 returns the i-th Ed25519 test key.
func Ed25519(i int) verify.Signer {
	seed := derive("ed25519", i, 0)
	return wrap(ed25519.NewKeyFromSeed(seed[:]))
}

// MLDSA65 returns the i-th ML-DSA-65 test key. Its signatures are deterministic.
func MLDSA65(i int) verify.Signer {
	seed := derive("mldsa65", i, 0)
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed[:])
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return wrap(key)
}

// Macer returns the i-th HMAC-256 test key.
func Macer(i int) verify.Macer {
	secret := derive("hmac256", i, 0)
	m, err := verify.NewMacer(secret[:])
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return m
}

// KeyWrapper returns the i-th A128KW test key for size 16, A256KW for 32.
func KeyWrapper(i, size int) verify.KeyWrapper {
	secret := derive("kek", i, size)
	w, err := verify.NewKeyWrapper(secret[:size])
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return w
}

// ECDH returns the i-th P-256 key-agreement test key. It is not the key of P256(i).
func ECDH(i int) *ecdh.PrivateKey {
	for try := 0; ; try++ {
		scalar := derive("ecdh", i, try)
		if key, err := ecdh.P256().NewPrivateKey(scalar[:]); err == nil {
			return key
		}
	}
}

// CryptoP256 returns the private key behind P256(i), for tests that drive other libraries.
func CryptoP256(i int) *ecdsa.PrivateKey { return p256(i) }

// CryptoEd25519 returns the private key behind Ed25519(i), for tests that drive other libraries.
func CryptoEd25519(i int) ed25519.PrivateKey {
	seed := derive("ed25519", i, 0)
	return ed25519.NewKeyFromSeed(seed[:])
}

// p256 takes the first hash in the series that is a scalar in [1, n-1]; practically the first.
func p256(i int) *ecdsa.PrivateKey {
	for try := 0; ; try++ {
		scalar := derive("p256", i, try)
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:]); err == nil {
			return key
		}
	}
}

func derive(kind string, i, try int) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "firmament test key, never trust: %s %d %d", kind, i, try))
}

// signer signs without randomness, unlike the one of verify.NewSigner.
type signer struct {
	public  verify.Key
	private crypto.Signer
}

func wrap(private crypto.Signer) verify.Signer {
	public, err := verify.NewKey(private.Public())
	if err != nil {
		panic(err) // a constant of this package is wrong
	}
	return signer{public, private}
}

func (s signer) Public() verify.Key { return s.public }

func (s signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if key, ok := s.private.(*mldsa.PrivateKey); ok {
		return key.SignDeterministic(message, nil)
	}
	if s.public.Type() == verify.P256 {
		sum := sha256.Sum256(message)
		return s.private.Sign(nil, sum[:], crypto.SHA256) // no randomness: RFC 6979
	}
	return s.private.Sign(nil, message, crypto.Hash(0))
}
