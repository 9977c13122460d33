// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/verify"
)

// publishedKeys are keys whose secret half everybody can read: this module's tests, the examples of the SUIT drafts, and RFC
// 8032, section 7.1.
func publishedKeys(t *testing.T) (keys []verify.Key) {
	for i := range 32 {
		keys = append(keys, testkeys.P256(i).Public(), testkeys.Ed25519(i).Public())
	}
	for i := range 8 {
		keys = append(keys, testkeys.MLDSA65(i).Public(), testkeys.Macer(i).Key())
	}
	read := func(name string) []byte {
		b, err := fs.ReadFile(vectors.SUIT(), name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	add := func(k verify.Key, err error) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	add(verify.ParsePublicKeyPEM(read("suit-p256-public.pem")))
	macer, err := verify.NewMacer(unhex(strings.TrimSpace(string(read("encryption/fwenc-hmac256.hex")))))
	if err != nil {
		t.Fatal(err)
	}
	keys = append(keys, macer.Key())
	for _, name := range []string{"encryption/fwenc-dependent-p256-private.json", "encryption/fwenc-recipient-p256.json"} {
		var point struct{ X, Y string }
		if err := json.Unmarshal(read(name), &point); err != nil {
			t.Fatal(err)
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex("04"+point.X+point.Y))
		if err != nil {
			t.Fatal(name, err)
		}
		add(verify.NewKey(public))
	}
	for _, key := range []string{
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
	} {
		add(verify.NewKey(ed25519.PublicKey(unhex(key))))
	}
	return keys
}

func TestCOS_16_Published(t *testing.T) {
	var table []uint64
	for _, k := range publishedKeys(t) {
		if !k.Published() {
			t.Errorf("%v is not in the table", k)
		}
		table = append(table, binary.BigEndian.Uint64(k.ID().Bytes()))
	}
	if t.Failed() {
		slices.Sort(table)
		var text strings.Builder
		for i, id := range table {
			fmt.Fprintf(&text, "0x%016x,%s", id, map[bool]string{true: "\n", false: " "}[i%6 == 5])
		}
		t.Logf("the table as it should be:\n%s", text.String())
	}
	fresh, err := verify.GenerateKey(verify.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []verify.Key{fresh.Public(), {}} {
		if k.Published() {
			t.Errorf("%v is said to be published (%s)", k, hex.EncodeToString(k.ID().Bytes()))
		}
	}
}
