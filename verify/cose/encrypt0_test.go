// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func contentKey(tb testing.TB, alg cose.ContentAlgorithm, kid string, key []byte) *cose.ContentKey {
	tb.Helper()
	var id []byte
	if kid != "" {
		id = []byte(kid)
	}
	k, err := cose.NewContentKey(alg, id, key)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// The published examples, without their tag.
func TestCOSEWGEncrypt0(t *testing.T) {
	algorithms := map[int]cose.ContentAlgorithm{16: cose.A128GCM, 32: cose.A256GCM}
	verdicts := map[string]verdict{
		"aes-gcm-enc-01":     {nil, ""},
		"aes-gcm-enc-02":     {verify.ErrAlgorithm, "AES-192 is not used by SUIT"},
		"aes-gcm-enc-03":     {nil, ""},
		"aes-gcm-enc-04":     {verify.ErrDecrypt, ""},
		"chacha-poly-enc-01": {nil, ""},
	}
	for _, f := range wgFiles(t, "encrypt0", len(verdicts)) {
		key := unhex(f.Intermediates.CEK)
		alg := algorithms[len(key)]
		if strings.HasPrefix(f.name, "chacha") {
			alg = cose.ChaCha20Poly1305
		}
		if alg == 0 {
			alg, key = cose.A128GCM, key[:16]
		}
		message := unhex(f.Output.CBOR)
		got, err := cose.DecryptEncrypt0(message[1:], contentKey(t, alg, "", key))
		verdicts[f.name].check(t, f, err)
		if err == nil && string(got) != f.Input.Plaintext {
			t.Errorf("%s: %q, want %q", f.name, got, f.Input.Plaintext)
		}
		if _, err := cose.DecryptEncrypt0(message, contentKey(t, alg, "", key)); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("%s, tagged: %v", f.name, err)
		}
	}
}

func TestEncrypt0(t *testing.T) {
	plaintext := []byte("a report")
	for _, alg := range []cose.ContentAlgorithm{cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305, cose.A128CTR, cose.A256CTR} {
		size, _ := sizesOf(alg)
		a := contentKey(t, alg, "a", bytes.Repeat([]byte{1}, size))
		unnamed, b, other := contentKey(t, alg, "", bytes.Repeat([]byte{1}, size)), contentKey(t, alg, "b", bytes.Repeat([]byte{1}, size)), contentKey(t, alg, "", bytes.Repeat([]byte{2}, size))
		for _, k := range []*cose.ContentKey{a, unnamed} {
			sealed, err := k.Encrypt0(plaintext)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(sealed, plaintext) {
				t.Errorf("%v: in the clear", alg)
			}
			for _, keys := range [][]*cose.ContentKey{{a}, {unnamed}, {nil, a}} {
				if got, err := cose.DecryptEncrypt0(sealed, keys...); err != nil || !bytes.Equal(got, plaintext) {
					t.Errorf("%v: %q, %v", alg, got, err)
				}
			}
			if _, err := cose.DecryptEncrypt0(sealed); !errors.Is(err, verify.ErrKeyUnknown) {
				t.Errorf("%v: no key: %v", alg, err)
			}
			again, err := k.Encrypt0(plaintext)
			if err != nil || bytes.Equal(again, sealed) {
				t.Errorf("%v: the same iv twice, %v", alg, err)
			}
			if !alg.Authenticated() {
				continue
			}
			if got, err := cose.DecryptEncrypt0(sealed, other, a); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("%v: the second key: %q, %v", alg, got, err)
			}
			if _, err := cose.DecryptEncrypt0(sealed, other); !errors.Is(err, verify.ErrDecrypt) {
				t.Errorf("%v: another key: %v", alg, err)
			}
			for i := range sealed {
				for _, flip := range []byte{1, 0x80, 0xff} {
					mutant := bytes.Clone(sealed)
					mutant[i] ^= flip
					if got, err := cose.DecryptEncrypt0(mutant, unnamed); err == nil && !bytes.Equal(got, plaintext) {
						t.Fatalf("%v: byte %d ^ %#x gives %q", alg, i, flip, got)
					}
				}
				if _, err := cose.DecryptEncrypt0(sealed[:i], unnamed); err == nil {
					t.Fatalf("%v: cut to %d bytes: accepted", alg, i)
				}
			}
		}
		sealed, err := a.Encrypt0(plaintext)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cose.DecryptEncrypt0(sealed, b); !errors.Is(err, verify.ErrKeyUnknown) {
			t.Errorf("%v: key of another name: %v", alg, err)
		}
	}
}

func TestContentKeyRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		alg      cose.ContentAlgorithm
		kid, key []byte
		want     error
	}{
		"short":     {cose.A128GCM, nil, make([]byte, 15), verify.ErrAlgorithm},
		"long":      {cose.A128CTR, nil, make([]byte, 32), verify.ErrAlgorithm},
		"none":      {cose.A128GCM, nil, nil, verify.ErrAlgorithm},
		"unknown":   {2, nil, make([]byte, 24), verify.ErrAlgorithm},
		"empty kid": {cose.A128GCM, []byte{}, make([]byte, 16), verify.ErrLimit},
		"long kid":  {cose.A128GCM, make([]byte, verify.MaxKIDSize+1), make([]byte, 16), verify.ErrLimit},
	} {
		if k, err := cose.NewContentKey(tt.alg, tt.kid, tt.key); k != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	k := contentKey(t, cose.A128GCM, "a", []byte("canary-canary-ca"))
	if text := fmt.Sprintf("%v %+v %#v %s", k, k, k, *k); strings.Contains(text, "canary") || strings.Contains(text, "99") {
		t.Errorf("prints as %s", text)
	}
	if _, err := k.Encrypt0(make([]byte, cose.MaxEncrypt0Size)); !errors.Is(err, verify.ErrLimit) {
		t.Errorf("too long: %v", err)
	}
	if _, err := cose.DecryptEncrypt0(make([]byte, cose.MaxEncrypt0Size+1), k); !errors.Is(err, verify.ErrLimit) {
		t.Errorf("too long to read: %v", err)
	}
}
