// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// Draft -37 has no delegation any more: a chain in the envelope (member 1) is refused, whatever is in it, and whoever has signed
// the manifest beside it. No key is ever taken from an envelope.
func TestCOS_13_Delegation(t *testing.T) {
	m := goodParts().manifest()
	token := func(issuer verify.Signer, claims []byte) []byte { // a CWT with a confirmation key, as earlier drafts had it
		block, err := cose.SignSign1(t.Context(), issuer, cose.ESP256, claims)
		if err != nil {
			t.Fatal(err)
		}
		return bstr(block)
	}
	self := testkeys.P256(9)
	for name, chain := range map[string][]byte{
		"empty":            arr(),
		"one":              arr(arr(token(signer, dict(num(4), num(2_000_000_000))))),
		"expired":          arr(arr(token(signer, dict(num(4), num(1))))),
		"by itself":        arr(arr(token(self, dict()), token(self, dict()))),
		"deep":             arr(bytes.Repeat([]byte{0x81}, 12)),
		"not a chain":      tstr("x"),
		"wider than given": arr(arr(token(signer, dict(num(3), tstr("*")))), arr(token(self, dict(num(3), tstr("any"))))),
	} {
		digest := sum(bstr(m))
		for by, s := range map[string]verify.Signer{"trusted": signer, "delegate": self} {
			block, err := cose.SignSign1(t.Context(), s, cose.ESP256, digest)
			if err != nil {
				t.Fatal(err)
			}
			b := tag(107, dict(num(1), bstr(chain), num(2), bstr(arr(bstr(digest), bstr(block))), num(3), bstr(m)))
			if v, err := openOwn(t, b); v != nil || !errors.Is(err, manifest.ErrUnsupported) {
				t.Errorf("%s, signed by the %s: got %v, want ErrUnsupported", name, by, err)
			}
		}
	}
}

// What Inspect returns is of another type than what Open returns, and leads to it only through Encode and Open. A text is in
// a verified manifest only if the signed digest covers it.
func TestCMD_16_UnverifiedType(t *testing.T) {
	verified := reflect.TypeFor[*manifest.Verified]()
	for _, source := range []reflect.Type{reflect.TypeFor[*manifest.Unverified](), reflect.TypeFor[*manifest.Envelope](), reflect.TypeFor[*manifest.Manifest]()} {
		if source.ConvertibleTo(verified) {
			t.Errorf("%v converts to %v", source, verified)
		}
		for i := range source.NumMethod() {
			for result := range source.Method(i).Type.Outs() {
				if result == verified {
					t.Errorf("%v.%s returns %v without keys", source, source.Method(i).Name, verified)
				}
			}
		}
	}
	for i := range verified.Elem().NumField() {
		if f := verified.Elem().Field(i); f.IsExported() {
			t.Errorf("%v has the exported field %s", verified, f.Name)
		}
	}

	text := dict(tstr("en"), dict(num(1), tstr("signed")))
	m := goodParts().with(23, sum(bstr(text))).manifest()
	forged := dict(tstr("en"), dict(num(1), tstr("forged")))
	if _, err := openOwn(t, seal(t, m, num(23), bstr(forged))); !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("forged text: got %v, want ErrDigest", err)
	}
	v, err := openOwn(t, seal(t, m))
	if err != nil || !v.Manifest().Text.Severed() || v.Manifest().Text.Texts != nil {
		t.Errorf("severed text: %+v, %v", v.Manifest().Text, err)
	}
	if _, err := v.Attach(manifest.MemberText, forged); !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("attached forged text: got %v, want ErrDigest", err)
	}
}

// What must be signed is refused where it is not: each member of the manifest, beside it in the envelope.
func TestREG_23_SignedMemberOutside(t *testing.T) {
	m := goodParts().manifest()
	inputs := map[string]inputTest{}
	for _, key := range []int64{4, 5, 6, 7, 8, 9, 24} {
		inputs["member "+string(num(key))] = inputTest{seal(t, m, num(key), bstr(arr(num(3), num(15)))), manifest.ErrUnsupported}
	}
	inputs["another version"] = inputTest{tag(107, dict(num(1), num(1), num(2), bstr(), num(3), bstr(m))), manifest.ErrUnsupported}
	checkInputs(t, inputs)
}

// An inner length past the enclosing byte string, though within the envelope, is refused in every layer.
func TestREG_24_InnerLength(t *testing.T) {
	grow := func(b []byte, at int) []byte { // by one
		b = bytes.Clone(b)
		b[at]++
		return b
	}
	digest := sum(bytes.Repeat([]byte{7}, 3))
	text := bstr(dict(tstr("en"), dict(num(1), tstr("a"))))
	checkParts(t, map[string]partsTest{
		"component part":   {func(p *parts) { p.components = arr(grow(arr(bstr([]byte{0})), 1)) }, manifest.ErrMalformed},
		"image digest":     {func(p *parts) { p.shared = params(num(3), bstr(grow(digest, 3))) }, manifest.ErrMalformed},
		"nested sequence":  {func(p *parts) { p.validate = grow(arr(num(32), bstr(p.validate)), 3) }, manifest.ErrMalformed},
		"sequence's array": {func(p *parts) { p.validate = grow(p.validate, 0) }, manifest.ErrMalformed},
		"content":          {func(p *parts) { p.shared = grow(params(num(18), bstr([]byte{1})), 4) }, manifest.ErrMalformed},
		"text":             {func(p *parts) { *p = p.with(23, grow(text, len(text)-2)) }, manifest.ErrMalformed},
	})
	m := goodParts().manifest()
	block, err := cose.SignSign1(t.Context(), signer, cose.ESP256, digest)
	if err != nil {
		t.Fatal(err)
	}
	longDigest := sum(bstr(m))
	longDigest[len(longDigest)-33]++
	checkInputs(t, map[string]inputTest{
		"manifest digest": {envelope(arr(bstr(longDigest), bstr(block)), m), manifest.ErrMalformed},
		"authentication":  {envelope(grow(arr(bstr(sum(bstr(m)))), 0), m), manifest.ErrMalformed},
	})
	// In a block it makes it none.
	b := seal(t, m)
	at := bytes.Index(b, []byte{0x58, 64}) // the length of the signature
	b[at+1]++
	if _, err := openOwn(t, b); !errors.Is(err, verify.ErrMalformed) {
		t.Errorf("signature: got %v, want ErrMalformed", err)
	}
}

