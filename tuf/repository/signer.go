// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// NewSigner makes a verify.Signer of any crypto.Signer whose key metadata can list (tuf.NewKey): those of verify.NewSigner, and RSA, which
// signs with RSASSA-PSS, and ECDSA on P-384. The last two are known to metadata only: their Public is the zero Key.
//
// Errors: verify.ErrAlgorithm.
func NewSigner(s crypto.Signer) (verify.Signer, error) {
	if s == nil {
		return nil, fmt.Errorf("nil signer: %w", verify.ErrAlgorithm)
	}
	key, err := tuf.NewKey(s.Public())
	if err != nil {
		return nil, err
	}
	switch public := s.Public().(type) {
	case *rsa.PublicKey:
		return metadataSigner{key, s, crypto.SHA256}, nil
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P384() {
			return metadataSigner{key, s, crypto.SHA384}, nil
		}
	}
	return verify.NewSigner(s)
}

// metadataSigner signs with a key that verify does not know.
type metadataSigner struct {
	key  tuf.Key
	s    crypto.Signer
	hash crypto.Hash
}

func (m metadataSigner) Public() verify.Key { return verify.Key{} }

func (m metadataSigner) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var opts crypto.SignerOpts = m.hash
	var digest []byte
	if m.hash == crypto.SHA384 {
		sum := sha512.Sum384(message)
		digest = sum[:]
	} else {
		sum := sha256.Sum256(message)
		digest, opts = sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.hash}
	}
	sig, err := m.s.Sign(rand.Reader, digest, opts)
	if err == nil {
		err = m.key.Verify(message, sig)
	}
	return sig, err
}

// String keeps the private key out of messages.
func (m metadataSigner) String() string { return m.key.Scheme() + " signer REDACTED" }

// GoString is String.
func (m metadataSigner) GoString() string { return m.String() }

// keyOf is a signer's key as metadata lists it, the zero Key if it cannot be listed: nothing is then signed with it.
func keyOf(s verify.Signer) tuf.Key {
	if m, ok := s.(metadataSigner); ok {
		return m.key
	}
	key, err := tuf.KeyOf(s.Public())
	if err != nil {
		return tuf.Key{}
	}
	return key
}
