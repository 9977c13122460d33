// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func vector(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := fs.ReadFile(vectors.SUIT(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.TrimSpace(s))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// draftKeys are the keys that authenticate the drafts' examples.
func draftKeys(tb testing.TB) *verify.KeySet {
	tb.Helper()
	p256, err := verify.ParsePublicKeyPEM(vector(tb, "suit-p256-public.pem"))
	if err != nil {
		tb.Fatal(err)
	}
	macer, err := verify.NewMacer(unhex(tb, string(vector(tb, "encryption/fwenc-hmac256.hex"))))
	if err != nil {
		tb.Fatal(err)
	}
	var point struct{ X, Y string }
	if err := json.Unmarshal(vector(tb, "encryption/fwenc-dependent-p256-private.json"), &point); err != nil {
		tb.Fatal(err)
	}
	raw, err := hex.DecodeString("04" + point.X + point.Y)
	if err != nil {
		tb.Fatal(err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		tb.Fatal(err)
	}
	dependent, err := verify.NewKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: p256}, verify.Entry{Key: dependent}, verify.Entry{Key: macer.Key(), Secret: macer})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// recipientKeys are the keys that decrypt the drafts' examples.
func recipientKeys(tb testing.TB) *cose.RecipientKeys {
	tb.Helper()
	kek, err := verify.NewKeyWrapper(unhex(tb, string(vector(tb, "encryption/fwenc-kek-a128.hex"))))
	if err != nil {
		tb.Fatal(err)
	}
	var private struct{ D string }
	if err := json.Unmarshal(vector(tb, "encryption/fwenc-recipient-p256.json"), &private); err != nil {
		tb.Fatal(err)
	}
	exchange, err := ecdh.P256().NewPrivateKey(unhex(tb, private.D))
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := cose.NewRecipientKeys(cose.RecipientKey{Wrapper: kek}, cose.RecipientKey{Exchange: exchange})
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func noFloor(context.Context, manifest.ComponentID) (uint64, error) { return 0, nil }

// Every published example runs, with the relaxations that its kind needs.
func TestM1_PublishedExamplesRun(t *testing.T) {
	plaintext := string(vector(t, "encryption/plaintext.bin"))
	ciphertext := vector(t, "encryption/encrypted-payload-aes-kw-aes-gcm.bin")
	name := func(s string) string { return hex.EncodeToString([]byte(s)) }
	dependent := vector(t, "trust-domains/example0_dependent.cbor")
	all := []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionInvoke}
	for _, tt := range []struct {
		file     string
		compat   manifest.Compat
		contents map[string]string
		sections []manifest.Section
		want     map[string]string
		log      []string
	}{
		{"encryption/suit-manifest-aes-kw-content.cbor", 0, map[string]string{name("plaintext-firmware"): ""},
			all[2:3], map[string]string{name("plaintext-firmware"): plaintext}, []string{"write " + name("plaintext-firmware")}},
		{"encryption/suit-manifest-aes-kw-slot.cbor", 0, map[string]string{"00": "", "01": ""},
			all[2:3], map[string]string{"00": plaintext, "01": string(ciphertext)}, []string{"fetch 01", "write 00"}},
		{"encryption/suit-manifest-aes-kw.cbor", 0, map[string]string{name("plaintext-firmware"): "", name("encrypted-firmware"): ""},
			all[2:3], map[string]string{name("plaintext-firmware"): plaintext, name("encrypted-firmware"): string(ciphertext)}, nil},
		{"encryption/suit-manifest-es-ecdh-content.cbor", 0, map[string]string{name("decrypted-firmware"): ""},
			all[2:3], map[string]string{name("decrypted-firmware"): plaintext}, nil},
		{"encryption/suit-manifest-es-ecdh-dependency.cbor", 0, map[string]string{name("decrypted-firmware"): "", name("dependency-manifest.suit"): ""},
			all[2:3], map[string]string{name("decrypted-firmware"): plaintext}, nil},
		{"trust-domains/example0_dependent.cbor", 0, map[string]string{name("00"): ""},
			all[2:], map[string]string{name("00"): "hello world"}, []string{"write " + name("00"), "invoke " + name("00") + " cat 00"}},
		{"trust-domains/example1_process.cbor", 0, map[string]string{name("00"): "", name("10"): "", name("dependent.suit"): ""},
			all, map[string]string{name("00"): "hello world", name("10"): " in multiple trust domains", name("dependent.suit"): string(dependent)},
			[]string{"fetch " + name("dependent.suit"), "write " + name("00"), "write " + name("10"), "invoke " + name("10") + " cat 00 10"}},
		{"trust-domains/example2_integrated.cbor", manifest.CompatUncheckedDependency, map[string]string{name("00"): "", name("10"): "", name("dependent.suit"): ""},
			all, map[string]string{name("00"): "hello world", name("10"): " in multiple trust domains"}, nil},
	} {
		t.Run(tt.file, func(t *testing.T) {
			s := newStore(tt.contents)
			s.uris["coaps://example.com/encrypted-firmware"] = ciphertext
			s.uris["http://example.com/dependent.suit"] = dependent
			keys, o := draftKeys(t), manifest.Options{Compat: tt.compat}
			v, err := o.OpenBytes(vector(t, tt.file), keys, one(t))
			if err != nil {
				t.Fatal(err)
			}
			p, err := processor.New(t.Context(), v, processor.Options{Platform: s, Decrypter: recipientKeys(t),
				Compat: processor.CompatUnidentified | processor.CompatNoDigest | processor.CompatUnmatchedInvoke | processor.CompatUnprocessedDependency,
				Dependencies: &processor.Dependencies{Floor: noFloor,
					Open: func(b []byte) (*manifest.Verified, error) { return manifest.OpenBytes(b, keys, one(t)) }}})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Run(t.Context(), tt.sections...); err != nil {
				t.Fatal(err)
			}
			for id, want := range tt.want {
				if got := string(s.cells[id].content); got != want {
					t.Errorf("%s: got %q, want %q", id, got, want)
				}
			}
			if diff := cmp.Diff(tt.log, s.log); tt.log != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}
