// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Ed25519 returns the i-th Ed25519 key. Keys below 4 are those that New gives to root, timestamp, snapshot and targets.
func Ed25519(i int) verify.Signer { return testkeys.Ed25519(i) }

// P256 returns the i-th key on P-256.
func P256(i int) verify.Signer { return testkeys.P256(i) }

// MLDSA65 returns the i-th ML-DSA-65 key.
func MLDSA65(i int) verify.Signer { return testkeys.MLDSA65(i) }

// RSA returns a key of 2048 bits. It is the same in the whole process, and another one in the next.
func RSA() verify.Signer { return rsaSigner() }

var rsaSigner = sync.OnceValue(func() verify.Signer {
	key, err := rsa.GenerateKey(rand.Reader, tuf.MinRSABits)
	if err != nil {
		panic(err)
	}
	return NewSigner(key)
})

// NewSigner makes a signer of any private key that metadata can list (tuf.NewKey), RSA and P-384 among them. Of these two verify
// knows nothing: their Public is the zero Key, and only this package can list them.
func NewSigner(s crypto.Signer) verify.Signer {
	key, err := tuf.NewKey(s.Public())
	if err != nil {
		panic(err)
	}
	switch public := s.Public().(type) {
	case *rsa.PublicKey:
		return metadataSigner{key, s}
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P384() {
			return metadataSigner{key, s}
		}
	}
	signer, err := verify.NewSigner(s)
	if err != nil {
		panic(err)
	}
	return signer
}

// metadataSigner signs with a key that verify does not know.
type metadataSigner struct {
	key tuf.Key
	s   crypto.Signer
}

func (m metadataSigner) Public() verify.Key { return verify.Key{} }

func (m metadataSigner) Sign(_ context.Context, message []byte) ([]byte, error) {
	if m.key.Scheme() == tuf.SchemeP384 {
		sum := sha512.Sum384(message)
		return m.s.Sign(rand.Reader, sum[:], crypto.SHA384)
	}
	sum := sha256.Sum256(message)
	return m.s.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
}

func keyOf(s verify.Signer) tuf.Key {
	if m, ok := s.(metadataSigner); ok {
		return m.key
	}
	return mustKey(s.Public())
}

func mustKey(k verify.Key) tuf.Key {
	key, err := tuf.KeyOf(k)
	if err != nil {
		panic(err)
	}
	return key
}

// ID is the key id that this package gives a signer's key. It is not the specification's hash: a client must not care.
func ID(s verify.Signer) string { return hex.EncodeToString(keyOf(s).ID().Bytes()) }

// KeyID is ID of a public key.
func KeyID(k verify.Key) string { return hex.EncodeToString(mustKey(k).ID().Bytes()) }

// KeyJSON is the KEY object of a public key.
func KeyJSON(k verify.Key) map[string]any { return keyJSON(mustKey(k)) }

func keyJSON(key tuf.Key) map[string]any {
	kind, scheme, public := key.KeyVal()
	return map[string]any{"keytype": kind, "scheme": scheme, "keyval": map[string]any{"public": public}}
}

// Signature is one entry of "signatures".
func Signature(signed any, s verify.Signer) map[string]any {
	text, err := json.Marshal(signed)
	if err != nil {
		panic(err)
	}
	canonical, err := tuf.Canonical(text)
	if err != nil {
		panic(err)
	}
	return signature(canonical, s)
}

func signature(message []byte, s verify.Signer) map[string]any {
	sig, err := s.Sign(context.Background(), message)
	if err != nil {
		panic(err)
	}
	return map[string]any{"keyid": ID(s), "sig": hex.EncodeToString(sig)}
}

// Sign makes a metadata file, indented so that it is not in canonical form.
func Sign(signed any, signers ...verify.Signer) []byte {
	signatures := []any{}
	for _, s := range signers {
		signatures = append(signatures, Signature(signed, s))
	}
	return Envelope(signed, signatures)
}

// SignBytes makes a metadata file of a signed part that need not be canonical, nor JSON at all: it stands in the file, and is signed, as it is.
func SignBytes(signed []byte, signers ...verify.Signer) []byte {
	signatures := []any{}
	for _, s := range signers {
		signatures = append(signatures, signature(signed, s))
	}
	text, err := json.Marshal(signatures)
	if err != nil {
		panic(err)
	}
	return fmt.Appendf(nil, `{"signatures":%s,"signed":%s}`, text, signed)
}

// Envelope makes a metadata file out of its parts.
func Envelope(signed any, signatures any) []byte {
	data, err := json.MarshalIndent(map[string]any{"signed": signed, "signatures": signatures}, "", " ")
	if err != nil {
		panic(err)
	}
	return data
}

// Open takes a metadata file apart; its numbers are json.Number, so that Sign and Envelope put together what Open took apart.
func Open(file []byte) (signed map[string]any, signatures []any) {
	var parts struct {
		Signed     map[string]any `json:"signed"`
		Signatures []any          `json:"signatures"`
	}
	d := json.NewDecoder(bytes.NewReader(file))
	d.UseNumber()
	if err := d.Decode(&parts); err != nil {
		panic(err)
	}
	return parts.Signed, parts.Signatures
}
