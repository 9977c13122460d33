// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
)

// Secret is a symmetric key, in memory or in a secure element: a Macer or a KeyWrapper. Whoever can
// check with it can also forge with it, so a device that stores one can be made to accept what its
// owner never released; prefer signatures where the device can afford them.
//
// Key returns the name of the secret, of type HMAC256, A128KW or A256KW: equal for the same secret,
// and of no use for guessing it. Implementations must be safe for concurrent use and must not print
// the secret.
type Secret interface {
	Key() Key
}

// Macer computes MACs with a secret of type HMAC256. MAC returns the 32 bytes of HMAC-SHA-256 over
// message. In a KeySet it is called without a deadline and must not wait for a network.
type Macer interface {
	Secret
	MAC(ctx context.Context, message []byte) ([]byte, error)
}

// KeyWrapper wraps other keys with a secret of type A128KW or A256KW (RFC 3394, default initial value).
// WrapKey takes a multiple of 8 bytes, at least 16, at most MaxWrappedKey, and adds 8. UnwrapKey
// reverses it and returns ErrDecrypt for what this secret has not wrapped. In a KeySet
// it is called without a deadline and must not wait for a network.
type KeyWrapper interface {
	Secret
	WrapKey(ctx context.Context, key []byte) ([]byte, error)
	UnwrapKey(ctx context.Context, wrapped []byte) ([]byte, error)
}

const (
	minMACKey = sha256.Size      // below, the key is the weakest part
	maxMACKey = sha256.BlockSize // above, HMAC hashes the key down
)

// NewMacer returns a Macer over a copy of secret, 32 to 64 bytes; other lengths are ErrAlgorithm.
func NewMacer(secret []byte) (Macer, error) {
	if len(secret) < minMACKey || len(secret) > maxMACKey {
		return nil, fmt.Errorf("hmac key of %d bytes, expected %d to %d: %w", len(secret), minMACKey, maxMACKey, ErrAlgorithm)
	}
	secret = slices.Clone(secret)
	return &macer{nameOf(HMAC256, secret), func() []byte { return secret }}, nil
}

// macer hides its secret in a closure, as signer does.
type macer struct {
	key    Key
	secret func() []byte
}

func (m *macer) Key() Key { return m.key }

func (m *macer) MAC(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return hmac256(m.secret(), message), nil
}

// Format prints the name; the secret is REDACTED under every verb.
func (m *macer) Format(f fmt.State, _ rune) {
	io.WriteString(f, "macer "+m.key.String()+" REDACTED")
}

func hmac256(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(message)
	return h.Sum(nil)
}

// nameOf derives the name of a secret. The label is no prefix of a COSE structure, which
// all begin with an array head, so no name is ever a tag of anything.
func nameOf(t KeyType, secret []byte) Key {
	return Key{kind: t, data: string(hmac256(secret, []byte("firmament secret name: "+t.String())))}
}

// NewSecretName returns the Key for a Secret that is kept elsewhere, such as in a secure element,
// under a name of the caller's choice: two secrets must not share one. A type that is
// not of a secret, and a name that is not SHA256, are ErrAlgorithm.
func NewSecretName(t KeyType, name Digest) (Key, error) {
	if !t.symmetric() || name.Hash() != SHA256 {
		return Key{}, fmt.Errorf("name %v of a %v secret: %w", name, t, ErrAlgorithm)
	}
	return Key{kind: t, data: string(name.Bytes())}, nil
}

// checkSecret tells whether secret and key of an entry go together.
func checkSecret(e Entry) error {
	kind := e.Key.Type()
	fits := e.Secret == nil && !kind.symmetric()
	switch e.Secret.(type) {
	case Macer:
		fits = kind == HMAC256 && e.Secret.Key() == e.Key
	case KeyWrapper:
		fits = (kind == A128KW || kind == A256KW) && e.Secret.Key() == e.Key
	}
	if !fits {
		return fmt.Errorf("%v with a secret of type %T: %w", e.Key, e.Secret, ErrPolicy)
	}
	return nil
}

// checkConfusion refuses a MAC key that is a public key of the set: it would let anyone who
// has read the public key make good MACs.
func (s *KeySet) checkConfusion() error {
	names := make(map[Key]Key)
	for _, e := range s.entries {
		for _, form := range e.Key.publicForms() {
			names[nameOf(HMAC256, form)] = e.Key
		}
	}
	for i, e := range s.entries {
		if public, ok := names[e.Key]; ok {
			return fmt.Errorf("key set entry %d: the hmac key is the public key %v: %w", i, public, ErrAlgorithm)
		}
	}
	return nil
}

// publicForms returns the encodings of a public key that have the length of a MAC key.
func (k Key) publicForms() [][]byte {
	switch data := []byte(k.data); k.kind {
	case Ed25519:
		return [][]byte{data}
	case P256:
		x, y := data[1:33], data[33:]
		compressed := append([]byte{2 + y[31]&1}, x...)
		return [][]byte{x, data[1:], compressed}
	}
	return nil
}
