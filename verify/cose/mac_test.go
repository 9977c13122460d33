// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func mac0(tb testing.TB, m verify.Macer, kid []byte) []byte {
	tb.Helper()
	block, err := cose.MakeMac0(tb.Context(), m, kid, payload)
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

func makeMac(tb testing.TB, recipients ...cose.Recipient) []byte {
	tb.Helper()
	block, err := cose.MakeMac(tb.Context(), payload, recipients...)
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

func TestMac0(t *testing.T) {
	m := testkeys.Macer(1)
	named, plain := mac0(t, m, []byte("k")), mac0(t, m, nil)
	for name, test := range map[string]struct {
		block   []byte
		payload []byte
		entries []verify.Entry
		want    error
	}{
		"no kid":              {plain, payload, []verify.Entry{{Secret: m}}, nil},
		"no kid, named key":   {plain, payload, []verify.Entry{{KID: []byte("x"), Secret: testkeys.Macer(2)}, {KID: []byte("k"), Secret: m}}, nil},
		"kid":                 {named, payload, []verify.Entry{{KID: []byte("k"), Secret: m}}, nil},
		"other kid":           {named, payload, []verify.Entry{{KID: []byte("x"), Secret: m}}, verify.ErrKeyUnknown},
		"kid of another key":  {named, payload, []verify.Entry{{KID: []byte("k"), Secret: testkeys.Macer(2)}}, verify.ErrSignature},
		"COS-12 swapped":      {plain, []byte("another digest"), []verify.Entry{{Secret: m}}, verify.ErrSignature},
		"COS-12 nil":          {plain, nil, []verify.Entry{{Secret: m}}, verify.ErrSignature},
		"COS-15 revoked":      {plain, payload, []verify.Entry{{Secret: m, Revoked: true}}, verify.ErrKeyRevoked},
		"COS-02 public keys":  {plain, payload, []verify.Entry{{Key: p256Key}, {Key: edKey}}, verify.ErrAlgorithm},
		"COS-02 a wrapper":    {plain, payload, []verify.Entry{{Secret: testkeys.KeyWrapper(1, 32)}}, verify.ErrAlgorithm},
		"a tag of a COSE_Mac": {append(unhex("d18443a10105a0f6"), makeMac(t, cose.Recipient{Macer: m})[9:9+34]...), payload, []verify.Entry{{Secret: m}}, verify.ErrSignature},
	} {
		sig, err := cose.VerifyMac0(test.block, test.payload, keySet(t, test.entries...))
		if !errors.Is(err, test.want) || sig.Verified() != (test.want == nil) || !errors.Is(sig.Err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil && sig.Entry.Key != m.Key() {
			t.Errorf("%s: by %v", name, sig.Entry.Key)
		}
	}
	if _, err := cose.VerifyMac0(plain, payload, nil); !errors.Is(err, verify.ErrKeyUnknown) {
		t.Errorf("no keys: %v", err)
	}
}

// The attacker knows the public key, and makes good MACs with every encoding of it.
func TestCOS_02_HMACWithPublicKey(t *testing.T) {
	keys := keySet(t, verify.Entry{Key: p256Key}, verify.Entry{KID: []byte("k"), Key: edKey}, verify.Entry{Secret: testkeys.Macer(9)})
	pem, err := p256Key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	point, err := testkeys.CryptoP256(1).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	id := p256Key.ID()
	for _, secret := range [][]byte{pem, point, point[1:], point[1:33], id.Bytes(), []byte(edKey.ID().Bytes()), {}} {
		for _, head := range []string{"d18443a10105a0f6", "d18443a10105a104416bf6"} {
			h := hmac.New(sha256.New, secret)
			h.Write(append(append([]byte("\x84\x64MAC0"), unhex("43a1010540")...), bstr(payload)...))
			block := append(unhex(head), bstr(h.Sum(nil))...)
			if sigs := cose.Verify(block, payload, keys); sigs[0].Verified() || sigs[0].Err == nil {
				t.Errorf("mac under %x accepted: %v", secret, sigs)
			}
		}
	}
	// And the other way round: a signature algorithm in a mac, and hmac in a Sign1.
	m := testkeys.Macer(1)
	for name, block := range map[string][]byte{
		"ES256 in a Mac0":  append(unhex("d18443a10126a0f6"), bstr(make([]byte, 64))...),
		"HMAC in a Sign1":  append(unhex("d28443a10105a0f6"), mac0(t, m, nil)[8:]...),
		"HMAC alg 4":       append(unhex("d18443a10104a0f6"), mac0(t, m, nil)[8:]...),
		"COS-01 no alg":    append(unhex("d18440a0f6"), mac0(t, m, nil)[8:]...),
		"COS-01 open alg":  append(unhex("d18440a10105f6"), mac0(t, m, nil)[8:]...),
		"COS-01 both algs": append(unhex("d18443a10105a10105f6"), mac0(t, m, nil)[8:]...),
		"COS-01 text alg":  append(unhex("d18444a1016135a0f6"), mac0(t, m, nil)[8:]...),
	} {
		if sigs := cose.Verify(block, payload, keySet(t, verify.Entry{Secret: m}, verify.Entry{Key: p256Key})); !errors.Is(sigs[0].Err, verify.ErrAlgorithm) {
			t.Errorf("%s: %v", name, sigs[0].Err)
		}
	}
}

func TestMac0Frame(t *testing.T) {
	m := testkeys.Macer(1)
	keys := keySet(t, verify.Entry{Secret: m})
	block := mac0(t, m, nil)
	tag := block[8:]
	with := func(head string) []byte { return append(unhex(head), tag...) }
	for name, test := range map[string]struct {
		block []byte
		want  error
	}{
		"control":                {with("d18443a10105a0f6"), nil},
		"untagged":               {with("8443a10105a0f6"), verify.ErrMalformed},
		"trailing byte":          {append(bytes.Clone(block), 0), verify.ErrMalformed},
		"array of 5":             {append(with("d18543a10105a0f6"), 0), verify.ErrMalformed},
		"indefinite array":       {append(with("d19f43a10105a0f6"), 0xff), verify.ErrMalformed},
		"COS-12 attached":        {with("d18443a10105a040"), verify.ErrUnsupported},
		"payload undefined":      {with("d18443a10105a0f7"), verify.ErrMalformed},
		"COS-06 critical":        {with("d18448a30105028103" + "0300a0f6"), verify.ErrUnsupported},
		"critical in the open":   {with("d18443a10105a1028103f6"), verify.ErrMalformed},
		"alg twice in one map":   {with("d18445a201050105a0f6"), verify.ErrMalformed},
		"label in both":          {with("d18445a201050300a10300f6"), verify.ErrMalformed},
		"kid empty":              {with("d18443a10105a10440f6"), verify.ErrMalformed},
		"kid text":               {with("d18443a10105a1046161f6"), verify.ErrMalformed},
		"kid of two kinds":       {with("d18446a20105044161a1044162f6"), verify.ErrMalformed},
		"COS-03 long kid":        {append(append(unhex("d18443a10105a104"), bstr(make([]byte, verify.MaxKIDSize+1))...), with("f6")...), verify.ErrLimit},
		"protected not a bstr":   {with("d184a10105a0f6"), verify.ErrMalformed},
		"protected not a map":    {with("d1844105a0f6"), verify.ErrMalformed},
		"protected and more":     {with("d18444a1010500a0f6"), verify.ErrMalformed},
		"unprotected nil":        {with("d18443a10105f6f6"), verify.ErrMalformed},
		"unprotected not a map":  {with("d18443a1010580f6"), verify.ErrMalformed},
		"label of another type":  {with("d18443a10105a1f400f6"), verify.ErrMalformed},
		"tag truncated":          {append(unhex("d18443a10105a0f6"), bstr(tag[2:18])...), verify.ErrSignature},
		"tag empty":              {unhex("d18443a10105a0f640"), verify.ErrSignature},
		"tag nil":                {unhex("d18443a10105a0f6f6"), verify.ErrMalformed},
		"tag an array of bytes":  {unhex("d18443a10105a0f68101"), verify.ErrMalformed},
		"above the limit":        {append([]byte{0xd1}, make([]byte, cose.MaxBlockSize)...), verify.ErrLimit},
		"CBR-01 deep nesting":    {append(unhex("d18440a1186381818181818181818181"), 0), verify.ErrLimit},
		"CBR-02 array of 2^32":   {unhex("d19affffffff"), verify.ErrLimit},
		"header added, open":     {with("d18443a10105a1186301f6"), nil}, // nobody protects it, and nothing reads it
		"header added, signed":   {with("d18446a20105186301a0f6"), verify.ErrSignature},
		"a tag inside the array": {with("d18443a10105a118" + "63c100f6"), verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			sigs := cose.Verify(test.block, payload, keys)
			if !errors.Is(sigs[0].Err, test.want) || sigs[0].Verified() != (test.want == nil) {
				t.Errorf("Verify = %v, want %v", sigs[0].Err, test.want)
			}
		})
	}
	for n := range block {
		if sigs := cose.Verify(block[:n], payload, keys); !errors.Is(sigs[0].Err, verify.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, sigs[0].Err)
		}
	}
}

