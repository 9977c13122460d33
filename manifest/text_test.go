// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
)

func TestCBR_08_Texts(t *testing.T) {
	text := func(content []byte) inputTest {
		return inputTest{seal(t, goodParts().with(23, bstr(content)).manifest()), manifest.ErrMalformed}
	}
	english := func(pairs ...[]byte) inputTest { return text(dict(tstr("en"), dict(pairs...))) }
	component := func(pairs ...[]byte) inputTest { return english(arr(bstr([]byte{0})), dict(pairs...)) }
	tests := map[string]inputTest{
		"no language":         text(dict()),
		"language empty":      text(dict(tstr(""), dict())),
		"language long":       text(dict(tstr("abcdefghi"), dict())),
		"language with digit": text(dict(tstr("e2"), dict())),
		"language open":       text(dict(tstr("en-"), dict())),
		"language number":     text(dict(num(1), dict())),
		"language twice":      text(dict(tstr("en"), dict(), tstr("en"), dict())),
		"languages unsorted":  text(dict(tstr("fr"), dict(), tstr("de"), dict())),
		"not a text":          english(num(1), bstr()),
		"key is a text":       english(tstr("description"), tstr("a")),
		"not a map":           english(arr(bstr()), tstr("a")),
		"component twice":     english(arr(bstr()), dict(), arr(bstr()), dict()),
		"part is a text":      english(arr(tstr("a")), dict()),
		"nul":                 english(num(1), tstr("a\x00")),
		"escape":              english(num(1), tstr("\x1b[2J")),
		"c1 control":          english(num(1), tstr("\u009b2J")),
		"bidi override":       english(num(1), tstr("\u202egpj.exe")),
		"bidi isolate":        component(num(5), tstr("\u2067")),
		"not utf-8":           english(num(1), tstr("\xff")),
		"version in lines":    component(num(8), tstr("1.0\n2.0")),
		"required in lines":   component(num(7), tstr("\t>1")),
		"trailing":            text(append(dict(tstr("en"), dict()), 0)),
	}
	long := english(num(1), tstr(string(bytes.Repeat([]byte{'a'}, manifest.MaxText+1))))
	long.want = manifest.ErrLimit
	tests["long"] = long
	noID := english(arr(), dict())
	noID.want = manifest.ErrComponent
	tests["identifier empty"] = noID
	checkInputs(t, tests)

	for name, in := range map[string][]byte{
		"lines":     dict(num(1), tstr("a\r\n\tb")),
		"any key":   dict(num(9), tstr("a"), num(-1), tstr("b")),
		"long":      dict(num(1), tstr(string(bytes.Repeat([]byte{'a'}, manifest.MaxText)))),
		"component": dict(arr(bstr([]byte{0}), bstr()), dict(num(8), tstr("1.0–β"))),
	} {
		if _, err := openOwn(t, seal(t, goodParts().with(23, bstr(dict(tstr("x-klingon"), in))).manifest())); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Everybody may drop or mangle what is not signed, but a text that is shown is the author's.
func TestCMD_10_CoSWID(t *testing.T) {
	unsorted := dict(num(1), tstr("a"), num(0), tstr("b"))
	if v, err := openOwn(t, seal(t, goodParts().with(14, sum(bstr(unsorted))).manifest(), num(14), bstr(unsorted))); err != nil {
		t.Error(err)
	} else if m := v.Manifest(); !bytes.Equal(m.CoSWID.Raw, unsorted) {
		t.Errorf("got %x", m.CoSWID.Raw)
	}
	// Whatever encoding it has (update-management-14, section 3.2: none may be refused that is well-formed).
	for _, content := range [][]byte{{0xbf, 0, 0x61, 'a', 0xff}, {0xa1, 0, 0xfb, 0x3f, 0xf1, 0, 0, 0, 0, 0, 0}, {0xa1, 0x18, 0, 0xf7}, {0xda, 0x53, 0x57, 0x49, 0x44, 0xa0}} {
		v, err := openOwn(t, seal(t, goodParts().with(14, bstr(content)).manifest()))
		if err != nil {
			t.Errorf("%x: %v", content, err)
		} else if m := v.Manifest(); !bytes.Equal(m.CoSWID.Raw, content) {
			t.Errorf("%x: got %x", content, m.CoSWID.Raw)
		}
	}
	inline := func(content ...[]byte) []byte { return seal(t, goodParts().with(14, bstr(content...)).manifest()) }
	checkInputs(t, map[string]inputTest{
		"other bytes":         {seal(t, goodParts().with(14, sum(bstr(unsorted))).manifest(), num(14), bstr(dict())), manifest.ErrDigest},
		"not in the manifest": {seal(t, goodParts().manifest(), num(14), bstr(unsorted)), manifest.ErrDigest},
		"empty":               {inline(), manifest.ErrMalformed},
		"two items":           {inline(unsorted, unsorted), manifest.ErrMalformed},
		"key twice":           {inline(dict(num(1), num(0), num(0), num(0), num(1), num(0))), manifest.ErrMalformed},
		"inner key twice":     {inline(dict(num(1), dict(num(2), num(0), num(2), num(0)))), manifest.ErrMalformed},
		"no map":              {inline(num(5)), manifest.ErrMalformed},
		"cut":                 {inline([]byte{0xbf, 0}), manifest.ErrMalformed},
		"deep":                {inline(bytes.Repeat([]byte{0x81}, 1000), num(0)), manifest.ErrLimit},
		"items":               {inline(arr(bytes.Split(make([]byte, 70_000), nil)...)), manifest.ErrLimit},
	})
}
