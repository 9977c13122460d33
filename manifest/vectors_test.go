// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/veraison/go-cose"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// vector returns a published envelope, such as "manifest/example0".
func vector(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := fs.ReadFile(vectors.SUIT(), name+".cbor")
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// suitKeys returns the key that signed the vectors, and a policy of one signature.
func suitKeys(tb testing.TB) (*verify.KeySet, verify.Policy) {
	tb.Helper()
	pem, err := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(pem)
	if err != nil {
		tb.Fatal(err)
	}
	return oneOf(tb, key)
}

func oneOf(tb testing.TB, key verify.Key) (*verify.KeySet, verify.Policy) {
	tb.Helper()
	keys, err := verify.NewKeySet(verify.Entry{Key: key})
	if err != nil {
		tb.Fatal(err)
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		tb.Fatal(err)
	}
	return keys, policy
}

// signedVectors are the published envelopes that must open.
var signedVectors = []string{
	"manifest/example0", "manifest/example1", "manifest/example2",
	"manifest/example2-severed", "manifest/example3", "manifest/example4", "manifest/example5",
	"manifest-esp256/example1", "manifest-esp256/example2",
	"manifest-esp256/example2-severed", "manifest-esp256/example3", "manifest-esp256/example4", "manifest-esp256/example5",
}

func TestVectorsOpen(t *testing.T) {
	keys, policy := suitKeys(t)
	for _, name := range signedVectors {
		t.Run(name, func(t *testing.T) {
			b := vector(t, name)
			v, err := manifest.Open(bytes.NewReader(b), int64(len(b)), keys, policy)
			if err != nil {
				t.Fatal(err)
			}
			if got := v.Evidence().Keys(""); len(got) != 1 {
				t.Errorf("evidence has %d keys, want 1", len(got))
			}
		})
	}
}

// The envelope is rebuilt from nothing but typed values: the manifest that Open
// returned, and the fields of the decoded COSE structure.
func TestVectorsEncodeBack(t *testing.T) {
	keys, policy := suitKeys(t)
	for _, name := range signedVectors {
		t.Run(name, func(t *testing.T) {
			b := vector(t, name)
			v, err := manifest.OpenBytes(b, keys, policy)
			if err != nil {
				t.Fatal(err)
			}
			u, err := manifest.InspectBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.Manifest(), u.Envelope().Manifest, cmp.Comparer(sameDigest)); diff != "" {
				t.Errorf("Open and Inspect differ:\n%s", diff)
			}
			e := manifest.Envelope{Manifest: v.Manifest()}
			for _, block := range u.Envelope().Authentication {
				e.Authentication = append(e.Authentication, rebuildSign1(t, block))
			}
			got, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, b) {
				t.Errorf("encoded\n%x\nwant\n%x", got, b)
			}
			if digest, err := e.Digest(); err != nil || digest != v.Digest() {
				t.Errorf("digest %v, %v; want %v", digest, err, v.Digest())
			}
		})
	}
}

func sameDigest(x, y verify.Digest) bool { return x == y }

func rebuildSign1(t *testing.T, block []byte) []byte {
	t.Helper()
	var m cose.Sign1Message
	if err := m.UnmarshalCBOR(block); err != nil {
		t.Fatal(err)
	}
	m.Headers.RawProtected, m.Headers.RawUnprotected = nil, nil
	b, err := m.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorsRefused(t *testing.T) {
	keys, policy := suitKeys(t)
	tests := map[string]error{
		"manifest-esp256/example0": verify.ErrSignature,
	}
	for _, dir := range []string{"manifest/", "manifest-esp256/"} {
		for _, n := range []string{"0", "1", "2-severed", "3", "4", "5"} {
			tests[dir+"example"+n+"-unsigned"] = verify.ErrThreshold
		}
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := manifest.OpenBytes(vector(t, name), keys, policy)
			if !errors.Is(err, want) || v != nil {
				t.Errorf("got %v, %v; want %v", v, err, want)
			}
			var refusal *verify.PolicyError
			if signed := errors.Is(want, manifest.ErrUnsupported); !signed && !errors.As(err, &refusal) {
				t.Errorf("got %T, want *verify.PolicyError", err)
			}
		})
	}
}

// Every single-byte mutation and every truncation is refused, or
// leaves all that is signed as it was.
//
// covers: REG-16
func TestCBR_12_MutationsAndTruncations(t *testing.T) {
	keys, policy := allKeys(t)
	o := manifest.Options{Compat: manifest.CompatUncheckedDependency}
	for _, e := range vectorIndex(t) {
		t.Run(e.File, func(t *testing.T) {
			t.Parallel()
			b := readVector(t, e.File)
			want, err := o.OpenBytes(b, keys, policy)
			if good := len(e.Auth) > 0 && e.Auth[0].Valid; good != (err == nil) {
				t.Fatal(err)
			}
			for n := range b {
				if _, err := o.OpenBytes(b[:n], keys, policy); err == nil {
					t.Fatalf("truncated to %d bytes: accepted", n)
				}
			}
			accepted := 0
			flips := []byte{0x01, 0x80, 0xff}
			if e.File == "manifest/example0.cbor" && !testing.Short() {
				flips = allFlips() // every other value of every byte of one vector
			}
			for i := range b {
				for _, flip := range flips {
					mutant := bytes.Clone(b)
					mutant[i] ^= flip
					got, err := o.OpenBytes(mutant, keys, policy)
					if err != nil {
						continue
					}
					accepted++
					if want == nil || got.Digest() != want.Digest() {
						t.Fatalf("byte %d ^ %#x: accepted with digest %v", i, flip, got.Digest())
					}
					if diff := cmp.Diff(got.Manifest(), want.Manifest(), cmp.Comparer(sameDigest)); diff != "" {
						t.Fatalf("byte %d ^ %#x: accepted with another manifest:\n%s", i, flip, diff)
					}
				}
			}
			t.Logf("%d mutants accepted, none with a change", accepted)
		})
	}
}

func allFlips() []byte {
	flips := make([]byte, 255)
	for i := range flips {
		flips[i] = byte(i + 1)
	}
	return flips
}