func TestMacRecipients(t *testing.T) {
	m, k128, k256, device := testkeys.Macer(1), testkeys.KeyWrapper(1, 16), testkeys.KeyWrapper(1, 32), testkeys.ECDH(1)
	entries := []verify.Entry{{KID: []byte("m"), Secret: m}, {KID: []byte("a"), Secret: k128}, {KID: []byte("b"), Secret: k256}, {Key: p256Key}}
	keys := keySet(t, entries...)
	for name, test := range map[string]struct {
		to   []cose.Recipient
		want error
		key  verify.Key
	}{
		"direct":         {[]cose.Recipient{{KID: []byte("m"), Macer: m}}, nil, m.Key()},
		"direct, no kid": {[]cose.Recipient{{Macer: m}}, nil, m.Key()},
		"A128KW":         {[]cose.Recipient{{KID: []byte("a"), Wrapper: k128}}, nil, k128.Key()},
		"A256KW":         {[]cose.Recipient{{KID: []byte("b"), Wrapper: k256}}, nil, k256.Key()},
		"A256KW, no kid": {[]cose.Recipient{{Wrapper: k256}}, nil, k256.Key()},
		"another kid":    {[]cose.Recipient{{KID: []byte("x"), Wrapper: k256}}, verify.ErrKeyUnknown, verify.Key{}},
		"kid of another": {[]cose.Recipient{{KID: []byte("a"), Wrapper: testkeys.KeyWrapper(2, 16)}}, verify.ErrSignature, k128.Key()},
		"kid of a macer": {[]cose.Recipient{{KID: []byte("m"), Wrapper: k128}}, verify.ErrAlgorithm, verify.Key{}},
		// Evidence of origin is what only the author could have made.
		"ECDH-ES":        {[]cose.Recipient{{Public: device.PublicKey()}}, verify.ErrAlgorithm, verify.Key{}},
		"two recipients": {[]cose.Recipient{{KID: []byte("a"), Wrapper: k128}, {KID: []byte("b"), Wrapper: k256}}, verify.ErrUnsupported, verify.Key{}},
	} {
		block := makeMac(t, test.to...)
		sig, err := cose.VerifyMac(block, payload, keys)
		if !errors.Is(err, test.want) || sig.Verified() != (test.want == nil) || sig.Entry.Key != test.key {
			t.Errorf("%s: %v by %v, want %v", name, err, sig.Entry.Key, test.want)
		}
		if test.want != nil {
			continue
		}
		if _, err := cose.VerifyMac(block, []byte("another digest"), keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s, another payload: %v", name, err)
		}
		if _, err := cose.VerifyMac(block, nil, keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s, nil: %v", name, err)
		}
		for bit := range 8 * len(block) {
			bad := bytes.Clone(block)
			bad[bit/8] ^= 1 << (bit % 8)
			// With a kid lost, other keys may be tried; the mac itself covers payload and alg.
			if sigs := cose.Verify(bad, payload, keys); sigs[0].Verified() && sigs[0].Entry.Key != test.key {
				t.Errorf("%s: bit %d flipped: accepted from %v", name, bit, sigs[0].Entry.Key)
			}
		}
	}
	if sig, err := cose.VerifyMac(makeMac(t, cose.Recipient{KID: []byte("a"), Wrapper: k128}), payload,
		keySet(t, verify.Entry{KID: []byte("a"), Secret: k128, Revoked: true})); !errors.Is(err, verify.ErrKeyRevoked) || sig.Verified() {
		t.Errorf("revoked wrapper: %v", err)
	}
}

