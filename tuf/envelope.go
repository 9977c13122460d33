// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"encoding/hex"
	"fmt"
)

// envelope is a metadata file whose signatures have not been looked at: signed must not be interpreted before
// verify has returned nil.
type envelope struct {
	signed     value
	signatures map[string][]byte // by key id; nil where the text is no hex
}

// openEnvelope splits a metadata file into its signed part and its signatures (section 4.2.1).
func openEnvelope(data []byte) (*envelope, error) {
	canonical, err := Canonical(data)
	if err != nil {
		return nil, err
	}
	e := &envelope{}
	if err := value(canonical).object("metadata"); err != nil {
		return nil, err
	}
	for name, v := range value(canonical).members() {
		switch name {
		case "signed":
			e.signed = v
		case "signatures":
			if e.signatures, err = parseSignatures(v); err != nil {
				return nil, err
			}
		}
	}
	if e.signed == nil || e.signatures == nil {
		return nil, malformed("metadata: signed and signatures expected")
	}
	return e, e.signed.object("signed")
}

func parseSignatures(list value) (map[string][]byte, error) {
	if !list.is('[') {
		return nil, malformed("signatures: array expected")
	}
	signatures := make(map[string][]byte)
	for entry := range list.elements() {
		var keyID, sig string
		var err error
		for name, v := range entry.members() {
			switch name {
			case "keyid":
				keyID, err = v.text(name)
			case "sig":
				sig, err = v.text(name)
			}
			if err != nil {
				return nil, err
			}
		}
		if keyID == "" {
			return nil, malformed("signatures: key id missing")
		}
		if _, twice := signatures[keyID]; twice {
			// Section 4.2.1: the keyid must be unique. One key counted twice is also the classic way around a threshold.
			return nil, fmt.Errorf("%w: %w: key id %.16s signs twice", ErrMalformed, ErrThreshold, keyID)
		}
		raw, err := hex.DecodeString(sig)
		if err != nil {
			raw = nil // an unusable signature is one that does not count, not a reason to refuse the others
		}
		signatures[keyID] = raw
	}
	return signatures, nil
}

// verify counts the distinct public keys of role that signed. Two key ids of one public key are one signer.
func (e *envelope) verify(role *roleKeys) error {
	signers := make(map[Key]bool)
	for keyID, key := range role.keys {
		if sig := e.signatures[keyID]; sig != nil && !signers[key] && key.Verify(e.signed, sig) == nil {
			signers[key] = true
		}
	}
	return role.judge(signers)
}
