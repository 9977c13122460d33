// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/firmament-dev/firmament/verify"
)

// Key types and signature schemes that this package verifies (section 4.2.2). Others may be listed and are ignored.
// P-384 is what deployed repositories use beside the specification's list; ML-DSA-65 is an extension of this project: keytype
// "ml-dsa", scheme "ml-dsa-65", keyval.public the PEM of the SubjectPublicKeyInfo, signatures as FIPS 204 with an empty context.
const (
	KeyTypeEd25519 = "ed25519"
	KeyTypeECDSA   = "ecdsa"
	KeyTypeRSA     = "rsa"
	KeyTypeMLDSA   = "ml-dsa"

	SchemeEd25519 = "ed25519"
	SchemeP256    = "ecdsa-sha2-nistp256"
	SchemeP384    = "ecdsa-sha2-nistp384"
	SchemeRSAPSS  = "rsassa-pss-sha256"
	SchemeMLDSA65 = "ml-dsa-65"
)

// The sizes of RSA key that are accepted, in bits: what is shorter is weak, what is longer costs the device too much.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// Key is a public key that metadata lists, with the scheme in which it signs. Two Keys are == exactly if they are the same
// key in the same scheme, whatever their key ids. The zero Key verifies nothing.
type Key struct {
	scheme string
	der    string // the SubjectPublicKeyInfo in DER
}

// NewKey returns the public key as metadata lists it: *ecdsa.PublicKey on P-256 or P-384, ed25519.PublicKey, *rsa.PublicKey (signing
// with RSASSA-PSS) and ML-DSA-65 as verify.NewKey takes it. Any other is verify.ErrAlgorithm.
func NewKey(public crypto.PublicKey) (Key, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public != nil && public.Curve == elliptic.P384() {
			return newStandardKey(SchemeP384, public)
		}
	case *rsa.PublicKey:
		if public == nil || public.N == nil || public.N.BitLen() < MinRSABits || public.N.BitLen() > MaxRSABits || public.E < 3 {
			return Key{}, fmt.Errorf("rsa key: %d to %d bits expected: %w", MinRSABits, MaxRSABits, verify.ErrAlgorithm)
		}
		return newStandardKey(SchemeRSAPSS, public)
	}
	key, err := verify.NewKey(public)
	if err != nil {
		return Key{}, err
	}
	return KeyOf(key)
}

func newStandardKey(scheme string, public any) (Key, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, fmt.Errorf("%s key: %v: %w", scheme, err, verify.ErrAlgorithm)
	}
	return Key{scheme: scheme, der: string(der)}, nil
}

// KeyOf returns the Key of a verify.Key; of one that is no public key, verify.ErrAlgorithm.
func KeyOf(key verify.Key) (Key, error) {
	scheme := map[verify.KeyType]string{verify.P256: SchemeP256, verify.Ed25519: SchemeEd25519, verify.MLDSA65: SchemeMLDSA65}[key.Type()]
	der, err := key.MarshalDER()
	if err == nil && scheme == "" {
		err = verify.ErrAlgorithm
	}
	if err != nil {
		return Key{}, fmt.Errorf("key %v: %w", key, err)
	}
	return Key{scheme: scheme, der: string(der)}, nil
}

// ID is the SHA-256 digest of the key's SubjectPublicKeyInfo, as verify.Key.ID has it. It is not the key id under which metadata lists it.
func (k Key) ID() verify.Digest {
	if k.der == "" {
		return verify.Digest{}
	}
	return verify.Sum(verify.SHA256, []byte(k.der))
}

// Scheme is the signature scheme, such as SchemeEd25519; empty for the zero Key.
func (k Key) Scheme() string { return k.scheme }

// PEM returns the key as a PEM block "PUBLIC KEY", nil for the zero Key.
func (k Key) PEM() []byte {
	if k.der == "" {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(k.der)})
}

// KeyVal returns what metadata lists of the key: keytype, scheme and keyval.public. The zero Key has none of them.
func (k Key) KeyVal() (keyType, scheme, public string) {
	switch k.scheme {
	case SchemeEd25519:
		return KeyTypeEd25519, k.scheme, hex.EncodeToString([]byte(k.der[len(k.der)-ed25519.PublicKeySize:]))
	case SchemeP256, SchemeP384:
		keyType = KeyTypeECDSA
	case SchemeRSAPSS:
		keyType = KeyTypeRSA
	case SchemeMLDSA65:
		keyType = KeyTypeMLDSA
	}
	return keyType, k.scheme, string(k.PEM())
}

