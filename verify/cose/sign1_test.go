// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var (
	p256Key = testkeys.P256(1).Public()
	edKey   = testkeys.Ed25519(1).Public()
	payload = []byte("a SUIT_Digest")
)

func keySet(t testing.TB, entries ...verify.Entry) *verify.KeySet {
	t.Helper()
	s, err := verify.NewKeySet(entries...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s verify.Signer, alg cose.Algorithm) []byte {
	t.Helper()
	block, err := cose.SignSign1(t.Context(), s, alg, payload)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// raw assembles a block from literal parts and signs it correctly, so that a refusal is due to the
// parts and not to the signature. Protected is the content of the byte string.
func raw(t testing.TB, s verify.Signer, protected, unprotected []byte) []byte {
	t.Helper()
	toBeSigned := append([]byte("\x84\x6aSignature1"), bstr(protected)...)
	toBeSigned = append(append(toBeSigned, 0x40), bstr(payload)...)
	sig, err := s.Sign(t.Context(), toBeSigned)
	if err != nil {
		t.Fatal(err)
	}
	if s.Public().Type() == verify.P256 {
		if sig, err = verify.RawSignature(sig); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.Join([][]byte{{0xd2, 0x84}, bstr(protected), unprotected, {0xf6}, bstr(sig)}, nil)
}

func bstr(b []byte) []byte {
	switch {
	case len(b) < 24:
		return append([]byte{0x40 | byte(len(b))}, b...)
	case len(b) < 256:
		return append([]byte{0x58, byte(len(b))}, b...)
	}
	return append([]byte{0x5a, byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestSign1RoundTrip(t *testing.T) {
	for _, alg := range []cose.Algorithm{cose.ES256, cose.ESP256, cose.Ed25519} {
		t.Run(alg.String(), func(t *testing.T) {
			s := testkeys.P256(1)
			if alg == cose.Ed25519 {
				s = testkeys.Ed25519(1)
			}
			block := sign(t, s, alg)
			if want := raw(t, s, []byte{0xa1, 1, byte(0x20 | (-1 - alg))}, []byte{0xa0}); !bytes.Equal(block, want) {
				t.Errorf("SignSign1 = %x, want %x", block, want)
			}
			keys := keySet(t, verify.Entry{Key: s.Public()})
			sig, err := cose.VerifySign1(block, payload, keys)
			if err != nil || !sig.Verified() || sig.Entry.Key != s.Public() || sig.KID != nil {
				t.Errorf("VerifySign1 = %v, %v", sig, err)
			}
			block, err = cose.SignSign1WithKID(t.Context(), s, alg, []byte("k1"), payload)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cose.VerifySign1(block, payload, keySet(t, verify.Entry{KID: []byte("k2"), Key: s.Public()})); !errors.Is(err, verify.ErrKeyUnknown) {
				t.Errorf("kid not in the set: %v", err)
			}
			keys = keySet(t, verify.Entry{KID: []byte("k1"), Key: s.Public()})
			if sig, err := cose.VerifySign1(block, payload, keys); err != nil || string(sig.KID) != "k1" {
				t.Errorf("with kid: %v, %v", sig, err)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	ctx := t.Context()
	for name, test := range map[string]struct {
		s       verify.Signer
		alg     cose.Algorithm
		payload []byte
		want    error
	}{
		"no signer":         {nil, cose.ES256, payload, verify.ErrKeyUnknown},
		"ES256 by ed25519":  {testkeys.Ed25519(1), cose.ES256, payload, verify.ErrAlgorithm},
		"Ed25519 by p256":   {testkeys.P256(1), cose.Ed25519, payload, verify.ErrAlgorithm},
		"EdDSA":             {testkeys.Ed25519(1), cose.EdDSA, payload, verify.ErrAlgorithm},
		"unknown algorithm": {testkeys.P256(1), -35, payload, verify.ErrAlgorithm},
		"no algorithm":      {testkeys.P256(1), 0, payload, verify.ErrAlgorithm},
		"COS-12 no payload": {testkeys.P256(1), cose.ES256, nil, verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := cose.SignSign1(ctx, test.s, test.alg, test.payload); !errors.Is(err, test.want) || b != nil {
				t.Errorf("SignSign1 = %x, %v, want %v", b, err, test.want)
			}
		})
	}
	for _, kid := range [][]byte{nil, {}, make([]byte, verify.MaxKIDSize+1)} {
		if _, err := cose.SignSign1WithKID(ctx, testkeys.P256(1), cose.ES256, kid, payload); !errors.Is(err, verify.ErrLimit) {
			t.Errorf("kid of %d bytes: %v", len(kid), err)
		}
	}
}

// Each block is signed correctly over what it says; only its form is at fault.
func TestSign1Form(t *testing.T) {
	es := testkeys.P256(1)
	for name, test := range map[string]struct {
		protected, unprotected string
		want                   error
	}{
		"control":                                {"a10126", "a0", nil},
		"unknown label, not critical":            {"a2012618630a", "a0", nil},
		"unordered protected header":             {"a20300 0126", "a0", nil}, // order is not a COSE rule
		"COS-01 alg only unprotected":            {"", "a10126", verify.ErrAlgorithm},
		"COS-01 alg only unprotected, empty map": {"a0", "a10126", verify.ErrAlgorithm},
		"COS-01 alg absent":                      {"", "a0", verify.ErrAlgorithm},
		"COS-01 alg in both, the same":           {"a10126", "a10126", verify.ErrAlgorithm},
		"COS-01 alg in both, different":          {"a10126", "a10132", verify.ErrAlgorithm},
		"COS-02 EdDSA with a p256 key":           {"a10127", "a0", verify.ErrAlgorithm},
		"COS-02 Ed25519 with a p256 key":         {"a10132", "a0", verify.ErrAlgorithm},
		"COS-02 alg as text":                     {"a101654553323536", "a0", verify.ErrAlgorithm},
		"COS-02 HMAC":                            {"a10105", "a0", verify.ErrAlgorithm},
		"COS-02 ES384":                           {"a1013822", "a0", verify.ErrAlgorithm},
		"COS-02 ES512":                           {"a1013823", "a0", verify.ErrAlgorithm},
		"COS-02 PS256":                           {"a1013824", "a0", verify.ErrAlgorithm},
		"COS-02 reserved":                        {"a10100", "a0", verify.ErrAlgorithm},
		"COS-02 alg nil":                         {"a101f6", "a0", verify.ErrMalformed},
		"COS-02 alg wraps a small number":        {"a1013bfffffffffffffff8", "a0", verify.ErrMalformed},
		"COS-03 kid empty":                       {"a20126 0440", "a0", verify.ErrMalformed},
		"COS-03 kid empty, unprotected":          {"a10126", "a10440", verify.ErrMalformed},
		"COS-03 kid text":                        {"a10126", "a1046131", verify.ErrMalformed},
		"COS-03 kid in both, different":          {"a20126 044131", "a1044132", verify.ErrMalformed},
		"COS-03 kid in both, the same":           {"a20126 044131", "a1044131", nil},
		"COS-03 kid that no key has":             {"a10126", "a1044131", nil},
		"COS-03 kid of 129 bytes":                {"a10126", "a1045881" + strings.Repeat("31", 129), verify.ErrLimit},
		"COS-04 x5u and x5chain":                 {"a10126", "a21821413018236a687474703a2f2f612f62", nil},
		"COS-06 crit, unknown, present":          {"a301260281186318630a", "a0", verify.ErrUnsupported},
		"COS-06 crit, unknown, absent":           {"a2012602811863", "a0", verify.ErrMalformed},
		"COS-06 crit, empty":                     {"a201260280", "a0", verify.ErrMalformed},
		"COS-06 crit, known":                     {"a20126028101", "a0", verify.ErrUnsupported},
		"COS-06 crit, unprotected":               {"a10126", "a10281186318630a", verify.ErrMalformed},
		"CBR-03 alg twice":                       {"a201260126", "a0", verify.ErrMalformed},
		"CBR-03 alg twice, second long":          {"a2012618010526", "a0", verify.ErrMalformed},
		"CBR-03 kid twice, unprotected":          {"a10126", "a2044131044132", verify.ErrMalformed},
		"CBR-03 label in both":                   {"a2012618630a", "a118630a", verify.ErrMalformed},
		"CBR-03 label as bignum":                 {"a20126c24101 26", "a0", verify.ErrMalformed},
		"label bytes":                            {"a10126", "a1413100", verify.ErrMalformed},
		"label float":                            {"a10126", "a1f9000000", verify.ErrMalformed},
		"protected is an array":                  {"820126", "a0", verify.ErrMalformed},
		"protected with a tail":                  {"a1012600", "a0", verify.ErrMalformed},
		"protected tagged":                       {"c0a10126", "a0", verify.ErrMalformed},
		"protected of indefinite length":         {"bf0126ff", "a0", verify.ErrMalformed},
		"unprotected is an array":                {"a10126", "80", verify.ErrMalformed},
		"unprotected of indefinite length":       {"a10126", "bfff", verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			block := raw(t, es, unhex(test.protected), unhex(test.unprotected))
			sig, err := cose.VerifySign1(block, payload, keySet(t, verify.Entry{Key: p256Key}))
			if !errors.Is(err, test.want) || sig.Verified() != (test.want == nil) {
				t.Errorf("VerifySign1 = %v, want %v", err, test.want)
			}
		})
	}
}

func TestSign1Frame(t *testing.T) {
	block := sign(t, testkeys.P256(1), cose.ES256)
	keys := keySet(t, verify.Entry{Key: p256Key})
	body := block[2:]
	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		"control":                {block, nil},
		"nothing":                {nil, verify.ErrMalformed},
		"trailing byte":          {append(bytes.Clone(block), 0), verify.ErrMalformed},
		"untagged":               {block[1:], verify.ErrMalformed},
		"tag 98 (COSE_Sign)":     {append([]byte{0xd8, 98}, block[1:]...), verify.ErrMalformed},
		"tag 18 in two bytes":    {append([]byte{0xd8, 18}, block[1:]...), verify.ErrMalformed},
		"tagged twice":           {append([]byte{0xd2}, block...), verify.ErrMalformed},
		"wrapped in bstr":        {bstr(block), verify.ErrMalformed},
		"array of 3":             {append([]byte{0xd2, 0x83}, body...), verify.ErrMalformed},
		"array of 5":             {bytes.Join([][]byte{{0xd2, 0x85}, body, {0}}, nil), verify.ErrMalformed},
		"indefinite array":       {bytes.Join([][]byte{{0xd2, 0x9f}, body, {0xff}}, nil), verify.ErrMalformed},
		"payload undefined":      {replace(block, 0xf6, []byte{0xf7}), verify.ErrMalformed},
		"COS-12 payload empty":   {replace(block, 0xf6, []byte{0x40}), verify.ErrUnsupported},
		"COS-12 payload again":   {replace(block, 0xf6, bstr(payload)), verify.ErrUnsupported},
		"payload text":           {replace(block, 0xf6, []byte{0x60}), verify.ErrMalformed},
		"signature empty":        {append(bytes.Clone(block[:len(block)-66]), 0x40), verify.ErrMalformed},
		"signature nil":          {append(bytes.Clone(block[:len(block)-66]), 0xf6), verify.ErrMalformed},
		"signature claims 4 GiB": {append(bytes.Clone(block[:len(block)-66]), 0x5a, 0xff, 0xff, 0xff, 0xff), verify.ErrMalformed},
		"COS-03 kid of 1 MiB":    {raw(t, testkeys.P256(1), unhex("a10126"), append([]byte{0xa1, 4}, bstr(make([]byte, 1<<20))...)), verify.ErrLimit},
		"above the limit":        {make([]byte, cose.MaxBlockSize+1), verify.ErrLimit},
		"deep nesting":           {append([]byte{0xd2, 0x84, 0x40, 0xa1, 0x18, 0x63}, bytes.Repeat([]byte{0x81}, 4000)...), verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cose.VerifySign1(test.block, payload, keys); !errors.Is(err, test.want) {
				t.Errorf("VerifySign1 = %v, want %v", err, test.want)
			}
		})
	}
	for n := range len(block) {
		if _, err := cose.VerifySign1(block[:n], payload, keys); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// replace puts with in the place of the item that starts with the only byte head before the signature.
func replace(block []byte, head byte, with []byte) []byte {
	at := bytes.IndexByte(block, head)
	return bytes.Join([][]byte{block[:at], with, block[at+1:]}, nil)
}

func TestSign1EveryBit(t *testing.T) {
	for _, s := range []verify.Signer{testkeys.P256(1), testkeys.Ed25519(1)} {
		alg, err := cose.AlgorithmFor(s.Public().Type())
		if err != nil {
			t.Fatal(err)
		}
		keys := keySet(t, verify.Entry{Key: s.Public()})
		block := sign(t, s, alg)
		for bit := range 8 * len(block) {
			bad := bytes.Clone(block)
			bad[bit/8] ^= 1 << (bit % 8)
			if sig, err := cose.VerifySign1(bad, payload, keys); err == nil || sig.Verified() {
				t.Errorf("%v: bit %d flipped: accepted %x", alg, bit, bad)
			}
		}
	}
}

func TestCOS_03_WhichKey(t *testing.T) {
	a, b := testkeys.P256(1), testkeys.P256(2)
	byA := raw(t, a, unhex("a10126"), unhex("a1044161"))
	noKID := raw(t, a, unhex("a10126"), unhex("a0"))
	entry := func(kid string, k verify.Key) verify.Entry {
		e := verify.Entry{Key: k}
		if kid != "" {
			e.KID = []byte(kid)
		}
		return e
	}
	for name, test := range map[string]struct {
		block   []byte
		entries []verify.Entry
		want    error
	}{
		"kid of another key":               {byA, []verify.Entry{entry("a", b.Public()), entry("b", a.Public())}, verify.ErrSignature},
		"two keys of one kid, first":       {byA, []verify.Entry{entry("a", a.Public()), entry("a", b.Public())}, nil},
		"two keys of one kid, second":      {byA, []verify.Entry{entry("a", b.Public()), entry("a", a.Public())}, nil},
		"kid, key known without a name":    {byA, []verify.Entry{entry("", b.Public()), entry("", a.Public())}, nil},
		"kid, no such name":                {byA, []verify.Entry{entry("b", a.Public())}, verify.ErrKeyUnknown},
		"kid of another key, and nameless": {byA, []verify.Entry{entry("a", b.Public()), entry("", a.Public())}, nil},
		"kid, nameless key of others":      {byA, []verify.Entry{entry("", b.Public())}, verify.ErrSignature},
		"no kid, named key":                {noKID, []verify.Entry{entry("b", b.Public()), entry("e", edKey), entry("a", a.Public())}, nil},
		"no kid, none fits":                {noKID, []verify.Entry{entry("b", b.Public()), entry("e", edKey)}, verify.ErrSignature},
		"no kid, other key type":           {noKID, []verify.Entry{entry("", edKey)}, verify.ErrAlgorithm},
		"kid of another key type":          {byA, []verify.Entry{entry("a", edKey)}, verify.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			sig, err := cose.VerifySign1(test.block, payload, keySet(t, test.entries...))
			if !errors.Is(err, test.want) || !errors.Is(sig.Err, test.want) {
				t.Fatalf("VerifySign1 = %v, want %v", err, test.want)
			}
			if err == nil && sig.Entry.Key != a.Public() {
				t.Errorf("signer %v, want %v", sig.Entry.Key, a.Public())
			}
		})
	}
	if _, err := cose.VerifySign1(byA, payload, nil); !errors.Is(err, verify.ErrKeyUnknown) {
		t.Errorf("no key set: %v", err)
	}
}

func TestCOS_09_RawOnly(t *testing.T) {
	s := testkeys.P256(1)
	block := sign(t, s, cose.ES256)
	keys := keySet(t, verify.Entry{Key: p256Key})
	head, sig := block[:len(block)-66], block[len(block)-64:]
	der, err := verify.DERSignature(sig)
	if err != nil {
		t.Fatal(err)
	}
	order := new(big.Int)
	order.SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	n := order.FillBytes(make([]byte, 32))
	for name, bad := range map[string][]byte{
		"der":           der,
		"zeros":         make([]byte, 64),
		"r zero":        append(make([]byte, 32), sig[32:]...),
		"s zero":        append(bytes.Clone(sig[:32]), make([]byte, 32)...),
		"r = n":         append(bytes.Clone(n), sig[32:]...),
		"s = n":         append(bytes.Clone(sig[:32]), n...),
		"63 bytes":      sig[:63],
		"65 bytes":      append([]byte{0}, sig...),
		"96 bytes":      append(bytes.Clone(sig), make([]byte, 32)...),
		"halves padded": bytes.Join([][]byte{{0}, sig[:32], {0}, sig[32:]}, nil),
	} {
		if _, err := cose.VerifySign1(append(bytes.Clone(head), bstr(bad)...), payload, keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// (r, n-s) is a second good signature: two blocks, one signer, one count.
	s2 := new(big.Int).Sub(order, new(big.Int).SetBytes(sig[32:])).FillBytes(make([]byte, 32))
	twin, err := cose.VerifySign1(append(bytes.Clone(head), bstr(append(bytes.Clone(sig[:32]), s2...))...), payload, keys)
	if err != nil {
		t.Fatal(err)
	}
	first, err := cose.VerifySign1(block, payload, keys)
	if err != nil {
		t.Fatal(err)
	}
	two, err := verify.Threshold(2, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := two.Check(verify.Evidence{Signatures: []verify.Signature{first, twin}}); !errors.Is(err, verify.ErrThreshold) {
		t.Errorf("a malleated signature counts as a second signer: %v", err)
	}
}

func TestCOS_11_12_PayloadAndContext(t *testing.T) {
	s := testkeys.P256(1)
	keys := keySet(t, verify.Entry{Key: p256Key})
	block := sign(t, s, cose.ES256)
	for name, other := range map[string][]byte{
		"swapped": []byte("another digest"), "nil": nil, "empty": {}, "longer": append(bytes.Clone(payload), 0),
	} {
		if _, err := cose.VerifySign1(block, other, keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("payload %s: %v", name, err)
		}
	}
	// The same key, header and payload signed for another COSE structure or another external_aad.
	for name, toBeSigned := range map[string]string{
		"COSE_Sign":         "\x85\x69Signature\x43\xa1\x01\x26\x40\x40",
		"counter signature": "\x84\x70CounterSignature\x43\xa1\x01\x26\x40",
		"COSE_Mac0":         "\x84\x64MAC0\x43\xa1\x01\x26\x40",
		"external_aad":      "\x84\x6aSignature1\x43\xa1\x01\x26\x46report",
	} {
		der, err := s.Sign(t.Context(), append([]byte(toBeSigned), bstr(payload)...))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := verify.RawSignature(der)
		if err != nil {
			t.Fatal(err)
		}
		bad := append(bytes.Clone(block[:len(block)-66]), bstr(sig)...)
		if _, err := cose.VerifySign1(bad, payload, keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("signature of a %s: %v", name, err)
		}
	}
}

func TestCOS_15_Revoked(t *testing.T) {
	block := sign(t, testkeys.P256(1), cose.ES256)
	keys := keySet(t, verify.Entry{Key: p256Key, Revoked: true}, verify.Entry{Key: edKey})
	sig, err := cose.VerifySign1(block, payload, keys)
	if !errors.Is(err, verify.ErrKeyRevoked) || sig.Verified() || sig.Entry.Key != p256Key {
		t.Errorf("good signature by a revoked key: %v, %v", sig, err)
	}
	if _, err := cose.VerifySign1(block, []byte("other"), keys); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("bad signature by a revoked key: %v", err)
	}
}

func TestKeepsNothing(t *testing.T) {
	block := raw(t, testkeys.P256(1), unhex("a10126"), unhex("a1044161"))
	sig, err := cose.VerifySign1(block, payload, keySet(t, verify.Entry{KID: []byte("a"), Key: p256Key}))
	if err != nil {
		t.Fatal(err)
	}
	clear(block)
	if string(sig.KID) != "a" {
		t.Errorf("KID = %q after the block was overwritten", sig.KID)
	}
}
