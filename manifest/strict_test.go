// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

func TestGoodPartsOpen(t *testing.T) {
	if _, err := openOwn(t, seal(t, goodParts().manifest())); err != nil {
		t.Fatal(err)
	}
}

type inputTest struct {
	input []byte
	want  error
}

// checkInputs signs nothing: the inputs are envelopes as they are.
func checkInputs(t *testing.T, tests map[string]inputTest) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := openOwn(t, test.input); !errors.Is(err, test.want) {
				t.Errorf("open: got %v, want %v", err, test.want)
			}
			if _, err := manifest.InspectBytes(test.input); !errors.Is(err, test.want) {
				t.Errorf("inspect: got %v, want %v", err, test.want)
			}
		})
	}
}

type partsTest struct {
	change func(p *parts)
	want   error
}

// checkParts signs manifests that are wrong inside: a trusted author's mistake.
func checkParts(t *testing.T, tests map[string]partsTest) {
	t.Helper()
	inputs := make(map[string]inputTest)
	for name, test := range tests {
		p := goodParts()
		test.change(&p)
		inputs[name] = inputTest{seal(t, p.manifest()), test.want}
	}
	checkInputs(t, inputs)
}

func params(kv ...[]byte) []byte { return arr(num(20), dict(kv...)) }

func TestCBR_03_DuplicateKeys(t *testing.T) {
	m := goodParts().manifest()
	checkInputs(t, map[string]inputTest{
		"envelope":         {seal(t, m, num(3), bstr(m)), manifest.ErrMalformed},
		"payload":          {seal(t, m, tstr("#a"), bstr(), tstr("#a"), bstr([]byte{1})), manifest.ErrMalformed},
		"manifest":         {seal(t, goodParts().with(7, bstr(arr(num(3), num(15)))).manifest()), manifest.ErrMalformed},
		"envelope, bignum": {seal(t, m, []byte{0xc2, 0x41, 0x03}, bstr(m)), manifest.ErrMalformed},
	})
	checkParts(t, map[string]partsTest{
		"common":     {func(p *parts) { p.common = dict(num(2), p.components, num(2), p.components) }, manifest.ErrMalformed},
		"parameters": {func(p *parts) { p.shared = params(num(5), num(0), num(5), num(1)) }, manifest.ErrMalformed},
	})
}

func TestCBR_04_NotCanonical(t *testing.T) {
	p := goodParts()
	m := p.manifest()
	checkInputs(t, map[string]inputTest{
		"envelope order":      {seal(t, m, tstr("#b"), bstr(), tstr("#a"), bstr()), manifest.ErrNotCanonical},
		"envelope indefinite": {append(append([]byte{0xd8, 107, 0xbf}, seal(t, m)[3:]...), 0xff), manifest.ErrNotCanonical},
	})
	checkParts(t, map[string]partsTest{
		"manifest order":   {func(p *parts) { *p = p.with(4, tstr("http://a/")) }, manifest.ErrNotCanonical},
		"common order":     {func(p *parts) { p.common = dict(num(4), bstr(p.shared), num(2), p.components) }, manifest.ErrNotCanonical},
		"parameters order": {func(p *parts) { p.shared = params(num(14), num(0), num(5), num(1)) }, manifest.ErrNotCanonical},
		"long integer":     {func(p *parts) { p.validate = []byte{0x82, 0x03, 0x18, 0x0f} }, manifest.ErrNotCanonical},
		"indefinite":       {func(p *parts) { p.validate = []byte{0x9f, 0x03, 0x0f, 0xff} }, manifest.ErrNotCanonical},
		"text":             {func(p *parts) { *p = p.with(23, bstr(dict(tstr("en"), dict(num(2), tstr("a"), num(1), tstr("b"))))) }, manifest.ErrNotCanonical},
	})
}

func TestCBR_05_TrailingBytes(t *testing.T) {
	m := goodParts().manifest()
	digest := sum(bstr(m))
	inDigest := arr(num(-16), bstr(bytes.Repeat([]byte{1}, 32)))
	checkInputs(t, map[string]inputTest{
		"envelope":       {append(seal(t, m), 0), manifest.ErrMalformed},
		"authentication": {envelope(append(arr(bstr(digest)), 0), m), manifest.ErrMalformed},
		"digest":         {envelope(arr(bstr(digest, []byte{0})), m), manifest.ErrMalformed},
		"manifest":       {seal(t, append(bytes.Clone(m), 0)), manifest.ErrMalformed},
	})
	checkParts(t, map[string]partsTest{
		"common":       {func(p *parts) { p.common = append(dict(num(2), p.components), 0) }, manifest.ErrMalformed},
		"shared":       {func(p *parts) { p.shared = append(p.shared, 0) }, manifest.ErrMalformed},
		"validate":     {func(p *parts) { p.validate = append(p.validate, 0) }, manifest.ErrMalformed},
		"nested":       {func(p *parts) { p.validate = arr(num(32), bstr(p.validate, []byte{0})) }, manifest.ErrMalformed},
		"image digest": {func(p *parts) { p.shared = params(num(3), bstr(inDigest, []byte{0})) }, manifest.ErrMalformed},
		"text":         {func(p *parts) { *p = p.with(23, bstr(dict(), []byte{0})) }, manifest.ErrMalformed},
	})
}

