// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
)

// KeyType is the kind of a Key; it fixes curve, hash and signature form. The zero value is no type.
type KeyType uint8

// The key types in use.
const (
	P256    KeyType = iota + 1 // ECDSA on P-256 with SHA-256
	Ed25519                    // pure Ed25519, RFC 8032
)

// String returns "p256" or "ed25519".
func (t KeyType) String() string {
	switch t {
	case P256:
		return "p256"
	case Ed25519:
		return "ed25519"
	}
	return fmt.Sprintf("keytype(%d)", uint8(t))
}

const (
	p256PointSize = 65 // 0x04 || X || Y, SEC 1 section 2.3.3
	rawSize       = 64 // r || s, and Ed25519's R || S
	maxDERSize    = 72 // SEQUENCE of two INTEGERs of at most 33 bytes
)

// Key is an immutable public key. Two Keys are == exactly if they are the same public
// key, whatever names or encodings they arrived under. The zero Key is invalid and
// verifies nothing.
type Key struct {
	kind KeyType
	data [p256PointSize]byte // the uncompressed point, or 32 bytes of Ed25519 and zeros
}

// NewKey checks and wraps a public key: *ecdsa.PublicKey on P-256, or ed25519.PublicKey. A
// point that is not on the curve, an Ed25519 encoding that is not canonical, an Ed25519 point of
// small order (under which one signature fits many messages), any other curve and any
// other key kind are ErrAlgorithm.
func NewKey(pub crypto.PublicKey) (Key, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return newP256(pub)
	case ed25519.PublicKey:
		return newEd25519(pub)
	}
	return Key{}, fmt.Errorf("public key of type %T: %w", pub, ErrAlgorithm)
}

func newP256(pub *ecdsa.PublicKey) (Key, error) {
	//lint:ignore SA1019 Bytes panics without coordinates; they are only compared with nil here.
	if pub == nil || pub.Curve != elliptic.P256() || pub.X == nil || pub.Y == nil {
		return Key{}, fmt.Errorf("ecdsa public key is not on P-256: %w", ErrAlgorithm)
	}
	point, err := pub.Bytes() // checks that the point is on the curve
	if err != nil || len(point) != p256PointSize {
		return Key{}, fmt.Errorf("p256 public key: not a point of the curve: %w", ErrAlgorithm)
	}
	k := Key{kind: P256}
	copy(k.data[:], point)
	return k, nil
}

func newEd25519(pub ed25519.PublicKey) (Key, error) {
	if len(pub) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("ed25519 public key of %d bytes, expected %d: %w", len(pub), ed25519.PublicKeySize, ErrAlgorithm)
	}
	if err := checkEdwardsPoint(pub); err != nil {
		return Key{}, err
	}
	k := Key{kind: Ed25519}
	copy(k.data[:], pub)
	return k, nil
}

// Type returns the key's type, 0 for the zero Key.
func (k Key) Type() KeyType { return k.kind }

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.kind == 0 }

// ID returns the SHA-256 digest of the key's PKIX (SubjectPublicKeyInfo) DER: the identity
// of the key, the same under every key id. The zero Key has the zero Digest.
func (k Key) ID() Digest {
	der, err := k.pkix()
	if err != nil {
		return Digest{}
	}
	return Sum(SHA256, der)
}

// String returns type and ID, for messages.
func (k Key) String() string {
	if k.IsZero() {
		return "no key"
	}
	return k.kind.String() + " " + k.ID().String()
}

// Public returns the key as *ecdsa.PublicKey or ed25519.PublicKey, nil for the zero Key. The
// caller owns the result.
func (k Key) Public() crypto.PublicKey {
	switch k.kind {
	case P256:
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), k.data[:])
		if err != nil {
			return nil
		}
		return pub
	case Ed25519:
		return ed25519.PublicKey(append([]byte(nil), k.data[:ed25519.PublicKeySize]...))
	}
	return nil
}

func (k Key) pkix() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("zero key: %w", ErrAlgorithm)
	}
	return x509.MarshalPKIXPublicKey(k.Public())
}

// VerifySignature checks sig over message: for P256 an ASN.1 DER signature over the SHA-256
// of message, for Ed25519 the 64 bytes of RFC 8032. It returns nil, ErrSignature, or
// ErrAlgorithm for the zero Key.
func (k Key) VerifySignature(message, sig []byte) error {
	ok := false
	switch pub := k.Public().(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		ok = len(sig) <= maxDERSize && ecdsa.VerifyASN1(pub, sum[:], sig)
	case ed25519.PublicKey:
		ok = len(sig) == rawSize && ed25519.Verify(pub, message, sig)
	default:
		return fmt.Errorf("verify with the zero key: %w", ErrAlgorithm)
	}
	if !ok {
		return fmt.Errorf("%v, signature of %d bytes: %w", k, len(sig), ErrSignature)
	}
	return nil
}

// VerifyRaw is VerifySignature for the fixed form: 64 bytes r||s for P256 (RFC 9053, section
// 2.1), and the same 64 bytes as VerifySignature for Ed25519.
func (k Key) VerifyRaw(message, sig []byte) error {
	if k.kind != P256 {
		return k.VerifySignature(message, sig)
	}
	der, err := DERSignature(sig)
	if err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return k.VerifySignature(message, der)
}
