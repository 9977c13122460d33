// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
	oracle "github.com/veraison/go-cose"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// checkOracle: what this package reads, others read; what it verifies, go-cose verifies.
func checkOracle(t testing.TB, message, detached []byte, sigs []verify.Signature) {
	t.Helper()
	sign1, sign, mac := cose.Reads(message)
	if sign1 {
		m := new(oracle.Sign1Message)
		if err := m.UnmarshalCBOR(message); err != nil {
			t.Fatalf("go-cose refuses the sign1 %x: %v", message, err)
		}
		if len(sigs) == 1 && sigs[0].Verified() {
			m.Payload = detached
			alg, _ := m.Headers.Protected.Algorithm()
			if err := m.Verify(nil, oracleVerifier{sigs[0].Entry.Key, alg}); err != nil {
				t.Fatalf("go-cose does not verify %x: %v", message, err)
			}
		}
	}
	if sign {
		m := new(oracle.SignMessage)
		if err := m.UnmarshalCBOR(message); err != nil {
			t.Fatalf("go-cose refuses the sign %x: %v", message, err)
		}
		if len(sigs) > 0 && len(sigs) != len(m.Signatures) && sigs[0].Verified() {
			t.Fatalf("%d signatures, go-cose sees %d", len(sigs), len(m.Signatures))
		}
		body := m.Headers.RawProtected
		if len(m.Headers.Protected) == 0 {
			body = []byte{0x40} // go-cose forgets that an empty map is signed as an empty string
		}
		for i, s := range sigs {
			if !s.Verified() {
				continue
			}
			alg, _ := m.Signatures[i].Headers.Protected.Algorithm()
			if err := m.Signatures[i].Verify(oracleVerifier{s.Entry.Key, alg}, body, detached, nil); err != nil {
				t.Fatalf("go-cose does not verify signature %d of %x: %v", i, message, err)
			}
		}
	}
	if mac {
		checkCBOROracle(t, message)
	}
}

// checkCBOROracle: another decoder accepts message by the same rules, and its protected headers.
func checkCBOROracle(t testing.TB, message []byte) {
	t.Helper()
	mode, err := cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		IntDec:          cbor.IntDecConvertSignedOrFail,
		MaxNestedLevels: 8,
	}.DecMode()
	if err != nil {
		t.Fatal(err)
	}
	content := message[1:] // after the tag
	if message[0] == 0xd8 {
		content = message[2:]
	}
	var items []any
	if err := mode.Unmarshal(content, &items); err != nil {
		t.Fatalf("cbor refuses %x: %v", message, err)
	}
	layers := [][]any{items}
	if recipients, ok := items[len(items)-1].([]any); ok {
		for _, r := range recipients {
			layers = append(layers, r.([]any))
		}
	}
	for _, layer := range layers {
		var protected map[any]any
		if b := layer[0].([]byte); len(b) > 0 {
			if err := mode.Unmarshal(b, &protected); err != nil {
				t.Fatalf("cbor refuses the protected header %x: %v", b, err)
			}
		}
	}
}

type oracleVerifier struct {
	key verify.Key
	alg oracle.Algorithm
}

func (v oracleVerifier) Algorithm() oracle.Algorithm { return v.alg }

func (v oracleVerifier) Verify(content, signature []byte) error {
	return v.key.VerifyRaw(content, signature)
}

// TestOracleWrites: go-cose reads and verifies what this package signs.
func TestOracleWrites(t *testing.T) {
	es, ed, ml := testkeys.P256(1), testkeys.Ed25519(1), testkeys.MLDSA65(1)
	keys := keySet(t, verify.Entry{Key: es.Public()}, verify.Entry{KID: []byte("a"), Key: ed.Public()}, verify.Entry{Key: ml.Public()})
	for _, block := range [][]byte{
		sign(t, es, cose.ES256),
		sign(t, es, cose.ESP256),
		sign(t, ml, cose.MLDSA65),
		signAll(t, cose.Signatory{Signer: es}, cose.Signatory{Signer: ed, KID: []byte("a")}, cose.Signatory{Signer: ml}),
	} {
		sigs := cose.Verify(block, payload, keys)
		for _, s := range sigs {
			if !s.Verified() {
				t.Error(s.Err)
			}
		}
		if sign1, sign, _ := cose.Reads(block); sign1 == sign {
			t.Errorf("%x reads as sign1 %v, as sign %v", block, sign1, sign)
		}
		checkOracle(t, block, payload, sigs)
	}
}

// TestSignatureHeaderForms: parameters that nothing reads have the form of RFC 9052 all the same, as go-cose demands.
func TestSignatureHeaderForms(t *testing.T) {
	keys := keySet(t, verify.Entry{Key: p256Key})
	for _, test := range []struct {
		name, protected, unprotected string
		ok                           bool
	}{
		{"content type", "a201260363612f62", "a0", true},
		{"content type without subtype", "a20126036161", "a0", false},
		{"type with a space", "a201261064612f6220", "a0", false},
		{"content type bytes", "a201260340", "a0", false},
		{"iv beside partial iv", "a201260540", "a10640", false},
		{"iv text", "a201260560", "a0", false},
		{"countersignature", "a10126", "a1078340a04101", true},
		{"two countersignatures", "a10126", "a10b828340a041018340a04102", true},
		{"countersignature without signature", "a10126", "a1078340a040", false},
		{"countersignature protected", "a20126078340a04101", "a0", false},
		{"abbreviated countersignature", "a10126", "a1094101", true},
		{"abbreviated countersignature text", "a10126", "a1096161", false},
		{"tag inside", "a10126", "a11863c100", false},
		{"long heads", "b801180126", "b80118631b0000000000000001", true},
		{"label twice in a value", "a10126", "a11863a201001801 00", false},
		{"array as a label in a value", "a10126", "a11863a1810100", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			block := raw(t, testkeys.P256(1), unhex(test.protected), unhex(test.unprotected))
			sigs := cose.Verify(block, payload, keys)
			if sigs[0].Verified() != test.ok {
				t.Errorf("verified %v, want %v: %v", sigs[0].Verified(), test.ok, sigs[0].Err)
			}
			if err := new(oracle.Sign1Message).UnmarshalCBOR(block); (err == nil) != test.ok {
				t.Errorf("go-cose: %v", err)
			}
			checkOracle(t, block, bytes.Clone(payload), sigs)
		})
	}
}
