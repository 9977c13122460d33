// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"
)

// Signer makes signatures with one private key: in memory, in a file, in a token or behind a
// network service.
//
// Public returns the key that verifies them and must not block. Sign returns a signature of
// message in the form Key.VerifySignature takes (DER for P256); the Signer hashes. It may
// block until ctx ends. Implementations must be safe for concurrent use.
type Signer interface {
	Public() Key
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// NewSigner wraps a P-256, Ed25519 or ML-DSA-65 crypto.Signer (a PKCS#11 or TPM handle, a key in memory). Every
// signature is verified before it is returned, so a faulty token yields ErrSignature
// and never a bad release. Keys that NewKey refuses are ErrAlgorithm.
func NewSigner(s crypto.Signer) (Signer, error) {
	if s == nil {
		return nil, fmt.Errorf("no signer: %w", ErrAlgorithm)
	}
	key, err := NewKey(s.Public())
	if err != nil {
		return nil, err
	}
	return &signer{key: key, secret: func() crypto.Signer { return s }}, nil
}

// signer hides the private key in a closure: fmt and slog walk into unexported fields of
// structures that hold one, where no Format or LogValue method is called.
type signer struct {
	key    Key
	secret func() crypto.Signer
}

func (s *signer) Public() Key { return s.key }

func (s *signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var opts crypto.SignerOpts = crypto.Hash(0) // Ed25519 and ML-DSA sign the message itself
	if s.key.Type() == P256 {
		opts = crypto.SHA256
	}
	sig, err := crypto.SignMessage(s.secret(), rand.Reader, message, opts)
	if err != nil {
		return nil, fmt.Errorf("sign with %v: %w", s.key, err)
	}
	if err := s.key.VerifySignature(message, sig); err != nil {
		return nil, fmt.Errorf("signer returned a bad signature: %w", err)
	}
	return sig, nil
}

// Format prints the public key; the private one is REDACTED under every verb.
func (s *signer) Format(f fmt.State, _ rune) {
	io.WriteString(f, "signer "+s.key.String()+" REDACTED")
}

// GenerateKey returns a Signer with a fresh private key in memory; see
// MarshalPrivateKeyPEM for keeping it. An unknown type is ErrAlgorithm.
func GenerateKey(t KeyType) (Signer, error) {
	switch t {
	case P256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return NewSigner(key)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return NewSigner(key)
	case MLDSA65:
		key, err := mldsa.GenerateKey(mldsa.MLDSA65())
		if err != nil {
			return nil, err
		}
		return NewSigner(key)
	}
	return nil, fmt.Errorf("generate %v: %w", t, ErrAlgorithm)
}

// ParsePrivateKeyPEM reads exactly one unencrypted PEM block "PRIVATE KEY" (PKCS #8). Errors are
// those of ParsePublicKeyPEM, and never quote the input.
func ParsePrivateKeyPEM(data []byte) (Signer, error) {
	der, err := onePEM(data, pemPrivate)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key: not PKCS #8: %w", ErrMalformed)
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of type %T: %w", key, ErrAlgorithm)
	}
	return NewSigner(s)
}

// MarshalPrivateKeyPEM returns the private key of a Signer that GenerateKey, ParsePrivateKeyPEM or
// NewSigner made over a key in memory, as an unencrypted PEM block "PRIVATE KEY" (PKCS #8). Other
// Signers do not give their key away: ErrUnsupported.
func MarshalPrivateKeyPEM(s Signer) ([]byte, error) {
	own, ok := s.(*signer)
	if !ok {
		return nil, fmt.Errorf("private key of %T cannot be exported: %w", s, ErrUnsupported)
	}
	der, err := x509.MarshalPKCS8PrivateKey(own.secret())
	if err != nil {
		return nil, fmt.Errorf("private key of %v cannot be exported: %w", own.key, ErrUnsupported)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
}
