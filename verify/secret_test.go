// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

func hexBytes(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The test vectors of RFC 3394, section 4, for the key sizes in use.
func TestKeyWrapRFC3394(t *testing.T) {
	for _, test := range []struct{ section, kek, key, wrapped string }{
		{"4.1", "000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
			"1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5"},
		{"4.3", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF",
			"64E8C3F9CE0F5BA2 63E9777905818A2A 93C8191E7D6E8AE7"},
		{"4.6", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
			"28C9F404C4B810F4 CBCCB35CFB87F826 3F5786E2D80ED326 CBC7F0E71A99F43B FB988B9B7A02DD21"},
	} {
		w, err := verify.NewKeyWrapper(hexBytes(t, test.kek))
		if err != nil {
			t.Fatal(err)
		}
		key, want := hexBytes(t, test.key), hexBytes(t, test.wrapped)
		if got, err := w.WrapKey(t.Context(), key); err != nil || !bytes.Equal(got, want) {
			t.Errorf("section %s: WrapKey = %x, %v, want %x", test.section, got, err, want)
		}
		if got, err := w.UnwrapKey(t.Context(), want); err != nil || !bytes.Equal(got, key) {
			t.Errorf("section %s: UnwrapKey = %x, %v, want %x", test.section, got, err, key)
		}
	}
}

func TestCOS_14_WrappedKeyAltered(t *testing.T) {
	w := testkeys.KeyWrapper(1, 16)
	wrapped, err := w.WrapKey(t.Context(), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(wrapped) {
		bad := bytes.Clone(wrapped)
		bad[bit/8] ^= 1 << (bit % 8)
		if got, err := w.UnwrapKey(t.Context(), bad); !errors.Is(err, verify.ErrDecrypt) || got != nil {
			t.Errorf("bit %d flipped: %x, %v", bit, got, err)
		}
	}
	if _, err := testkeys.KeyWrapper(2, 16).UnwrapKey(t.Context(), wrapped); !errors.Is(err, verify.ErrDecrypt) {
		t.Errorf("another key: %v", err)
	}
	for n := 1; n < 8; n++ {
		if got, err := w.UnwrapKey(t.Context(), append(bytes.Clone(wrapped), make([]byte, n)...)); !errors.Is(err, verify.ErrDecrypt) {
			t.Errorf("%d bytes more: %x, %v", n, got, err)
		}
	}
	for n := range 2 * verify.MaxWrappedKey {
		if n == len(wrapped) {
			continue
		}
		if _, err := w.UnwrapKey(t.Context(), make([]byte, n)); !errors.Is(err, verify.ErrDecrypt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for _, n := range []int{0, 8, 15, 17, 31, verify.MaxWrappedKey + 8} {
		if _, err := w.WrapKey(t.Context(), make([]byte, n)); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("wrap %d bytes: %v", n, err)
		}
	}
}

func TestSecretSizes(t *testing.T) {
	for n := range 100 {
		_, err := verify.NewMacer(make([]byte, n))
		if ok := n >= 32 && n <= 64; ok != (err == nil) || (!ok && !errors.Is(err, verify.ErrAlgorithm)) {
			t.Errorf("NewMacer of %d bytes: %v", n, err)
		}
		_, err = verify.NewKeyWrapper(make([]byte, n))
		if ok := n == 16 || n == 32; ok != (err == nil) || (!ok && !errors.Is(err, verify.ErrAlgorithm)) {
			t.Errorf("NewKeyWrapper of %d bytes: %v", n, err)
		}
	}
}

func TestSecretNames(t *testing.T) {
	secret := bytes.Repeat([]byte("k"), 32)
	macer, err := verify.NewMacer(secret)
	if err != nil {
		t.Fatal(err)
	}
	again, err := verify.NewMacer(bytes.Clone(secret))
	if err != nil {
		t.Fatal(err)
	}
	wrapper, err := verify.NewKeyWrapper(secret)
	if err != nil {
		t.Fatal(err)
	}
	if macer.Key() != again.Key() || macer.Key() == testkeys.Macer(1).Key() || macer.Key() == wrapper.Key() {
		t.Error("names do not tell secrets apart")
	}
	if macer.Key().Type() != verify.HMAC256 || wrapper.Key().Type() != verify.A256KW || testkeys.KeyWrapper(1, 16).Key().Type() != verify.A128KW {
		t.Error("type of a name")
	}
	for _, k := range []verify.Key{macer.Key(), wrapper.Key()} {
		if k.ID().IsZero() || k.Public() != nil {
			t.Errorf("%v: ID %v, Public %v", k, k.ID(), k.Public())
		}
		if err := k.VerifySignature([]byte("m"), make([]byte, 64)); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("VerifySignature by a name: %v", err)
		}
		if _, err := k.MarshalPEM(); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("MarshalPEM of a name: %v", err)
		}
	}
	for _, s := range []verify.Secret{macer, wrapper} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			e := verify.Entry{Secret: s}
			text := fmt.Sprintf(verb+verb, s, e)
			if strings.Contains(text, "kkkk") || strings.Contains(text, "6b6b6b") || strings.Contains(text, "107 107") {
				t.Errorf("%s prints the secret: %s", verb, text)
			}
		}
	}
	if tag, err := macer.MAC(t.Context(), nil); err != nil || len(tag) != 32 {
		t.Errorf("MAC = %x, %v", tag, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := macer.MAC(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("MAC after cancel: %v", err)
	}
	if _, err := wrapper.WrapKey(ctx, make([]byte, 16)); !errors.Is(err, context.Canceled) {
		t.Errorf("WrapKey after cancel: %v", err)
	}
	if _, err := wrapper.UnwrapKey(ctx, make([]byte, 24)); !errors.Is(err, context.Canceled) {
		t.Errorf("UnwrapKey after cancel: %v", err)
	}
}

// token is a MAC key in a secure element.
type token struct {
	verify.Macer
	key verify.Key
}

func (t token) Key() verify.Key { return t.key }

// nameOnly is a Secret that can do nothing.
type nameOnly struct{ key verify.Key }

func (n nameOnly) Key() verify.Key { return n.key }

func TestKeySetOfSecrets(t *testing.T) {
	macer, wrapper := testkeys.Macer(1), testkeys.KeyWrapper(1, 16)
	named, err := verify.NewSecretName(verify.HMAC256, verify.Sum(verify.SHA256, []byte("slot 7")))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		entry verify.Entry
		want  error
	}{
		"macer":                      {verify.Entry{Secret: macer}, nil},
		"macer with its name":        {verify.Entry{Secret: macer, Key: macer.Key()}, nil},
		"wrapper":                    {verify.Entry{Secret: wrapper}, nil},
		"token":                      {verify.Entry{Secret: token{macer, named}}, nil},
		"macer, another's name":      {verify.Entry{Secret: macer, Key: testkeys.Macer(2).Key()}, verify.ErrPolicy},
		"macer and a public key":     {verify.Entry{Secret: macer, Key: testkeys.P256(1).Public()}, verify.ErrPolicy},
		"name without a secret":      {verify.Entry{Key: macer.Key()}, verify.ErrPolicy},
		"secret that can do nothing": {verify.Entry{Secret: nameOnly{macer.Key()}}, verify.ErrPolicy},
		"macer of a wrapper's name":  {verify.Entry{Secret: token{macer, wrapper.Key()}}, verify.ErrPolicy},
		"macer of a public key":      {verify.Entry{Secret: token{macer, testkeys.P256(1).Public()}}, verify.ErrPolicy},
		"secret without a name":      {verify.Entry{Secret: nameOnly{}}, verify.ErrPolicy},
	} {
		s, err := verify.NewKeySet(test.entry)
		if !errors.Is(err, test.want) || (test.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if err == nil && s.Lookup(nil)[0].Key != test.entry.Secret.Key() {
			t.Errorf("%s: the entry has key %v", name, s.Lookup(nil)[0].Key)
		}
	}
	for name, err := range map[string]error{
		"public type": func() error {
			_, err := verify.NewSecretName(verify.P256, verify.Sum(verify.SHA256, nil))
			return err
		}(),
		"sha-512": func() error {
			_, err := verify.NewSecretName(verify.HMAC256, verify.Sum(verify.SHA512, nil))
			return err
		}(),
		"no name": func() error { _, err := verify.NewSecretName(verify.HMAC256, verify.Digest{}); return err }(),
	} {
		if !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("NewSecretName, %s: %v", name, err)
		}
	}
}

