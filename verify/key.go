// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509" // the standard crypto/x509 with ML-DSA keys added
)

// KeyType is the kind of a Key; it fixes curve, hash and signature form. The zero value is no type.
type KeyType uint8

// The key types in use. The last three are of secret keys; see Secret.
const (
	P256    KeyType = iota + 1 // ECDSA on P-256 with SHA-256
	Ed25519                    // pure Ed25519, RFC 8032
	MLDSA65                    // ML-DSA-65 with an empty context string, FIPS 204
	HMAC256                    // HMAC with SHA-256, RFC 2104
	A128KW                     // AES key wrap with a 128-bit key, RFC 3394
	A256KW                     // AES key wrap with a 256-bit key, RFC 3394
)

// String returns "p256", "ed25519", "mldsa65", "hmac256", "a128kw" or "a256kw".
func (t KeyType) String() string {
	switch t {
	case P256:
		return "p256"
	case Ed25519:
		return "ed25519"
	case MLDSA65:
		return "mldsa65"
	case HMAC256:
		return "hmac256"
	case A128KW:
		return "a128kw"
	case A256KW:
		return "a256kw"
	}
	return fmt.Sprintf("keytype(%d)", uint8(t))
}

// symmetric reports whether keys of the type are secrets, of which a Key is only the name.
func (t KeyType) symmetric() bool { return t == HMAC256 || t == A128KW || t == A256KW }

const (
	p256PointSize = 65 // 0x04 || X || Y, SEC 1 section 2.3.3
	rawSize       = 64 // r || s, and Ed25519's R || S
	maxDERSize    = 72 // SEQUENCE of two INTEGERs of at most 33 bytes
)

// Key is an immutable public key, or the name of a Secret (which verifies nothing by
// itself). Two Keys are == exactly if they are the same key, whatever names or encodings they arrived
// under. The zero Key is invalid and verifies nothing.
type Key struct {
	kind KeyType
	data string // the uncompressed point, the Ed25519 or ML-DSA encoding, or a Secret's name
}

// NewKey checks and wraps a public key: *ecdsa.PublicKey on P-256, ed25519.PublicKey, or
// *mldsa.PublicKey (filippo.io/mldsa) with the parameters ML-DSA-65. A
// point that is not on the curve, an Ed25519 encoding that is not canonical, an Ed25519 point of
// small order (under which one signature fits many messages), any other curve and any
// other key kind are ErrAlgorithm.
func NewKey(pub crypto.PublicKey) (Key, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return newP256(pub)
	case ed25519.PublicKey:
		return newEd25519(pub)
	case *mldsa.PublicKey:
		if pub == nil || pub.Parameters() != mldsa.MLDSA65() {
			return Key{}, fmt.Errorf("ml-dsa public key is not ML-DSA-65: %w", ErrAlgorithm)
		}
		return Key{kind: MLDSA65, data: string(pub.Bytes())}, nil
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
	return Key{kind: P256, data: string(point)}, nil
}

func newEd25519(pub ed25519.PublicKey) (Key, error) {
	if len(pub) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("ed25519 public key of %d bytes, expected %d: %w", len(pub), ed25519.PublicKeySize, ErrAlgorithm)
	}
	if err := checkEdwardsPoint(pub); err != nil {
		return Key{}, err
	}
	return Key{kind: Ed25519, data: string(pub)}, nil
}

// Type returns the key's type, 0 for the zero Key.
func (k Key) Type() KeyType { return k.kind }

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.kind == 0 }

// ID returns the SHA-256 digest of the key's PKIX (SubjectPublicKeyInfo) DER: the identity
// of the key, the same under every key id. For a Secret it is the name alone. The zero Key has the
// zero Digest.
func (k Key) ID() Digest {
	if k.kind.symmetric() {
		id, err := NewDigest(SHA256, []byte(k.data))
		if err != nil {
			return Digest{}
		}
		return id
	}
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

// Public returns the key as *ecdsa.PublicKey, ed25519.PublicKey or *mldsa.PublicKey, nil for the
// zero Key and for the name of a Secret. The caller owns the result.
func (k Key) Public() crypto.PublicKey {
	switch k.kind {
	case P256:
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), []byte(k.data))
		if err != nil {
			return nil
		}
		return pub
	case Ed25519:
		return ed25519.PublicKey(k.data)
	case MLDSA65:
		pub, err := mldsa.NewPublicKey(mldsa.MLDSA65(), []byte(k.data))
		if err != nil {
			return nil
		}
		return pub
	}
	return nil
}

func (k Key) pkix() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("zero key: %w", ErrAlgorithm)
	}
	pub := k.Public()
	if pub == nil {
		return nil, fmt.Errorf("%v has no public half: %w", k.kind, ErrAlgorithm)
	}
	return x509.MarshalPKIXPublicKey(pub)
}

// VerifySignature checks sig over message: for P256 an ASN.1 DER signature over the SHA-256
// of message, for Ed25519 the 64 bytes of RFC 8032, for MLDSA65 the 3309 bytes of FIPS 204 (pure, empty
// context). It returns nil, ErrSignature, or ErrAlgorithm for the zero Key and the name of a Secret.
func (k Key) VerifySignature(message, sig []byte) error {
	return k.verify(k.Public(), message, sig)
}

// verify is VerifySignature with what k.Public returns.
func (k Key) verify(public crypto.PublicKey, message, sig []byte) error {
	ok := false
	switch pub := public.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		ok = len(sig) <= maxDERSize && ecdsa.VerifyASN1(pub, sum[:], sig)
	case ed25519.PublicKey:
		ok = len(sig) == rawSize && ed25519.Verify(pub, message, sig)
	case *mldsa.PublicKey:
		ok = len(sig) == mldsa.MLDSA65SignatureSize && mldsa.Verify(pub, message, sig, nil) == nil
	default:
		return fmt.Errorf("verify a signature with %v: %w", k, ErrAlgorithm)
	}
	if !ok {
		return fmt.Errorf("%v, signature of %d bytes: %w", k, len(sig), ErrSignature)
	}
	return nil
}

// VerifyRaw is VerifySignature for the fixed form: 64 bytes r||s for P256 (RFC 9053, section
// 2.1), and the same bytes as VerifySignature for the others.
func (k Key) VerifyRaw(message, sig []byte) error {
	return k.verifyRaw(k.Public(), message, sig)
}

func (k Key) verifyRaw(public crypto.PublicKey, message, sig []byte) error {
	if k.kind != P256 {
		return k.verify(public, message, sig)
	}
	der, err := DERSignature(sig)
	if err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return k.verify(public, message, der)
}
