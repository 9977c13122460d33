// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func contentKey(tb testing.TB, alg cose.ContentAlgorithm, fill byte, size int) *cose.ContentKey {
	tb.Helper()
	k, err := cose.NewContentKey(alg, nil, bytes.Repeat([]byte{fill}, size))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// sealers are the containers of the draft.
func sealers(tb testing.TB) map[string]report.Sealer {
	signed := report.Sealer{Signer: testkeys.Ed25519(2), Algorithm: cose.Ed25519}
	mac := report.Sealer{Macer: testkeys.Macer(1), KID: []byte("m")}
	out := map[string]report.Sealer{"sign1": signed, "mac0": mac}
	for name, key := range map[string]*cose.ContentKey{"a128gcm": contentKey(tb, cose.A128GCM, 1, 16),
		"chacha": contentKey(tb, cose.ChaCha20Poly1305, 1, 32), "a128ctr": contentKey(tb, cose.A128CTR, 1, 16)} {
		signed.ContentKey, mac.ContentKey = key, key
		out["sign1, "+name], out["mac0, "+name] = signed, mac
	}
	return out
}

func receivers(tb testing.TB) (*verify.KeySet, verify.Policy) {
	tb.Helper()
	keys, err := verify.NewKeySet(verify.Entry{Key: testkeys.Ed25519(2).Public()}, verify.Entry{KID: []byte("m"), Secret: testkeys.Macer(1)})
	if err != nil {
		tb.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	return keys, policy
}

// Each container is opened by who has the keys and by nobody else, and no changed byte goes unnoticed.
func TestSealers(t *testing.T) {
	keys, policy := receivers(t)
	plain, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	others, err := verify.NewKeySet(verify.Entry{Key: testkeys.Ed25519(3).Public()}, verify.Entry{KID: []byte("m"), Secret: testkeys.Macer(2)})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range sealers(t) {
		t.Run(name, func(t *testing.T) {
			b, err := s.Seal(t.Context(), sample())
			if err != nil {
				t.Fatal(err)
			}
			var content []*cose.ContentKey
			if s.ContentKey != nil {
				content = []*cose.ContentKey{s.ContentKey}
				if bytes.Contains(b, plain[len(plain)/2:]) {
					t.Error("the report is in the clear")
				}
				if _, _, err := report.Open(b, keys, policy); !errors.Is(err, verify.ErrKeyUnknown) {
					t.Errorf("without a content key: %v", err)
				}
				other := contentKey(t, s.ContentKey.Algorithm(), 2, map[bool]int{true: 32, false: 16}[s.ContentKey.Algorithm() == cose.ChaCha20Poly1305])
				if _, _, err := report.Open(b, keys, policy, other); err == nil {
					t.Error("another content key: accepted")
				}
			}
			got, _, err := report.Open(b, keys, policy, content...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sample(), got, cmp.Comparer(func(a, b verify.Digest) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if _, _, err := report.Open(b, others, policy, content...); !errors.Is(err, verify.ErrPolicy) {
				t.Errorf("by somebody else: %v", err)
			}
			for i := range b {
				bad := bytes.Clone(b)
				bad[i] ^= 0x01
				if _, _, err := report.Open(bad, keys, policy, content...); err == nil {
					t.Errorf("byte %d changed, accepted", i)
				}
				if _, _, err := report.Open(b[:i], keys, policy, content...); err == nil {
					t.Errorf("cut to %d bytes, accepted", i)
				}
			}
		})
	}
}

// A report has one kind of protection around it, and encryption alone is none.
func TestSealerRefuses(t *testing.T) {
	key := contentKey(t, cose.A128GCM, 1, 16)
	for name, s := range map[string]report.Sealer{
		"nothing":         {},
		"encryption only": {ContentKey: key},
		"both":            {Signer: testkeys.Ed25519(2), Algorithm: cose.Ed25519, Macer: testkeys.Macer(1)},
	} {
		if _, err := s.Seal(t.Context(), sample()); !errors.Is(err, verify.ErrKeyUnknown) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	plain, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	bare, err := key.Encrypt0(plain)
	if err != nil {
		t.Fatal(err)
	}
	keys, policy := receivers(t)
	for name, b := range map[string][]byte{"bare report": plain, "bare encryption": bare, "empty": {}} {
		if _, _, err := report.Open(b, keys, policy, key); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzOpen: whatever opens is what was sealed.
func FuzzOpen(f *testing.F) {
	keys, policy := receivers(f)
	var content []*cose.ContentKey
	for _, s := range sealers(f) {
		b, err := s.Seal(f.Context(), sample())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if s.ContentKey != nil {
			content = append(content, s.ContentKey)
		}
	}
	want, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _, err := report.Open(b, keys, policy, content...)
		if (err == nil) != (r != nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err != nil {
			return
		}
		if got, err := r.Encode(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("opened %x, %v", got, err)
		}
	})
}
