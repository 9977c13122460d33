// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

func TestTUF_17_MatchPath(t *testing.T) {
	for _, c := range []struct {
		pattern, target string
		want            bool
	}{
		{"a", "a", true}, {"a", "A", false}, {"a", "ab", false}, {"", "", true}, {"", "a", false},
		{"*", "a", true}, {"*", "a/b", false}, {"*/*", "a/b", true}, {"*/*", "a/b/c", false}, {"a/*", "a/", true}, {"a/*", "a", false},
		{"*.tgz", "foo.tgz", true}, {"*.tgz", "a/foo.tgz", false}, {"*.tgz", ".tgz", true}, {"targets/*.tgz", "targets/foo.txt", false},
		{"foo-version-?.tgz", "foo-version-2.tgz", true}, {"foo-version-?.tgz", "foo-version-alpha.tgz", false}, {"?", "", false}, {"?", "/", false},
		{"?", "é", true}, {"*é", "aé", true}, {"a*b*c", "a1b2b3c", true}, {"a*b*c", "a1b2b3", false}, {"**", "abc", true},
		{"[ab]", "a", false}, {"[ab]", "[ab]", true}, {`\*`, "*", false}, {`\*`, `\x`, true}, {"..", "..", true}, {"../*", "fw/a", false},
		{strings.Repeat("a*", 400) + "b", strings.Repeat("a", 1000), false},
	} {
		if got := tuf.MatchPath(c.pattern, c.target); got != c.want {
			t.Errorf("%.40q on %.40q: %v", c.pattern, c.target, got)
		}
	}
}

func TestBinName(t *testing.T) {
	for _, c := range []struct {
		bits   int
		number uint32
		want   string
	}{{1, 1, "b-1"}, {4, 15, "b-f"}, {5, 3, "b-03"}, {14, 0x3fff, "b-3fff"}, {32, 1, "b-00000001"}} {
		if got := tuf.BinName("b", c.bits, c.number); got != c.want {
			t.Errorf("%d bits: %s, want %s", c.bits, got, c.want)
		}
	}
}