// A point that a stranger has chosen is only looked at by who has a key to agree with.
func TestMacOffTheCurve(t *testing.T) {
	device := testkeys.ECDH(1)
	block := makeMac(t, cose.Recipient{Public: device.PublicKey()})
	x := []byte{0x21, 0x58, 0x20} // of the ephemeral key
	before, after, ok := bytes.Cut(block, x)
	if !ok {
		t.Fatal("no ephemeral key")
	}
	bad := slices.Concat(before, x, []byte{after[0] ^ 1}, after[1:])
	if err := cose.CheckMac(t.Context(), bad, payload, recipientKeys(t, cose.RecipientKey{Exchange: device})); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("CheckMac: %v", err)
	}
	if _, err := cose.VerifyMac(bad, payload, keySet(t, verify.Entry{Secret: testkeys.KeyWrapper(1, 16)})); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("VerifyMac: %v", err)
	}
}

func TestCheckMac(t *testing.T) {
	k128, k256, device := testkeys.KeyWrapper(1, 16), testkeys.KeyWrapper(1, 32), testkeys.ECDH(1)
	block := makeMac(t, cose.Recipient{KID: []byte("a"), Wrapper: k128}, cose.Recipient{Public: device.PublicKey()}, cose.Recipient{Wrapper: k256})
	for name, key := range map[string]cose.RecipientKey{
		"A128KW":  {KID: []byte("a"), Wrapper: k128},
		"A256KW":  {Wrapper: k256},
		"ECDH-ES": {Exchange: device},
	} {
		keys := recipientKeys(t, key)
		if err := cose.CheckMac(t.Context(), block, payload, keys); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := cose.CheckMac(t.Context(), block, []byte("another"), keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s, another payload: %v", name, err)
		}
		if err := cose.CheckMac(t.Context(), block, nil, keys); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s, nil: %v", name, err)
		}
	}
	if err := cose.CheckMac(t.Context(), block, payload, recipientKeys(t, cose.RecipientKey{Exchange: testkeys.ECDH(2)})); !errors.Is(err, verify.ErrDecrypt) {
		t.Errorf("another device: %v", err)
	}
	if err := cose.CheckMac(t.Context(), block, payload, nil); !errors.Is(err, verify.ErrKeyUnknown) {
		t.Errorf("no keys: %v", err)
	}
}

