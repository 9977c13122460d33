// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func digest(t *testing.T, sum string) verify.Digest {
	t.Helper()
	b, err := hex.DecodeString(sum)
	if err != nil {
		t.Fatal(err)
	}
	d, err := verify.NewDigest(verify.SHA256, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// example3 is the release that example 3 of the specification describes.
func example3(t *testing.T) author.AB {
	vendor := author.VendorID("arm.com")
	return author.AB{
		VendorID:       vendor,
		ClassID:        author.ClassID(vendor, "suit"),
		SequenceNumber: 3,
		Component:      manifest.ComponentID{{0}},
		Slots: [2]author.Image{{
			URI:    "http://example.com/file1.bin",
			Digest: digest(t, "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"),
			Size:   34768,
		}, {
			URI:    "http://example.com/file2.bin",
			Digest: digest(t, "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"),
			Size:   76834,
		}},
	}
}

func TestABIsExample3(t *testing.T) {
	want, err := fs.ReadFile(vectors.SUIT(), "manifest/example3-unsigned.cbor")
	if err != nil {
		t.Fatal(err)
	}
	e, err := example3(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%x\nwant\n%x", got, want)
	}
}

func TestSignThenOpen(t *testing.T) {
	one, two := testkeys.P256(1), testkeys.Ed25519(2)
	tests := map[string][]author.Signature{
		"ESP256 by default":  {{Signer: one}},
		"ES256":              {{Signer: one, Algorithm: cose.ES256}},
		"Ed25519 by default": {{Signer: two}},
		"with kid":           {{Signer: one, KID: []byte("k1")}},
		"two":                {{Signer: one, KID: []byte("k1")}, {Signer: two}},
	}
	for name, signatures := range tests {
		t.Run(name, func(t *testing.T) {
			release := example3(t)
			root := digest(t, "ff112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210")
			release.Slots[0].Chunks = &manifest.ChunkInfo{Root: root, Size: 16 << 10}
			release.DeviceID = &manifest.UUID{1}
			release.Invoke = true
			e, err := release.Build()
			if err != nil {
				t.Fatal(err)
			}
			b, err := author.SignAs(t.Context(), e, signatures...)
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Authentication) != 0 {
				t.Error("the envelope was changed")
			}
			keys, err := verify.NewKeySet(verify.Entry{KID: []byte("k1"), Key: one.Public()}, verify.Entry{Key: two.Public()})
			if err != nil {
				t.Fatal(err)
			}
			policy, err := verify.Threshold(len(signatures), "")
			if err != nil {
				t.Fatal(err)
			}
			v, err := manifest.OpenBytes(b, keys, policy)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := e.Digest(); err != nil || v.Digest() != want {
				t.Errorf("opened digest %v, want %v, %v", v.Digest(), want, err)
			}
			if _, ok := v.Section(manifest.SectionInvoke); !ok {
				t.Error("no invoke section")
			}
		})
	}
}

