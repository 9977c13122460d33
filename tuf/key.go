// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"crypto/ed25519"
	"encoding/hex"

	"github.com/firmament-dev/firmament/verify"
)

// Key types and signature schemes that this package verifies (section 4.2.2). Others may be listed and are ignored.
const (
	KeyTypeEd25519 = "ed25519"
	KeyTypeECDSA   = "ecdsa"

	SchemeEd25519 = "ed25519"
	SchemeP256    = "ecdsa-sha2-nistp256"
)

// parseKeys reads the keys of root, by the key id given. The id is a label here: thresholds count public keys, so an id
// that is not the hash of its key gains nobody anything (TAP 12 drops that rule for the same reason).
func parseKeys(v value) (map[string]verify.Key, error) {
	if err := v.object("keys"); err != nil {
		return nil, err
	}
	keys := make(map[string]verify.Key)
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
func parseKey(v value) (key verify.Key, known bool, err error) {
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
	case (kind == KeyTypeECDSA || kind == SchemeP256) && scheme == SchemeP256: // older tools repeat the scheme as the type
		key, err = parseP256(public)
	default:
		return key, false, nil
	}
	return key, err == nil, err
}

func parseEd25519(public string) (verify.Key, error) {
	raw, err := hex.DecodeString(public)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return verify.Key{}, malformed("ed25519 key: %d hex digits expected, %d bytes seen", 2*ed25519.PublicKeySize, len(public))
	}
	key, err := verify.NewKey(ed25519.PublicKey(raw))
	if err != nil {
		return verify.Key{}, malformed("ed25519 key: %v", err)
	}
	return key, nil
}

func parseP256(public string) (verify.Key, error) {
	key, err := verify.ParsePublicKeyPEM([]byte(public))
	if err != nil {
		return verify.Key{}, malformed("ecdsa key: %v", err)
	}
	if key.Type() != verify.P256 {
		return verify.Key{}, malformed("ecdsa key: a P-256 key expected, %v seen", key.Type())
	}
	return key, nil
}