func TestMakeMacRefuses(t *testing.T) {
	m := testkeys.Macer(1)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	var none verify.Macer
	for name, test := range map[string]struct {
		err, want error
	}{
		"no key":         {second(cose.MakeMac0(t.Context(), none, nil, payload)), verify.ErrKeyUnknown},
		"no payload":     {second(cose.MakeMac0(t.Context(), m, nil, nil)), verify.ErrMalformed},
		"empty kid":      {second(cose.MakeMac0(t.Context(), m, []byte{}, payload)), verify.ErrLimit},
		"kid too long":   {second(cose.MakeMac0(t.Context(), m, make([]byte, verify.MaxKIDSize+1), payload)), verify.ErrLimit},
		"wrong type":     {second(cose.MakeMac0(t.Context(), publicMacer{m}, nil, payload)), verify.ErrAlgorithm},
		"canceled":       {second(cose.MakeMac0(canceled, m, nil, payload)), context.Canceled},
		"mac, nobody":    {second(cose.MakeMac(t.Context(), payload)), verify.ErrLimit},
		"mac, no key":    {second(cose.MakeMac(t.Context(), payload, cose.Recipient{})), verify.ErrPolicy},
		"mac, two keys":  {second(cose.MakeMac(t.Context(), payload, cose.Recipient{Macer: m, Wrapper: testkeys.KeyWrapper(1, 16)})), verify.ErrPolicy},
		"direct and one": {second(cose.MakeMac(t.Context(), payload, cose.Recipient{Macer: m}, cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)})), verify.ErrUnsupported},
		"mac, payload":   {second(cose.MakeMac(t.Context(), nil, cose.Recipient{Macer: m})), verify.ErrMalformed},
		"mac, P-384":     {second(cose.MakeMac(t.Context(), payload, cose.Recipient{Public: p384(t).PublicKey()})), verify.ErrAlgorithm},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
}