func TestCBR_06_Tags(t *testing.T) {
	m := goodParts().manifest()
	good := seal(t, m)
	checkInputs(t, map[string]inputTest{
		"none":              {good[2:], manifest.ErrMalformed},
		"wrong":             {tag(108, good[2:]), manifest.ErrMalformed},
		"twice":             {tag(107, good), manifest.ErrMalformed},
		"self-described":    {tag(55799, good), manifest.ErrMalformed},
		"manifest tag":      {seal(t, tag(1070, m)), manifest.ErrMalformed},
		"bare digest array": {envelope(arr(sum(bstr(m))), m), manifest.ErrMalformed},
	})
}

// The tag of an authentication block decides what it is: the same bytes under another
// tag do not count. What is no item with one of the four tags is no block (CBR-05), and spoils the wrapper.
func TestCBR_06_AuthenticationTags(t *testing.T) {
	m := goodParts().manifest()
	digest := sum(bstr(m))
	good := seal(t, m)
	u, err := manifest.InspectBytes(good)
	if err != nil {
		t.Fatal(err)
	}
	sign1 := u.Envelope().Authentication[0][1:] // without its tag
	for name, block := range map[string][]byte{"untagged": sign1, "empty": nil, "encrypt0": tag(16, sign1), "trailing": append(tag(18, sign1), 0), "no CBOR": {0xff},
		"cut": tag(18, sign1[:len(sign1)-1]), "a longer tag": append([]byte{0xd8}, tag(18, sign1)[0]&0x1f)} {
		checkInputs(t, map[string]inputTest{
			name:              {envelope(arr(bstr(digest), bstr(block)), m), manifest.ErrMalformed},
			name + ", beside": {envelope(arr(bstr(digest), bstr(block), bstr(tag(18, sign1))), m), manifest.ErrMalformed},
		})
	}
	tests := map[string]inputTest{
		"mac0":   {tag(17, sign1), verify.ErrAlgorithm},
		"mac":    {tag(97, sign1), manifest.ErrMalformed},
		"sign":   {tag(98, sign1), manifest.ErrMalformed},
		"nested": {tag(18, tag(18, sign1)), verify.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := openOwn(t, envelope(arr(bstr(digest), bstr(test.input)), m))
			var refusal *verify.PolicyError
			if !errors.As(err, &refusal) || !errors.Is(err, test.want) || !errors.Is(err, verify.ErrThreshold) {
				t.Errorf("got %v, want a policy error for %v", err, test.want)
			}
			// A block that does not count does not spoil one that does.
			_, err = openOwn(t, envelope(arr(bstr(digest), bstr(test.input), bstr(tag(18, sign1))), m))
			if err != nil {
				t.Errorf("beside a good block: %v", err)
			}
		})
	}
}

func TestCBR_07_Integers(t *testing.T) {
	max64 := []byte{0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	checkParts(t, map[string]partsTest{
		"negative slot":     {func(p *parts) { p.shared = params(num(5), num(-1)) }, manifest.ErrMalformed},
		"negative size":     {func(p *parts) { p.shared = params(num(14), num(-1)) }, manifest.ErrMalformed},
		"size 2^64-1":       {func(p *parts) { p.shared = params(num(14), max64) }, manifest.ErrMalformed},
		"key above int64":   {func(p *parts) { p.shared = params(max64, num(0)) }, manifest.ErrMalformed},
		"code above int64":  {func(p *parts) { p.validate = arr(max64, num(0)) }, manifest.ErrMalformed},
		"negative policy":   {func(p *parts) { p.validate = arr(num(3), num(-1)) }, manifest.ErrMalformed},
		"policy with bit 4": {func(p *parts) { p.validate = arr(num(3), num(16)) }, manifest.ErrMalformed},
	})
	last := dict(num(1), num(1), num(2), max64, num(3), bstr(dict(num(2), goodParts().components)))
	v, err := openOwn(t, seal(t, last))
	if err != nil || v.SequenceNumber() != 1<<64-1 {
		t.Errorf("sequence number 2^64-1: %v", err)
	}
	negative := dict(num(1), num(1), num(2), num(-1), num(3), bstr(dict(num(2), goodParts().components)))
	if _, err := openOwn(t, seal(t, negative)); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("negative sequence number: got %v, want ErrMalformed", err)
	}
}

func TestCBR_08_URIs(t *testing.T) {
	tests := make(map[string]partsTest)
	for name, uri := range map[string]string{
		"empty": "", "nul": "http://a/\x00", "newline": "http://a/\n", "escape": "http://a/\x1b[2J", "space": "http://a/ b",
		"bidi": "http://a/\u202egpj.exe", "not ascii": "http://ä/", "delete": "http://a/\x7f", "not utf-8": "http://a/\xff",
	} {
		tests[name] = partsTest{func(p *parts) { p.shared = params(num(21), tstr(uri)) }, manifest.ErrMalformed}
	}
	long := "http://a/" + string(bytes.Repeat([]byte{'a'}, manifest.MaxURILength))
	tests["long"] = partsTest{func(p *parts) { p.shared = params(num(21), tstr(long)) }, manifest.ErrLimit}
	checkParts(t, tests)
}
