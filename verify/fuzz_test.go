// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

// FuzzPEM: a key file that is read as public is the key that the standard library reads, and is written and read back as the same; one that is
// read as private signs for the key it has. No file is both.
func FuzzPEM(f *testing.F) {
	for _, t := range []verify.KeyType{verify.P256, verify.Ed25519, verify.MLDSA65} {
		s, err := verify.GenerateKey(t)
		if err != nil {
			f.Fatal(err)
		}
		public, err := s.Public().MarshalPEM()
		if err != nil {
			f.Fatal(err)
		}
		private, err := verify.MarshalPrivateKeyPEM(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(public)
		f.Add(private)
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := verify.ParsePublicKeyPEM(text)
		s, privateErr := verify.ParsePrivateKeyPEM(text)
		if (err == nil) == k.IsZero() || (privateErr == nil) != (s != nil) || (err == nil && privateErr == nil) {
			t.Fatalf("%v, %v; %v, %v", k, err, s, privateErr)
		}
		if err == nil {
			again, err := k.MarshalPEM()
			if err != nil {
				t.Fatal(err)
			}
			if back, err := verify.ParsePublicKeyPEM(again); err != nil || back != k {
				t.Fatalf("%v written and read: %v, %v", k, back, err)
			}
			if k.Type() != verify.MLDSA65 { // the standard library does not know it yet
				block, _ := pem.Decode(text)
				std, err := x509.ParsePKIXPublicKey(block.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				if other, err := verify.NewKey(std); err != nil || other != k {
					t.Fatalf("%v, the standard library reads %v, %v", k, other, err)
				}
			}
		}
		if privateErr == nil {
			sig, err := s.Sign(t.Context(), []byte("firmware"))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Public().VerifySignature([]byte("firmware"), sig); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzParseDigest: one text for each digest.
func FuzzParseDigest(f *testing.F) {
	for _, h := range []verify.Hash{verify.SHA256, verify.SHA384, verify.SHA512} {
		f.Add(verify.Sum(h, nil).String())
	}
	f.Add(testkeys.P256(1).Public().ID().String())
	f.Fuzz(func(t *testing.T, text string) {
		d, err := verify.ParseDigest(text)
		if (err == nil) == d.IsZero() {
			t.Fatalf("%q: %v, %v", text, d, err)
		}
		if err == nil && d.String() != text {
			t.Fatalf("%q read as %v", text, d)
		}
	})
}