// Verify checks a signature over message as metadata carries it: ASN.1 DER for ECDSA, with SHA-256 on P-256 and SHA-384 on P-384;
// RSASSA-PSS with SHA-256 and any length of salt; the bytes as they are for the others. Errors: verify.ErrSignature, verify.ErrAlgorithm for the zero Key.
func (k Key) Verify(message, sig []byte) error {
	switch k.scheme {
	case SchemeP384, SchemeRSAPSS:
		c := k.check(sig)
		if c == nil {
			return fmt.Errorf("verify with %q key: %w", k.scheme, verify.ErrAlgorithm)
		}
		c.Write(message)
		return c.Verify()
	}
	key, err := verify.ParsePublicKeyDER([]byte(k.der))
	if err != nil {
		return fmt.Errorf("verify with %q key: %w", k.scheme, verify.ErrAlgorithm)
	}
	return key.VerifySignature(message, sig)
}

// parseKeys reads the keys of root or of a delegation, by the key id given. The id is a label here: thresholds count public
// keys, so an id that is not the hash of its key gains nobody anything (TAP 12 drops that rule for the same reason).
func parseKeys(v value) (map[string]Key, error) {
	if err := v.object("keys"); err != nil {
		return nil, err
	}
	keys := make(map[string]Key)
	for keyID, v := range v.members() {
		key, known, err := parseKey(v)
		if err != nil {
			return nil, err
		}
		if known {
			keys[keyID] = key
		}
	}
	return keys, nil
}

// parseKey reads one KEY object; known is false for a type and scheme that this package does not verify.
func parseKey(v value) (key Key, known bool, err error) {
	if err := v.object("key"); err != nil {
		return key, false, err
	}
	var kind, scheme, public string
	for name, v := range v.members() {
		switch name {
		case "keytype":
			kind, err = v.text(name)
		case "scheme":
			scheme, err = v.text(name)
		case "keyval":
			err = v.object(name)
			for name, v := range v.members() {
				if name == "public" && v.is('"') {
					public = v.unquoted()
				}
			}
		}
		if err != nil {
			return key, false, err
		}
	}
	switch {
	case kind == KeyTypeEd25519 && scheme == SchemeEd25519:
		key, err = parseEd25519(public)
	case kind == KeyTypeECDSA && (scheme == SchemeP256 || scheme == SchemeP384),
		kind == scheme && (scheme == SchemeP256 || scheme == SchemeP384), // older tools repeat the scheme as the type
		kind == KeyTypeRSA && scheme == SchemeRSAPSS:
		key, err = parsePEM(scheme, public)
	case kind == KeyTypeMLDSA && scheme == SchemeMLDSA65:
		// No standard says yet how such a key is listed: one in another form is as unknown as any key of tomorrow.
		key, err = parsePEM(scheme, public)
		return key, err == nil, nil
	default:
		return key, false, nil
	}
	return key, err == nil, err
}

func parseEd25519(public string) (Key, error) {
	raw, err := hex.DecodeString(public)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return Key{}, malformed("ed25519 key: %d hex digits expected, %d bytes seen", 2*ed25519.PublicKeySize, len(public))
	}
	key, err := NewKey(ed25519.PublicKey(raw))
	if err != nil {
		return Key{}, malformed("ed25519 key: %v", err)
	}
	return key, nil
}

func parsePEM(scheme, public string) (Key, error) {
	if len(public) > verify.MaxPEMSize {
		return Key{}, malformed("%s key: %d bytes, at most %d", scheme, len(public), verify.MaxPEMSize)
	}
	var key Key
	var err error
	switch scheme {
	case SchemeP384, SchemeRSAPSS:
		block, rest := pem.Decode([]byte(public))
		if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
			return Key{}, malformed("%s key: one PEM block PUBLIC KEY expected", scheme)
		}
		var parsed any
		if parsed, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			key, err = NewKey(parsed)
		}
	default:
		var parsed verify.Key
		if parsed, err = verify.ParsePublicKeyPEM([]byte(public)); err == nil {
			key, err = KeyOf(parsed)
		}
	}
	if err != nil {
		return Key{}, malformed("%s key: %v", scheme, err)
	}
	if key.scheme != scheme {
		return Key{}, malformed("%s key: the key is one for %s", scheme, key.scheme)
	}
	return key, nil
}
