// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"filippo.io/mldsa/x509"
)

// MaxPEMSize bounds a key file, in bytes.
const MaxPEMSize = 8 << 10

const (
	pemPublic  = "PUBLIC KEY"
	pemPrivate = "PRIVATE KEY"
)

// ParsePublicKeyPEM reads exactly one PEM block "PUBLIC KEY" (PKIX); only white space may
// stand around it. Errors: ErrMalformed, ErrLimit above MaxPEMSize, ErrAlgorithm as NewKey.
func ParsePublicKeyPEM(data []byte) (Key, error) {
	der, err := onePEM(data, pemPublic)
	if err != nil {
		return Key{}, err
	}
	return ParsePublicKeyDER(der)
}

// ParsePublicKeyDER reads a SubjectPublicKeyInfo. Errors: ErrMalformed, ErrAlgorithm as NewKey.
func ParsePublicKeyDER(der []byte) (Key, error) {
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return Key{}, fmt.Errorf("public key: %v: %w", err, ErrMalformed)
	}
	return NewKey(pub)
}

// MarshalDER returns the key as a SubjectPublicKeyInfo. The zero Key and the name of a Secret are ErrAlgorithm.
func (k Key) MarshalDER() ([]byte, error) { return k.pkix() }

// MarshalPEM returns the key as a PEM block "PUBLIC KEY" (PKIX). The zero Key is ErrAlgorithm.
func (k Key) MarshalPEM() ([]byte, error) {
	der, err := k.pkix()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), nil
}

// onePEM returns the content of the only PEM block in data. Its errors never quote data, which
// may be a private key.
func onePEM(data []byte, want string) ([]byte, error) {
	if len(data) > MaxPEMSize {
		return nil, fmt.Errorf("pem of %d bytes, expected at most %d: %w", len(data), MaxPEMSize, ErrLimit)
	}
	data = bytes.TrimSpace(data)
	if !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("expected one pem block %q and nothing else: %w", want, ErrMalformed)
	}
	block, rest := pem.Decode(data)
	if block == nil || len(bytes.TrimSpace(rest)) != 0 || len(block.Headers) != 0 {
		return nil, fmt.Errorf("expected one pem block %q and nothing else: %w", want, ErrMalformed)
	}
	if block.Type != want {
		return nil, fmt.Errorf("pem block %.40q, expected %q: %w", block.Type, want, ErrMalformed)
	}
	return block.Bytes, nil
}