func TestSignAddsToOtherSignatures(t *testing.T) {
	e, err := example3(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	first, err := author.Sign(t.Context(), e, testkeys.P256(1))
	if err != nil {
		t.Fatal(err)
	}
	u, err := manifest.InspectBytes(first)
	if err != nil {
		t.Fatal(err)
	}
	both, err := author.Sign(t.Context(), u.Envelope(), testkeys.P256(2))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: testkeys.P256(1).Public()}, verify.Entry{Key: testkeys.P256(2).Public()})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := verify.Threshold(2, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.OpenBytes(both, keys, policy); err != nil {
		t.Error(err)
	}
	if _, err := manifest.OpenBytes(first, keys, policy); !errors.Is(err, verify.ErrThreshold) {
		t.Errorf("one of two: got %v, want ErrThreshold", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*author.AB)
		want   error
	}{
		"no vendor":     {func(r *author.AB) { r.VendorID = manifest.UUID{} }, manifest.ErrMalformed},
		"no class":      {func(r *author.AB) { r.ClassID = manifest.UUID{} }, manifest.ErrMalformed},
		"zero device":   {func(r *author.AB) { r.DeviceID = new(manifest.UUID) }, manifest.ErrMalformed},
		"last sequence": {func(r *author.AB) { r.SequenceNumber = math.MaxUint64 }, manifest.ErrSequence},
		"no component":  {func(r *author.AB) { r.Component = nil }, manifest.ErrComponent},
		"no digest":     {func(r *author.AB) { r.Slots[1].Digest = verify.Digest{} }, manifest.ErrMalformed},
		"no size":       {func(r *author.AB) { r.Slots[1].Size = 0 }, manifest.ErrMalformed},
		"negative size": {func(r *author.AB) { r.Slots[1].Size = -1 }, manifest.ErrMalformed},
		"no uri":        {func(r *author.AB) { r.Slots[0].URI = "" }, manifest.ErrMalformed},
		"uri with line": {func(r *author.AB) { r.Slots[0].URI = "http://a/\n" }, manifest.ErrMalformed},
		"chunk size":    {func(r *author.AB) { r.Slots[0].Chunks = &manifest.ChunkInfo{Root: r.Slots[0].Digest, Size: 1} }, manifest.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			release := example3(t)
			test.change(&release)
			if e, err := release.Build(); !errors.Is(err, test.want) || e != nil {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	e, err := example3(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := author.Sign(t.Context(), e); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("no signer: got %v, want ErrPolicy", err)
	}
	if _, err := author.Sign(t.Context(), e, nil); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("nil signer: got %v, want ErrPolicy", err)
	}
	wrong := author.Signature{Signer: testkeys.Ed25519(1), Algorithm: cose.ES256}
	if _, err := author.SignAs(t.Context(), e, wrong); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("wrong algorithm: got %v, want ErrAlgorithm", err)
	}
	e.Manifest.Install.Sequence[0].Policy = 1 // a try-each has none
	if _, err := author.Sign(t.Context(), e, testkeys.P256(1)); !errors.Is(err, manifest.ErrCommand) {
		t.Errorf("spoiled envelope: got %v, want ErrCommand", err)
	}
}

// The identifiers of all of the specification's examples.
func TestIdentifiers(t *testing.T) {
	vendor := author.VendorID("arm.com")
	if got, want := vendor.String(), "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"; got != want {
		t.Errorf("vendor %s, want %s", got, want)
	}
	if got, want := author.ClassID(vendor, "suit").String(), "1492af14-2569-5e48-bf42-9b2d51f2ab45"; got != want {
		t.Errorf("class %s, want %s", got, want)
	}
}

// A signer who is sent 36 bytes can tell what they are, and signs nothing else.
func TestDigestToSign(t *testing.T) {
	signature := author.Signature{Signer: testkeys.P256(0)}
	for _, h := range []verify.Hash{verify.SHA256, verify.SHA384, verify.SHA512} {
		e, err := example3(t).Build()
		if err != nil {
			t.Fatal(err)
		}
		e.Hash = h
		toSign, err := author.ToSign(e)
		if err != nil {
			t.Fatal(err)
		}
		want, err := e.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := author.DigestToSign(toSign); err != nil || got != want {
			t.Errorf("%v: got %v, %v", h, got, err)
		}
		encoded, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		bad := [][]byte{encoded, append(slices.Clone(toSign), 0), {}, []byte("\x81\x2f"), []byte("\x82\x01\x41\x00"), []byte("\x83\x2f\x41\x00\x00")}
		for n := range toSign {
			bad = append(bad, toSign[:n])
		}
		for _, b := range bad {
			if _, err := author.Block(t.Context(), b, signature); !errors.Is(err, manifest.ErrMalformed) {
				t.Errorf("%x: got %v", b, err)
			}
		}
	}
}

// Several blocks are by different keys or algorithms (manifest-37, section 8.3): who signs again adds nothing, and gets the same bytes.
func TestSignAgain(t *testing.T) {
	b := author.Builder{SequenceNumber: 1}
	b.Validate(b.Component(manifest.ComponentID{{0}}))
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	one, other, macer := testkeys.P256(1), testkeys.Ed25519(1), testkeys.Macer(1)
	sign := func(e *manifest.Envelope, want int, signatures ...author.Signature) *manifest.Envelope {
		t.Helper()
		signed, err := author.SignAs(t.Context(), e, signatures...)
		if err != nil {
			t.Fatal(err)
		}
		u, err := manifest.InspectBytes(signed)
		if err != nil {
			t.Fatal(err)
		}
		if again := u.Envelope(); len(again.Authentication) == want {
			return again
		}
		t.Fatalf("got %d blocks, want %d", len(u.Envelope().Authentication), want)
		return nil
	}
	e = sign(e, 1, author.Signature{Signer: one})
	first := e.Authentication[0]
	e = sign(e, 1, author.Signature{Signer: one}, author.Signature{Signer: one, Algorithm: cose.ESP256})
	if !bytes.Equal(first, e.Authentication[0]) {
		t.Error("another block by the same key")
	}
	e = sign(e, 2, author.Signature{Signer: one, Algorithm: cose.ES256})
	e = sign(e, 4, author.Signature{Signer: other, KID: []byte("other")}, author.Signature{Macer: macer})
	e = sign(e, 4, author.Signature{Signer: one}, author.Signature{Signer: other}, author.Signature{Signer: other, KID: []byte("other")}, author.Signature{Macer: macer})
	if _, err := author.SignAs(t.Context(), e, author.Signature{Signer: one, KID: []byte("one")}); !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("the same key under a name: got %v, want ErrPolicy", err)
	}
	toSign, err := author.ToSign(e)
	if err != nil {
		t.Fatal(err)
	}
	block, err := author.Block(t.Context(), toSign, author.Signature{Signer: one})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: one.Public()})
	if err != nil {
		t.Fatal(err)
	}
	if err := author.Attach(e, keys, block); err != nil || len(e.Authentication) != 4 {
		t.Errorf("attached: %d blocks, %v", len(e.Authentication), err)
	}
	e.Authentication = nil
	if err := author.Attach(e, keys, block, block); err != nil || len(e.Authentication) != 1 {
		t.Errorf("attached to none: %d blocks, %v", len(e.Authentication), err)
	}
}