// A delegation that has two readings, or none, is refused with the metadata that holds it.
//
// covers: B7, B24
func TestTUF_17_MalformedDelegations(t *testing.T) {
	role := func(change map[string]any) map[string]any {
		r := map[string]any{"name": "a", "keyids": []any{}, "threshold": 1, "terminating": false, "paths": []any{"*"}}
		for name, v := range change {
			if r[name] = v; v == nil {
				delete(r, name)
			}
		}
		return map[string]any{"keys": map[string]any{}, "roles": []any{r}}
	}
	bins := func(bits any) map[string]any {
		return map[string]any{"keys": map[string]any{}, "succinct_roles": map[string]any{"keyids": []any{}, "threshold": 1, "bit_length": bits, "name_prefix": "b"}}
	}
	both := bins(3)
	both["roles"] = []any{}
	twice := role(nil)
	twice["roles"] = append(twice["roles"].([]any), twice["roles"].([]any)[0])
	for name, c := range map[string]struct {
		delegations any
		want        error
	}{
		"good": {role(nil), nil}, "good bins": {bins(32), nil}, "neither": {map[string]any{"keys": map[string]any{}}, nil},
		"no name":   {role(map[string]any{"name": nil}), tuf.ErrDelegation},
		"root":      {role(map[string]any{"name": "root"}), tuf.ErrDelegation},
		"timestamp": {role(map[string]any{"name": "timestamp"}), tuf.ErrDelegation},
		"targets":   {role(map[string]any{"name": "targets"}), tuf.ErrDelegation},
		"long name": {role(map[string]any{"name": strings.Repeat("x", 256)}), tuf.ErrDelegation},
		"twice":     {twice, tuf.ErrMalformed}, "null": {json.RawMessage("null"), tuf.ErrMalformed}, "array": {[]any{}, tuf.ErrMalformed},
		"no threshold":    {role(map[string]any{"threshold": nil}), tuf.ErrMalformed},
		"threshold 0":     {role(map[string]any{"threshold": 0}), tuf.ErrMalformed},
		"terminating 1":   {role(map[string]any{"terminating": 1}), tuf.ErrMalformed},
		"paths null":      {role(map[string]any{"paths": json.RawMessage("null")}), tuf.ErrMalformed},
		"path 1":          {role(map[string]any{"paths": []any{1}}), tuf.ErrMalformed},
		"paths, prefixes": {role(map[string]any{"path_hash_prefixes": []any{"00"}}), tuf.ErrMalformed},
		"roles and bins":  {both, tuf.ErrMalformed},
		"bits 0":          {bins(0), tuf.ErrMalformed}, "bits -1": {bins(-1), tuf.ErrMalformed}, "bits 33": {bins(33), tuf.ErrMalformed}, "bits 40": {bins(40), tuf.ErrMalformed},
		"short key": {map[string]any{"keys": map[string]any{"k": json.RawMessage(`{"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}}`)}, "roles": []any{}}, tuf.ErrMalformed},
		"bits 2^63": {bins(json.RawMessage("9223372036854775808")), tuf.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			r := tuftest.New()
			r.Edit = func(role tuf.Role, signed map[string]any) {
				if role == tuf.RoleTargets {
					signed["delegations"] = c.delegations
				}
			}
			r.Publish()
			s := provisioned(t, r)
			err := refresh(s, r)
			if c.want == nil && err != nil || !errors.Is(err, c.want) || c.want != nil && !errors.Is(err, tuf.ErrMalformed) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Keys of every scheme that the package verifies count, and their signatures over other bytes do not.
//
// covers: B21
func TestKeySchemes(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pss, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scheme string
		public crypto.PublicKey
		sign   func([]byte) ([]byte, error)
	}{
		{tuf.SchemeEd25519, testkeys.Ed25519(1).Public().Public(), func(m []byte) ([]byte, error) { return testkeys.Ed25519(1).Sign(t.Context(), m) }},
		{tuf.SchemeP256, testkeys.P256(1).Public().Public(), func(m []byte) ([]byte, error) { return testkeys.P256(1).Sign(t.Context(), m) }},
		{tuf.SchemeMLDSA65, testkeys.MLDSA65(1).Public().Public(), func(m []byte) ([]byte, error) { return testkeys.MLDSA65(1).Sign(t.Context(), m) }},
		{tuf.SchemeP384, &p384.PublicKey, func(m []byte) ([]byte, error) {
			sum := sha512.Sum384(m)
			return p384.Sign(rand.Reader, sum[:], crypto.SHA384)
		}},
		{tuf.SchemeRSAPSS, &pss.PublicKey, func(m []byte) ([]byte, error) {
			sum := sha256.Sum256(m)
			return pss.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256})
		}},
	} {
		t.Run(c.scheme, func(t *testing.T) {
			key, err := tuf.NewKey(c.public)
			if err != nil || key.Scheme() != c.scheme {
				t.Fatalf("%v, %v", key.Scheme(), err)
			}
			r := tuftest.New()
			keyType, scheme, public := key.KeyVal()
			r.Edit = func(role tuf.Role, signed map[string]any) {
				if role == tuf.RoleRoot {
					signed["keys"].(map[string]any)["new"] = map[string]any{"keytype": keyType, "scheme": scheme, "keyval": map[string]any{"public": public}}
					for _, role := range []string{"timestamp", "targets"} {
						signed["roles"].(map[string]any)[role] = map[string]any{"keyids": []any{"new"}, "threshold": 1}
					}
				}
			}
			r.Publish(tuf.RoleRoot)
			signature := func(signed any) []byte {
				text, err := json.Marshal(signed)
				if err != nil {
					t.Fatal(err)
				}
				message, err := tuf.Canonical(text)
				if err != nil {
					t.Fatal(err)
				}
				sig, err := c.sign(message)
				if err != nil {
					t.Fatal(err)
				}
				return sig
			}
			with := func(signed any, sig []byte) []byte {
				return tuftest.Envelope(signed, []any{map[string]any{"keyid": "new", "sig": fmt.Sprintf("%x", sig)}})
			}
			timestamp, targets := r.Signed(tuf.RoleTimestamp), r.Signed(tuf.RoleTargets)
			sig, onTargets := signature(timestamp), signature(targets)
			s := provisioned(t, r)
			if err := s.UpdateRoot(r.Root(2)); err != nil {
				t.Fatal(err)
			}
			if keys := s.Root().Keys(tuf.RoleTimestamp); len(keys) != 1 || keys[0] != key {
				t.Errorf("keys %v", keys)
			}
			bad := append([]byte(nil), sig...)
			bad[len(bad)/2] ^= 1
			for _, sig := range [][]byte{bad, sig[1:], {}} {
				if _, err := s.UpdateTimestamp(with(timestamp, sig), r.Now); !errors.Is(err, tuf.ErrThreshold) {
					t.Errorf("other signature: %v", err)
				}
				if err := s.RestoreTargets(with(targets, sig)); !errors.Is(err, tuf.ErrThreshold) {
					t.Errorf("other signature on targets: %v", err)
				}
			}
			if _, err := s.UpdateTimestamp(with(timestamp, sig), r.Now); err != nil {
				t.Error(err)
			}
			if err := s.RestoreTargets(with(targets, onTargets)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Setenv("GODEBUG", "rsa1024min=0") // otherwise Go makes none
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tuf.NewKey(&weak.PublicKey); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("1024 bits: %v", err)
	}
}
