// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func signAll(tb testing.TB, by ...cose.Signatory) []byte {
	tb.Helper()
	block, err := cose.SignSign(tb.Context(), payload, by...)
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

func TestSignManySigners(t *testing.T) {
	es, ed, ml := testkeys.P256(1), testkeys.Ed25519(1), testkeys.MLDSA65(1)
	block := signAll(t, cose.Signatory{Signer: es, KID: []byte("a")}, cose.Signatory{Signer: ed},
		cose.Signatory{Signer: ml, KID: []byte("pq")}, cose.Signatory{Signer: testkeys.P256(2), Algorithm: cose.ES256})
	keys := keySet(t,
		verify.Entry{KID: []byte("a"), Key: es.Public(), Groups: []string{"author"}},
		verify.Entry{Key: ed.Public(), Groups: []string{"author"}},
		verify.Entry{KID: []byte("pq"), Key: ml.Public(), Groups: []string{"post-quantum"}})
	sigs := cose.Verify(block, payload, keys)
	if len(sigs) != 4 {
		t.Fatalf("%d signatures, want 4", len(sigs))
	}
	for i, want := range []error{nil, nil, nil, verify.ErrSignature} {
		if !errors.Is(sigs[i].Err, want) || sigs[i].Verified() != (want == nil) {
			t.Errorf("signer %d: %v, want %v", i, sigs[i].Err, want)
		}
	}
	if string(sigs[0].KID) != "a" || sigs[1].KID != nil || sigs[2].Entry.Key != ml.Public() {
		t.Errorf("signatures %v", sigs)
	}
	for i, s := range cose.Verify(block, []byte("another digest"), keys) {
		if !errors.Is(s.Err, verify.ErrSignature) {
			t.Errorf("signer %d over another payload: %v", i, s.Err)
		}
	}
	for i, s := range cose.Verify(block, nil, keys) {
		if !errors.Is(s.Err, verify.ErrSignature) {
			t.Errorf("signer %d over nil: %v", i, s.Err)
		}
	}
}