// Two things under one name are refused, signed or not; and which components and members a manifest has is itself signed.
func TestREG_28_Duplicates(t *testing.T) {
	install := arr(num(21), num(2))
	m := goodParts().with(20, sum(bstr(install))).manifest()
	checkInputs(t, map[string]inputTest{
		"member twice":     {seal(t, m, num(20), bstr(install), num(20), bstr(install)), manifest.ErrMalformed},
		"payload twice":    {seal(t, m, tstr("#a"), bstr(), tstr("#a"), bstr()), manifest.ErrMalformed},
		"manifest twice":   {seal(t, m, num(3), bstr(m)), manifest.ErrMalformed},
		"inline and apart": {seal(t, goodParts().with(20, bstr(install)).manifest(), num(20), bstr(install)), manifest.ErrDigest},
	})
	checkParts(t, map[string]partsTest{
		"component twice": {func(p *parts) { p.components = arr(arr(bstr([]byte{0})), arr(bstr([]byte{0}))) }, manifest.ErrComponent},
	})
	b := seal(t, m, num(20), bstr(install))
	for i := range b { // taking a name out of the list of what is signed, or changing one
		for _, flip := range []byte{1, 0x10, 0xff} {
			mutant := bytes.Clone(b)
			mutant[i] ^= flip
			if v, err := openOwn(t, mutant); err == nil && !reflect.DeepEqual(v.Manifest().Components, manifest.Manifest{Components: []manifest.ComponentID{{{0}}}}.Components) {
				t.Fatalf("byte %d ^ %#x: accepted with components %v", i, flip, v.Manifest().Components)
			}
		}
	}
}

// Nothing is no envelope and no signature.
func TestREG_39_Nothing(t *testing.T) {
	keys, policy := oneOf(t, signer.Public())
	for name, open := range map[string]func() error{
		"nil envelope":    func() error { _, err := manifest.OpenBytes(nil, keys, policy); return err },
		"empty envelope":  func() error { _, err := manifest.OpenBytes([]byte{}, keys, policy); return err },
		"empty reader":    func() error { _, err := manifest.Open(bytes.NewReader(nil), 1, keys, policy); return err },
		"nil to inspect":  func() error { _, err := manifest.InspectBytes(nil); return err },
		"null":            func() error { _, err := manifest.OpenBytes([]byte{0xf6}, keys, policy); return err },
		"null in the tag": func() error { _, err := manifest.OpenBytes([]byte{0xd8, 107, 0xf6}, keys, policy); return err },
		"no block":        func() error { _, err := openOwn(t, envelope(arr(bstr(sum(bstr()))), nil)); return err },
		"empty block":     func() error { _, err := openOwn(t, envelope(arr(bstr(sum(bstr())), bstr()), nil)); return err },
	} {
		if err := open(); err == nil || (!errors.Is(err, manifest.ErrMalformed) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, verify.ErrPolicy)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, block := range [][]byte{nil, {}, {0xf6}, {0xd2}, {0xd2, 0x84}} {
		for _, s := range cose.Verify(block, []byte("x"), keys) {
			if s.Verified() || s.Err == nil {
				t.Errorf("block %x: %+v", block, s)
			}
		}
	}
}

// The sizes and counts that a manifest states are added without wrapping around: claims near the limits of 64 bits are refused or
// kept as they are.
func TestREG_31_LargeNumbers(t *testing.T) {
	huge := cborstream.AppendUint(nil, 1<<64-1)
	checkParts(t, map[string]partsTest{
		"component index": {func(p *parts) { p.shared = slices.Concat([]byte{0x82}, num(12), huge) }, manifest.ErrComponent},
		"use-before":      {func(p *parts) { p.shared = params(num(4), huge) }, nil},
		"image size":      {func(p *parts) { p.shared = params(num(14), huge) }, manifest.ErrMalformed},
		"chunk of 2^64-1": {func(p *parts) { p.shared = params(num(25), bstr(arr(num(1), num(-16), bstr(make([]byte, 32)), huge))) }, nil},
	})
	for _, args := range [][]byte{arr(num(1), num(-16), bstr(make([]byte, 32)), huge), arr(num(1), num(-16), bstr(make([]byte, 32)), num(0)), arr(huge)} {
		if c, err := manifest.ParseFetchArguments(args); err == nil {
			t.Errorf("%x: accepted as %+v", args, c)
		}
	}
}