func TestCOS_02_PublicKeyAsMACKey(t *testing.T) {
	p, ed := testkeys.P256(1).Public(), testkeys.Ed25519(1).Public()
	public := testkeys.CryptoP256(1).PublicKey
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 the coordinates have no other way out
	compressed := elliptic.MarshalCompressed(elliptic.P256(), public.X, public.Y)
	for name, test := range map[string]struct {
		secret []byte
		key    verify.Key
	}{
		"ed25519":         {testkeys.CryptoEd25519(1).Public().(ed25519.PublicKey), ed},
		"p256 x":          {point[1:33], p},
		"p256 x and y":    {point[1:], p},
		"p256 compressed": {compressed, p},
	} {
		macer, err := verify.NewMacer(test.secret)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, entries := range [][]verify.Entry{
			{{Key: test.key}, {Secret: macer}},
			{{KID: []byte("m"), Secret: macer}, {KID: []byte("k"), Key: test.key}},
		} {
			if _, err := verify.NewKeySet(entries...); !errors.Is(err, verify.ErrAlgorithm) {
				t.Errorf("%s as a mac key beside itself: %v", name, err)
			}
		}
	}
	if _, err := verify.NewKeySet(verify.Entry{Key: p}, verify.Entry{Key: ed}, verify.Entry{Secret: testkeys.Macer(1)}); err != nil {
		t.Errorf("a key set of all kinds: %v", err)
	}
}

func TestMACsCountLikeSignatures(t *testing.T) {
	a, b := testkeys.Macer(1).Key(), testkeys.Macer(2).Key()
	sig := func(k verify.Key, groups ...string) verify.Signature {
		return verify.Signature{Entry: verify.Entry{Key: k, Groups: groups}}
	}
	two, err := verify.Threshold(2, "author")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		sigs []verify.Signature
		want error
	}{
		"two secrets":          {[]verify.Signature{sig(a, "author"), sig(b, "author")}, nil},
		"one secret twice":     {[]verify.Signature{sig(a, "author"), sig(a, "author")}, verify.ErrThreshold},
		"mac and signature":    {[]verify.Signature{sig(a, "author"), sig(testkeys.P256(1).Public(), "author")}, nil},
		"one of another group": {[]verify.Signature{sig(a, "author"), sig(b, "release")}, verify.ErrThreshold},
	} {
		if err := two.Check(verify.Evidence{Signatures: test.sigs}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