// A hybrid policy: what an attacker strips is what the policy misses.
func TestPolicyDemandsMLDSA(t *testing.T) {
	es, ml := testkeys.P256(1), testkeys.MLDSA65(1)
	keys := keySet(t, verify.Entry{Key: es.Public(), Groups: []string{"classic"}}, verify.Entry{Key: ml.Public(), Groups: []string{"post-quantum"}})
	var both []verify.Policy
	for _, group := range []string{"classic", "post-quantum"} {
		p, err := verify.Threshold(1, group)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, p)
	}
	classic, err := cose.SignSign1(t.Context(), es, cose.ESP256, payload)
	if err != nil {
		t.Fatal(err)
	}
	quantum, err := cose.SignSign1(t.Context(), ml, cose.MLDSA65, payload)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		blocks [][]byte
		want   error
	}{
		"both":         {[][]byte{classic, quantum}, nil},
		"one for both": {[][]byte{signAll(t, cose.Signatory{Signer: es}, cose.Signatory{Signer: ml})}, nil},
		"stripped":     {[][]byte{classic}, verify.ErrThreshold},
		"ml-dsa alone": {[][]byte{quantum}, verify.ErrThreshold},
	} {
		var e verify.Evidence
		for _, b := range test.blocks {
			e.Signatures = append(e.Signatures, cose.Verify(b, payload, keys)...)
		}
		if err := verify.AllOf(both...).Check(e); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestSignSignRefuses(t *testing.T) {
	es := cose.Signatory{Signer: testkeys.P256(1)}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx     context.Context
		payload []byte
		by      []cose.Signatory
		want    error
	}{
		"nobody":        {t.Context(), payload, nil, verify.ErrLimit},
		"too many":      {t.Context(), payload, make([]cose.Signatory, cose.MaxSigners+1), verify.ErrLimit},
		"no payload":    {t.Context(), nil, []cose.Signatory{es}, verify.ErrMalformed},
		"no signer":     {t.Context(), payload, []cose.Signatory{es, {}}, verify.ErrKeyUnknown},
		"wrong kind":    {t.Context(), payload, []cose.Signatory{{Signer: testkeys.P256(1), Algorithm: cose.Ed25519}}, verify.ErrAlgorithm},
		"EdDSA":         {t.Context(), payload, []cose.Signatory{{Signer: testkeys.Ed25519(1), Algorithm: cose.EdDSA}}, verify.ErrAlgorithm},
		"HMAC":          {t.Context(), payload, []cose.Signatory{{Signer: testkeys.P256(1), Algorithm: cose.HMAC256}}, verify.ErrAlgorithm},
		"empty kid":     {t.Context(), payload, []cose.Signatory{{Signer: testkeys.P256(1), KID: []byte{}}}, verify.ErrLimit},
		"kid too long":  {t.Context(), payload, []cose.Signatory{{Signer: testkeys.P256(1), KID: make([]byte, verify.MaxKIDSize+1)}}, verify.ErrLimit},
		"canceled":      {canceled, payload, []cose.Signatory{es}, context.Canceled},
		"lying signer":  {t.Context(), payload, []cose.Signatory{es, {Signer: liar{testkeys.P256(2)}}}, verify.ErrSignature},
		"zero key":      {t.Context(), payload, []cose.Signatory{{Signer: zeroSigner{}}}, verify.ErrAlgorithm},
		"secret's own":  {t.Context(), payload, []cose.Signatory{{Signer: nameSigner{}, Algorithm: cose.HMAC256}}, verify.ErrAlgorithm},
		"secret's name": {t.Context(), payload, []cose.Signatory{{Signer: nameSigner{}}}, verify.ErrAlgorithm},
	} {
		if _, err := cose.SignSign(test.ctx, test.payload, test.by...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// liar signs something else.
type liar struct{ verify.Signer }

func (l liar) Sign(ctx context.Context, message []byte) ([]byte, error) {
	return l.Signer.Sign(ctx, append([]byte("not "), message...))
}

type zeroSigner struct{ verify.Signer }

func (zeroSigner) Public() verify.Key { return verify.Key{} }

// nameSigner claims that the name of a secret is its public key.
type nameSigner struct{ verify.Signer }

func (nameSigner) Public() verify.Key { return testkeys.Macer(1).Key() }

func TestSignFrame(t *testing.T) {
	block := signAll(t, cose.Signatory{Signer: testkeys.P256(1)})
	keys := keySet(t, verify.Entry{Key: p256Key})
	signature := block[7:] // after tag, array head, 40 a0 f6 81
	with := func(head string) []byte { return append(unhex(head), signature...) }
	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		"control":                     {with("d8628440a0f681"), nil},
		"empty map in body":           {with("d8628441a0a0f681"), nil},
		"untagged":                    {with("8440a0f681"), verify.ErrMalformed},
		"trailing byte":               {append(bytes.Clone(block), 0), verify.ErrMalformed},
		"array of 5":                  {append(with("d8628540a0f681"), 0), verify.ErrMalformed},
		"no signatures":               {unhex("d8628440a0f680"), verify.ErrMalformed},
		"COS-12 payload attached":     {with("d8628440a04081"), verify.ErrUnsupported},
		"COS-01 alg in the body":      {with("d8628443a10126a0f681"), verify.ErrAlgorithm},
		"COS-01 alg in body, open":    {with("d8628440a10126f681"), verify.ErrAlgorithm},
		"COS-06 critical in the body": {with("d8628448a202811863186301a0f681"), verify.ErrUnsupported},
		"label twice in the body":     {with("d8628444a1186301a1186301f681"), verify.ErrMalformed},
		"content added to the body":   {with("d8628444a1186301a0f681"), verify.ErrSignature},
		"above the limit":             {append([]byte{0xd8, 0x62}, make([]byte, cose.MaxSignSize)...), verify.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			sigs := cose.Verify(test.block, payload, keys)
			if len(sigs) != 1 || !errors.Is(sigs[0].Err, test.want) || sigs[0].Verified() != (test.want == nil) {
				t.Errorf("Verify = %v, want %v", sigs, test.want)
			}
		})
	}
	for n := range block {
		if sigs := cose.Verify(block[:n], payload, keys); !errors.Is(sigs[0].Err, verify.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, sigs)
		}
	}
	for bit := range 8 * len(block) {
		bad := bytes.Clone(block)
		bad[bit/8] ^= 1 << (bit % 8)
		if sigs := cose.Verify(bad, payload, keys); sigs[0].Verified() {
			t.Errorf("bit %d flipped: accepted", bit)
		}
	}
}

func TestCOS_01_06_SignerHeaders(t *testing.T) {
	sig := bstr(make([]byte, 64))
	keys := keySet(t, verify.Entry{Key: p256Key})
	for name, test := range map[string]struct {
		signer string // protected and unprotected header of the signature
		want   error
	}{
		"control":          {"43a10126a0", verify.ErrSignature},
		"alg unprotected":  {"40a10126", verify.ErrAlgorithm},
		"alg twice":        {"43a10126a10126", verify.ErrAlgorithm},
		"alg text":         {"47a1016545533235" + "36" + "a0", verify.ErrMalformed},
		"no alg":           {"40a0", verify.ErrAlgorithm},
		"COS-02 hmac":      {"43a10105a0", verify.ErrAlgorithm},
		"COS-02 eddsa":     {"43a10127a0", verify.ErrAlgorithm},
		"critical":         {"4aa301260281186318" + "6301a0", verify.ErrUnsupported},
		"kid empty":        {"43a10126a10440", verify.ErrMalformed},
		"kid in both, two": {"46a2012604" + "4161a1044162", verify.ErrMalformed},
		"unknown kid":      {"43a10126a1044161", verify.ErrSignature},
	} {
		block := append(unhex("d8628440a0f68183"+test.signer), sig...)
		sigs := cose.Verify(block, payload, keys)
		if len(sigs) != 1 || !errors.Is(sigs[0].Err, test.want) {
			t.Errorf("%s: %v, want %v", name, sigs, test.want)
		}
	}
}

