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