func second(_ []byte, err error) error { return err }

// publicMacer says that a public key is the name of its secret.
type publicMacer struct{ verify.Macer }

func (publicMacer) Key() verify.Key { return p256Key }

func p384(tb testing.TB) *ecdh.PrivateKey {
	tb.Helper()
	key, err := ecdh.P384().GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// countingMacer counts what a block costs.
type countingMacer struct {
	verify.Macer
	calls *int
}

func (c countingMacer) MAC(ctx context.Context, message []byte) ([]byte, error) {
	*c.calls++
	return c.Macer.MAC(ctx, message)
}

func TestCOS_07_ManyMACs(t *testing.T) {
	calls := 0
	var entries []verify.Entry
	for i := range verify.MaxCandidates {
		entries = append(entries, verify.Entry{Secret: countingMacer{testkeys.Macer(100 + i), &calls}})
	}
	keys := keySet(t, entries...)
	if _, err := cose.VerifyMac0(mac0(t, testkeys.Macer(1), nil), payload, keys); !errors.Is(err, verify.ErrSignature) || calls != verify.MaxCandidates {
		t.Errorf("%d checks, %v", calls, err)
	}
	recipient := unhex("8340a1012240")
	for _, n := range []int{cose.MaxRecipients + 1, 10_000} {
		block := append(unhex("d8618543a10105a0f640"), 0x99, byte(n>>8), byte(n))
		block = append(block, bytes.Repeat(recipient, n)...)
		if sigs := cose.Verify(block, payload, keys); !errors.Is(sigs[0].Err, verify.ErrLimit) {
			t.Errorf("%d recipients of a mac: %v", n, sigs[0].Err)
		}
		info := append(unhex("d8608443a10101a1054c000000000000000000000000f6"), 0x99, byte(n>>8), byte(n))
		info = append(info, bytes.Repeat(recipient, n)...)
		if _, err := cose.ParseEncryptionInfo(info); !errors.Is(err, verify.ErrLimit) {
			t.Errorf("%d recipients of content: %v", n, err)
		}
	}
}

// A wrapped MAC key of another length than that of a MAC key is refused, though HMAC would take it.
func TestMacKeyLength(t *testing.T) {
	w := testkeys.KeyWrapper(1, 16)
	for _, size := range []int{16, 24, 32, 40, 64} {
		key := make([]byte, size)
		wrapped, err := w.WrapKey(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		h := hmac.New(sha256.New, key)
		h.Write(append(append([]byte("\x84\x63MAC"), unhex("43a1010540")...), bstr(payload)...))
		block := bytes.Join([][]byte{unhex("d8618543a10105a0f6"), bstr(h.Sum(nil)), unhex("818340a10122"), bstr(wrapped)}, nil)
		sig, err := cose.VerifyMac(block, payload, keySet(t, verify.Entry{Secret: w}))
		if (size == 32) != sig.Verified() || (size != 32 && !errors.Is(err, verify.ErrSignature)) {
			t.Errorf("mac key of %d bytes: %v", size, err)
		}
	}
}