// covers: REG-10
func TestCOS_07_ManySigners(t *testing.T) {
	keys := keySet(t, verify.Entry{Key: p256Key})
	signer := append(unhex("8343a10126a0"), bstr([]byte{1})...)
	for _, n := range []int{cose.MaxSigners + 1, 1000, 10_000} {
		block := append(unhex("d8628440a0f6"), 0x99, byte(n>>8), byte(n))
		sigs := cose.Verify(append(block, bytes.Repeat(signer, n)...), payload, keys)
		if len(sigs) != 1 || !errors.Is(sigs[0].Err, verify.ErrLimit) {
			t.Errorf("%d signers: %d signatures, %v", n, len(sigs), sigs[0].Err)
		}
	}
	// Without kids every signer could be any key: the budget of checks is the block's.
	var entries []verify.Entry
	for i := range verify.MaxCandidates {
		entries = append(entries, verify.Entry{Key: testkeys.Ed25519(100 + i).Public()})
	}
	var by []cose.Signatory
	for range cose.MaxSigners {
		by = append(by, cose.Signatory{Signer: testkeys.Ed25519(1)})
	}
	limited := 0
	for _, s := range cose.Verify(signAll(t, by...), payload, keySet(t, entries...)) {
		if errors.Is(s.Err, verify.ErrLimit) {
			limited++
		}
	}
	if want := cose.MaxSigners - 4; limited != want {
		t.Errorf("%d signers hit the limit of checks, want %d", limited, want)
	}
}

func TestCOS_08_11_15_Sign(t *testing.T) {
	es := testkeys.P256(1)
	twice := signAll(t, cose.Signatory{Signer: es, KID: []byte("a")}, cose.Signatory{Signer: es, KID: []byte("b")})
	keys := keySet(t, verify.Entry{KID: []byte("a"), Key: p256Key}, verify.Entry{KID: []byte("b"), Key: p256Key})
	two, err := verify.Threshold(2, "")
	if err != nil {
		t.Fatal(err)
	}
	sigs := cose.Verify(twice, payload, keys)
	if err := two.Check(verify.Evidence{Signatures: sigs}); !errors.Is(err, verify.ErrThreshold) || !sigs[1].Verified() {
		t.Errorf("one key under two kids: %v, %v", sigs, err)
	}
	revoked := keySet(t, verify.Entry{KID: []byte("a"), Key: p256Key, Revoked: true}, verify.Entry{KID: []byte("b"), Key: p256Key})
	for i, s := range cose.Verify(twice, payload, revoked) {
		if !errors.Is(s.Err, verify.ErrKeyRevoked) || s.Verified() {
			t.Errorf("signer %d, revoked: %v", i, s.Err)
		}
	}
	// A Sign1 signature does not stand in for one of a Sign, nor the other way round.
	one := sign(t, es, cose.ESP256)
	moved := append(unhex("d8628440a0f68183"), one[2:2+5]...)
	moved = append(moved, one[len(one)-66:]...)
	if sigs := cose.Verify(moved, payload, keySet(t, verify.Entry{Key: p256Key})); !errors.Is(sigs[0].Err, verify.ErrSignature) {
		t.Errorf("Sign1 signature in a Sign: %v", sigs)
	}
}

// What was made over an empty payload does not verify over a missing one.
func TestCOS_12_NilIsNotEmpty(t *testing.T) {
	m, w, empty := testkeys.Macer(1), testkeys.KeyWrapper(1, 16), []byte{}
	keys := keySet(t, verify.Entry{Key: p256Key}, verify.Entry{Secret: m}, verify.Entry{Secret: w})
	for name, make := range map[string]func() ([]byte, error){
		"Sign1": func() ([]byte, error) { return cose.SignSign1(t.Context(), testkeys.P256(1), cose.ESP256, empty) },
		"Sign": func() ([]byte, error) {
			return cose.SignSign(t.Context(), empty, cose.Signatory{Signer: testkeys.P256(1)})
		},
		"Mac0": func() ([]byte, error) { return cose.MakeMac0(t.Context(), m, nil, empty) },
		"Mac":  func() ([]byte, error) { return cose.MakeMac(t.Context(), empty, cose.Recipient{Wrapper: w}) },
	} {
		block, err := make()
		if err != nil {
			t.Fatal(err)
		}
		if sigs := cose.Verify(block, empty, keys); sigs[0].Err != nil {
			t.Errorf("%s over an empty payload: %v", name, sigs[0].Err)
		}
		if sigs := cose.Verify(block, nil, keys); !errors.Is(sigs[0].Err, verify.ErrSignature) || sigs[0].Verified() {
			t.Errorf("%s over nil: %v", name, sigs[0].Err)
		}
		if name != "Mac" {
			continue
		}
		if err := cose.CheckMac(t.Context(), block, nil, recipientKeys(t, cose.RecipientKey{Wrapper: w})); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("CheckMac over nil: %v", err)
		}
	}
}
