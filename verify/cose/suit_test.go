// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// suitFile returns a file of draft-ietf-suit-firmware-encryption.
func suitFile(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := fs.ReadFile(vectors.SUIT(), "encryption/"+name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func suitHex(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(string(suitFile(tb, name))))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// suitRecipient returns the published private key "kid-2".
func suitRecipient(tb testing.TB) *ecdh.PrivateKey {
	tb.Helper()
	var k struct{ D string }
	if err := json.Unmarshal(suitFile(tb, "fwenc-recipient-p256.json"), &k); err != nil {
		tb.Fatal(err)
	}
	key, err := ecdh.P256().NewPrivateKey(unhex(k.D))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func wrapper(tb testing.TB, kek []byte) verify.KeyWrapper {
	tb.Helper()
	w, err := verify.NewKeyWrapper(kek)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func recipientKeys(tb testing.TB, keys ...cose.RecipientKey) *cose.RecipientKeys {
	tb.Helper()
	s, err := cose.NewRecipientKeys(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// suitKeys are all keys that the examples are for, under their names.
func suitKeys(tb testing.TB) *cose.RecipientKeys {
	tb.Helper()
	return recipientKeys(tb,
		cose.RecipientKey{KID: []byte("kid-1"), Wrapper: wrapper(tb, suitHex(tb, "fwenc-kek-a128.hex"))},
		cose.RecipientKey{KID: []byte("kid-2"), Exchange: suitRecipient(tb)})
}

func TestSUITEncryptionExamples(t *testing.T) {
	plaintext := suitFile(t, "plaintext.bin")
	for _, name := range []string{"aes-kw-aes-gcm", "aes-kw-aes-ctr", "es-ecdh-aes-gcm", "es-ecdh-aes-ctr"} {
		t.Run(name, func(t *testing.T) {
			info := suitFile(t, "suit-encryption-info-"+name+".cbor")
			got, err := cose.Decrypt(t.Context(), info, suitFile(t, "encrypted-payload-"+name+".bin"), suitKeys(t))
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("Decrypt = %q, %v, want %q", got, err, plaintext)
			}
		})
	}
}

// The examples give the random numbers of the AES-KW ones; the encoding is ours to reproduce.
func TestSUITEncryptionReproduced(t *testing.T) {
	kek := wrapper(t, suitHex(t, "fwenc-kek-a128.hex"))
	for name, test := range map[string]struct {
		alg    cose.ContentAlgorithm
		random string
	}{
		"aes-kw-aes-gcm": {cose.A128GCM, "15F785B5C931414411B4B71373A9C0F7F14AAB9D81D51F7AD943FE87"},
		"aes-kw-aes-ctr": {cose.A128CTR, "261DE6165070FB8951EC5D7B92A065FEDAE613B2E0DC55F4322BE38BDBA9DC68"},
	} {
		info, ciphertext, err := cose.EncryptFrom(t.Context(), bytes.NewReader(unhex(test.random)), test.alg,
			suitFile(t, "plaintext.bin"), cose.SUITContext, cose.Recipient{KID: []byte("kid-1"), Wrapper: kek})
		if err != nil {
			t.Fatal(err)
		}
		if want := suitFile(t, "suit-encryption-info-"+name+".cbor"); !bytes.Equal(info, want) {
			t.Errorf("%s: info %x, want %x", name, info, want)
		}
		if want := suitFile(t, "encrypted-payload-"+name+".bin"); !bytes.Equal(ciphertext, want) {
			t.Errorf("%s: ciphertext %x, want %x", name, ciphertext, want)
		}
	}
}

// The KDF context of the draft, figure of section 6.2.4 (a128kw_kdf_context.diag).
func TestSUITKDFContext(t *testing.T) {
	want := unhex("84" + "22" + "83f6f6f6" + "83f6f6f6" + "83" + "1880" + "44a101381c" + "57" + hex.EncodeToString([]byte("SUIT Payload Encryption")))
	if got := cose.KDFContext(cose.A128KW, 16, unhex("a101381c"), cose.SUITContext); !bytes.Equal(got, want) {
		t.Errorf("KDF context %x, want %x", got, want)
	}
}

// suitAuthentication returns block and payload of an example envelope.
func suitAuthentication(tb testing.TB, name string) (block, payload []byte) {
	tb.Helper()
	var envelope struct {
		Content map[any]cbor.RawMessage
	}
	if err := cbor.Unmarshal(suitFile(tb, name)[2:], &envelope.Content); err != nil { // after tag 107
		tb.Fatal(err)
	}
	var wrapper []byte
	if err := cbor.Unmarshal(envelope.Content[uint64(2)], &wrapper); err != nil {
		tb.Fatal(err)
	}
	var list [][]byte
	if err := cbor.Unmarshal(wrapper, &list); err != nil || len(list) != 2 {
		tb.Fatal(err, len(list))
	}
	return list[1], list[0]
}

func TestSUITMac0Examples(t *testing.T) {
	macer, err := verify.NewMacer(suitHex(t, "fwenc-hmac256.hex"))
	if err != nil {
		t.Fatal(err)
	}
	keys := keySet(t, verify.Entry{Secret: macer, Groups: []string{"author"}}, verify.Entry{Key: p256Key})
	for _, name := range []string{"suit-manifest-aes-kw", "suit-manifest-aes-kw-slot", "suit-manifest-aes-kw-content"} {
		block, payload := suitAuthentication(t, name+".cbor")
		sigs := cose.Verify(block, payload, keys)
		if len(sigs) != 1 || !sigs[0].Verified() || !sigs[0].Entry.In("author") {
			t.Errorf("%s: %v", name, sigs)
		}
		again, err := cose.MakeMac0(t.Context(), macer, nil, payload)
		if err != nil || !bytes.Equal(again, block) {
			t.Errorf("%s again: %x, %v, want %x", name, again, err, block)
		}
		for bit := range 8 * len(block) {
			bad := bytes.Clone(block)
			bad[bit/8] ^= 1 << (bit % 8)
			if sigs := cose.Verify(bad, payload, keys); sigs[0].Verified() {
				t.Errorf("%s: bit %d flipped: accepted", name, bit)
			}
		}
	}
}
