// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	. "github.com/firmament-dev/firmament/internal/cborstream"
)

var roomy = Limits{Size: 1 << 20, Depth: 16, Items: 1 << 16}

// whole reads b as one item and nothing else.
func whole(b []byte, l Limits) error {
	p := New(b, l)
	if _, err := p.Raw(); err != nil {
		return err
	}
	return p.Done()
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

type refusal struct {
	input string
	want  error
	at    int
}

func checkRefused(t *testing.T, tests map[string]refusal) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := whole(unhex(t, test.input), roomy)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if strict := errors.Is(err, ErrNotCanonical); strict != (test.want == ErrNotCanonical) {
				t.Errorf("got %v: ErrNotCanonical is %t", err, strict)
			}
			var place *Error
			if !errors.As(err, &place) || place.Offset != test.at {
				t.Errorf("got %v, want byte %d", err, test.at)
			}
		})
	}
}

func TestAccepts(t *testing.T) {
	for _, s := range []string{
		"00", "17", "18 18", "19 0100", "1a 00010000", "1b 0000000100000000", "1b ffffffffffffffff",
		"20", "3b ffffffffffffffff", "40", "43 010203", "60", "62 c3a9", "80", "82 01 02", "a0",
		"a2 01 02 03 04", "a2 01 f5 61 61 f4", "a2 81 00 01 82 00 00 02", "a2 20 00 41 00 00",
		"d8 6b a0", "c1 00", "d9 0100 80", "f4", "f5", "f6", "a1 01 a1 01 81 d2 f6",
	} {
		if err := whole(unhex(t, s), roomy); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestCBR_01_Nesting(t *testing.T) {
	for name, layer := range map[string]func([]byte) []byte{
		"array":   func(b []byte) []byte { return append([]byte{0x81}, b...) },
		"map":     func(b []byte) []byte { return append([]byte{0xa1, 0x00}, b...) },
		"map key": func(b []byte) []byte { return append(append([]byte{0x81, 0xa1}, b...), 0x00) },
		"tag":     func(b []byte) []byte { return append([]byte{0xc1}, b...) },
	} {
		t.Run(name, func(t *testing.T) {
			b := []byte{0x00}
			if name == "map key" {
				b = []byte{0x80}
			}
			for range 16 {
				b = layer(b)
			}
			if name != "map key" {
				if err := whole(b, roomy); err != nil {
					t.Fatalf("depth 16: %v", err)
				}
			}
			if err := whole(layer(b), roomy); err == nil {
				t.Fatal("depth 17: accepted")
			}
		})
	}
	for _, n := range []int{17, 33, 1000, 100_000} {
		b := append(bytes.Repeat([]byte{0x81}, n), 0x00)
		allocs := testing.AllocsPerRun(10, func() {
			if err := whole(b, roomy); !errors.Is(err, ErrLimit) {
				t.Fatalf("depth %d: got %v, want ErrLimit", n, err)
			}
		})
		if allocs > 10 {
			t.Errorf("depth %d: %v allocations", n, allocs)
		}
	}
}

// Budgets hold over wrapped layers: arrays in byte strings in arrays.
func TestCBR_01_NestingThroughByteStrings(t *testing.T) {
	descend := func(layers int) error {
		b := []byte{0x00}
		for range layers {
			b = append([]byte{0x81}, AppendBytes(nil, b)...)
		}
		p := New(b, roomy)
		var outer []Outer
		for range layers {
			if _, err := p.Array(); err != nil {
				return err
			}
			o, err := p.Enter()
			if err != nil {
				return err
			}
			outer = append(outer, o)
		}
		if _, err := p.Uint(); err != nil {
			return err
		}
		for _, o := range slices.Backward(outer) {
			if err := p.Leave(o); err != nil {
				return err
			}
			p.End()
		}
		return p.Done()
	}
	if err := descend(16); err != nil {
		t.Errorf("16 layers: %v", err)
	}
	for _, n := range []int{17, 33, 1000} {
		if err := descend(n); !errors.Is(err, ErrLimit) {
			t.Errorf("%d layers: got %v, want ErrLimit", n, err)
		}
	}
}

func TestItemBudgetIsShared(t *testing.T) {
	in := unhex(t, "82 43 820102 44 83030405")
	for items := range 12 {
		p := New(in, Limits{Size: 100, Depth: 4, Items: items})
		_, err := p.Array()
		for range 2 {
			var outer Outer
			if err == nil {
				outer, err = p.Enter()
			}
			if err == nil {
				_, err = p.Raw()
			}
			if err == nil {
				err = p.Leave(outer)
			}
		}
		if p.End(); err == nil {
			err = p.Done()
		}
		if enough := items >= 10; enough != (err == nil) || !enough && !errors.Is(err, ErrLimit) {
			t.Errorf("%d items: %v, 10 are there", items, err)
		}
	}
}

func TestCBR_02_LengthClaims(t *testing.T) {
	for _, major := range []byte{0x40, 0x60, 0x80, 0xa0} {
		for _, claim := range []string{"1a80000000", "1affffffff", "1b0000000100000000", "1b8000000000000000", "1bffffffffffffffff", "04"} {
			b := unhex(t, claim)
			b[0] |= major
			b = append(b, 0, 0, 0)
			allocs := testing.AllocsPerRun(10, func() {
				if err := whole(b, roomy); !errors.Is(err, ErrMalformed) || errors.Is(err, ErrNotCanonical) {
					t.Fatalf("%x: got %v, want ErrMalformed", b, err)
				}
			})
			if allocs > 10 {
				t.Errorf("%x: %v allocations", b, allocs)
			}
		}
	}
}

// A caller may make room for as many items as Array and Map return, so they must
// not return what cannot be there.
func TestCBR_02_CountsAreBounded(t *testing.T) {
	for _, s := range []string{"83 00 00", "9a 80000000 00", "9b ffffffffffffffff 00"} {
		if n, err := New(unhex(t, s), roomy).Array(); !errors.Is(err, ErrMalformed) {
			t.Errorf("array %s: got %d, %v; want ErrMalformed", s, n, err)
		}
	}
	for _, s := range []string{"a2 00 00 00", "ba 80000000 00 00", "bb 8000000000000001 00 00"} {
		if n, err := New(unhex(t, s), roomy).Map(); !errors.Is(err, ErrMalformed) {
			t.Errorf("map %s: got %d, %v; want ErrMalformed", s, n, err)
		}
	}
}

func TestCBR_03_DuplicateKeys(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"integer":       {"a2 01 00 01 00", ErrMalformed, 3},
		"text":          {"a2 6161 00 6161 00", ErrMalformed, 4},
		"array":         {"a2 8100 00 8100 00", ErrMalformed, 4},
		"third":         {"a3 01 00 02 00 02 00", ErrMalformed, 5},
		"nested":        {"81 a1 05 a2 01 00 01 00", ErrMalformed, 6},
		"int as bignum": {"a2 01 00 c2 41 01 00", ErrMalformed, 3},
	})
}

func TestCBR_04_NotCanonical(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"1 byte integer":     {"18 17", ErrNotCanonical, 0},
		"2 byte integer":     {"19 00ff", ErrNotCanonical, 0},
		"4 byte integer":     {"1a 0000ffff", ErrNotCanonical, 0},
		"8 byte integer":     {"1b 00000000ffffffff", ErrNotCanonical, 0},
		"negative":           {"38 00", ErrNotCanonical, 0},
		"byte string length": {"58 01 00", ErrNotCanonical, 0},
		"text length":        {"78 01 61", ErrNotCanonical, 0},
		"array length":       {"98 01 00", ErrNotCanonical, 0},
		"map length":         {"b8 01 00 00", ErrNotCanonical, 0},
		"tag":                {"d8 12 00", ErrNotCanonical, 0},
		"unsorted integers":  {"a2 02 00 01 00", ErrNotCanonical, 3},
		"text before int":    {"a2 6161 00 01 00", ErrNotCanonical, 4},
		"longer text first":  {"a2 626161 00 6162 00", ErrNotCanonical, 5},
		"indefinite bytes":   {"5f 41 00 ff", ErrNotCanonical, 0},
		"indefinite text":    {"7f 61 61 ff", ErrNotCanonical, 0},
		"indefinite array":   {"9f 00 ff", ErrNotCanonical, 0},
		"indefinite map":     {"bf 00 00 ff", ErrNotCanonical, 0},
		"bignum":             {"81 c2 41 01", ErrNotCanonical, 1},
		"negative bignum":    {"c3 41 01", ErrNotCanonical, 0},
	})
}

func TestCBR_05_TrailingBytes(t *testing.T) {
	for _, s := range []string{"00 00", "80 f6", "f6 ff", "a0 a0"} {
		if err := whole(unhex(t, s), roomy); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want ErrMalformed", s, err)
		}
	}
	p := New(unhex(t, "82 00 00"), roomy)
	if _, err := p.Array(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Uint(); err != nil {
		t.Fatal(err)
	}
	if err := p.Done(); !errors.Is(err, ErrMalformed) {
		t.Errorf("unfinished array: got %v, want ErrMalformed", err)
	}
}

// A part is left when all of it has been read, and only then.
func TestCBR_05_Parts(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want error
		at   int
	}{
		"whole":      {"82 43 82 01 02 07", nil, 0},
		"trailing":   {"82 43 81 01 02 07", ErrMalformed, 4},
		"incomplete": {"82 43 83 01 02 07", ErrMalformed, 2},
		"empty":      {"82 40 07", ErrMalformed, 2},
	} {
		p := New(unhex(t, test.in), roomy)
		if _, err := p.Array(); err != nil {
			t.Fatal(err)
		}
		outer, err := p.Enter()
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Raw()
		if err == nil {
			err = p.Leave(outer)
		}
		var place *Error
		if !errors.Is(err, test.want) || (errors.As(err, &place) && place.Offset != test.at) {
			t.Errorf("%s: got %v, want %v at byte %d", name, err, test.want, test.at)
		}
		if err != nil {
			if _, again := p.Uint(); again != err {
				t.Errorf("%s: goes on with %v", name, again)
			}
			continue
		}
		n, err := p.Uint()
		if p.End(); n != 7 || err != nil || p.Done() != nil {
			t.Errorf("%s: after the part: %d, %v", name, n, err)
		}
	}
	// An array that began in a part ends in it.
	p := New(unhex(t, "82 42 82 01 02"), roomy)
	p.Array()
	outer, _ := p.Enter()
	p.Array()
	p.Uint()
	if err := p.Leave(outer); !errors.Is(err, ErrMalformed) {
		t.Errorf("left inside an array: %v", err)
	}
}

// A parser that stays where it is made costs no allocation.
func TestM5_ParserAllocatesNothing(t *testing.T) {
	b := unhex(t, "82 44 82 01 81 02 a3 00 03 01 19 0100 18 20 05")
	n := testing.AllocsPerRun(100, func() {
		p := New(b, roomy)
		p.Array()
		outer, _ := p.Enter()
		p.Raw()
		p.Leave(outer)
		m, _ := p.Map()
		for m.Next(p) {
			p.Uint()
			p.Uint()
		}
		p.End()
		if err := p.Done(); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// All bytes have been read, but the array still lacks an item.
func TestDoneInsideArray(t *testing.T) {
	p := New(unhex(t, "82 41 00"), roomy)
	if _, err := p.Array(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Bytes(); err != nil {
		t.Fatal(err)
	}
	if err := p.Done(); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

func TestCBR_06_TagsAsKeys(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"tag":  {"a1 c1 00 00", ErrMalformed, 1},
		"map":  {"a1 a0 00", ErrMalformed, 1},
		"bool": {"a1 f5 00", ErrMalformed, 1},
		"nil":  {"a1 f6 00", ErrMalformed, 1},
	})
}

func TestCBR_07_Integers(t *testing.T) {
	for s, want := range map[string]int64{
		"00": 0, "20": -1, "29": -10, "1b 7fffffffffffffff": math.MaxInt64, "3b 7fffffffffffffff": math.MinInt64,
	} {
		if got, err := New(unhex(t, s), roomy).Int(); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"1b 8000000000000000", "3b 8000000000000000", "3b ffffffffffffffff", "41 00", "f5", ""} {
		if got, err := New(unhex(t, s), roomy).Int(); !errors.Is(err, ErrMalformed) {
			t.Errorf("Int of %s: got %d, %v; want ErrMalformed", s, got, err)
		}
	}
	for _, s := range []string{"20", "3b ffffffffffffffff", "c2 41 01", "fb 3ff0000000000000"} {
		if got, err := New(unhex(t, s), roomy).Uint(); !errors.Is(err, ErrMalformed) {
			t.Errorf("Uint of %s: got %d, %v; want ErrMalformed", s, got, err)
		}
	}
}

func TestCBR_08_Text(t *testing.T) {
	checkRefused(t, map[string]refusal{
		"lone byte":  {"61 ff", ErrMalformed, 0},
		"cut rune":   {"61 c3", ErrMalformed, 0},
		"surrogate":  {"63 eda080", ErrMalformed, 0},
		"overlong":   {"62 c080", ErrMalformed, 0},
		"in a map":   {"a1 00 61 ff", ErrMalformed, 2},
		"as map key": {"a1 61 ff 00", ErrMalformed, 1},
	})
	if err := whole(AppendText(nil, strings.Repeat("a", 1<<20)), roomy); !errors.Is(err, ErrLimit) {
		t.Errorf("1 MiB of text: got %v, want ErrLimit", err)
	}
}

func TestCBR_09_SimpleValues(t *testing.T) {
	for v := range 256 {
		b := []byte{0xf8, byte(v)}
		if v < 24 {
			b = []byte{0xe0 | byte(v)}
		}
		err := whole(b, roomy)
		if known := v == 20 || v == 21 || v == 22; known != (err == nil) {
			t.Errorf("simple value %d: %v", v, err)
		} else if err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("simple value %d: got %v, want ErrMalformed", v, err)
		}
	}
	checkRefused(t, map[string]refusal{
		"half":          {"f9 3c00", ErrMalformed, 0},
		"nan":           {"f9 7e00", ErrMalformed, 0},
		"single":        {"fa 47c35000", ErrMalformed, 0},
		"infinity":      {"fb 7ff0000000000000", ErrMalformed, 0},
		"break":         {"ff", ErrMalformed, 0},
		"break inside":  {"82 00 ff", ErrMalformed, 2},
		"reserved info": {"1c", ErrMalformed, 0},
		"reserved tag":  {"df", ErrMalformed, 0},
		"reserved int":  {"1f", ErrMalformed, 0},
	})
}

func TestFirstErrorStays(t *testing.T) {
	p := New(unhex(t, "18 00 01"), roomy)
	_, first := p.Uint()
	if !errors.Is(first, ErrNotCanonical) {
		t.Fatal(first)
	}
	if _, err := p.Uint(); err != first {
		t.Errorf("second read: got %v, want %v", err, first)
	}
	if err := p.Done(); err != first {
		t.Errorf("Done: got %v, want %v", err, first)
	}
}

func TestZeroLimitsGrantNothing(t *testing.T) {
	if err := whole([]byte{0}, Limits{}); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v, want ErrLimit", err)
	}
	if err := whole([]byte{0x80}, Limits{Size: 1, Items: 1}); !errors.Is(err, ErrLimit) {
		t.Errorf("no depth: got %v, want ErrLimit", err)
	}
	if err := whole([]byte{0x00}, Limits{Size: 1, Depth: 1}); !errors.Is(err, ErrLimit) {
		t.Errorf("no items: got %v, want ErrLimit", err)
	}
}

func TestOffsets(t *testing.T) {
	// The wrapped string begins at byte 2; its second item is not canonical.
	p := New(unhex(t, "81 43 01 1801"), roomy)
	if _, err := p.Array(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Enter(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Uint(); err != nil || p.Offset() != 1 {
		t.Fatalf("offset %d, %v; want 1", p.Offset(), err)
	}
	_, err := p.Uint()
	var place *Error
	if !errors.As(err, &place) || place.Offset != 3 {
		t.Errorf("got %v, want byte 3 of all", err)
	}
}

// CoSWID and COSE do not sort their maps; repeated keys are refused all the same.
func TestCBR_03_Foreign(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want error
	}{
		"unsorted":              {"a2 01 00 00 00", nil},
		"same key, other map":   {"a2 01 a1 00 00 00 a1 00 00", nil},
		"same key, inner map":   {"a1 01 a1 01 00", nil},
		"same key, sibling":     {"82 a1 01 00 a1 01 00", nil},
		"repeated at once":      {"a2 01 00 01 00", ErrMalformed},
		"repeated later":        {"a3 01 00 00 00 01 00", ErrMalformed},
		"repeated after nested": {"a2 01 a1 02 00 01 00", ErrMalformed},
		"repeated array key":    {"a3 81 01 00 00 00 81 01 00", ErrMalformed},
		"long head":             {"a1 18 01 00", ErrNotCanonical},
		"indefinite":            {"bf ff", ErrNotCanonical},
		"short":                 {"a2 01 00", ErrMalformed},
	} {
		p := New(unhex(t, test.in), roomy)
		b, err := p.Foreign()
		if err == nil {
			err = p.Done()
		}
		if !errors.Is(err, test.want) || (test.want == nil && !bytes.Equal(b, unhex(t, test.in))) {
			t.Errorf("%s: got %x, %v; want %v", name, b, err, test.want)
		}
	}
	// What follows is read by the strict rules again.
	p := New(unhex(t, "82 a2 01 00 00 00 a2 01 00 00 00"), roomy)
	if _, err := p.Array(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Foreign(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Raw(); !errors.Is(err, ErrNotCanonical) {
		t.Errorf("after foreign: got %v, want ErrNotCanonical", err)
	}
}

// Who reads a map pair by pair can allow keys that Raw does not; they are compared all the same.
func TestCBR_03_06_Entries(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want error
		at   int
	}{
		"tagged":       {"a2 d825 00 00 d825 01 00", nil, 0},
		"repeated":     {"a2 d825 00 00 d825 00 01", ErrMalformed, 5},
		"unsorted":     {"a2 d825 01 00 d825 00 00", ErrNotCanonical, 5},
		"not the last": {"a3 d825 01 00 d825 00 00 d825 02 00", ErrNotCanonical, 5},
		"long":         {"a2 d825 1901 00 00 d825 1901 01 00", nil, 0},
		"one":          {"a1 d825 00 00", nil, 0},
		"none":         {"a0", nil, 0},
	} {
		p := New(unhex(t, test.in), roomy)
		m, err := p.Map()
		if err != nil {
			t.Fatal(err)
		}
		n, read := m.Len(), 0
		for ; m.Next(p); read++ {
			if _, err := p.Tag(); err != nil {
				t.Fatal(err)
			}
			p.Uint()
			p.End()
			p.Uint()
		}
		if m.Next(p) || m.Len() != n-read {
			t.Errorf("%s: goes on", name)
		}
		err = p.Done()
		var place *Error
		if !errors.Is(err, test.want) || errors.As(err, &place) && place.Offset != test.at {
			t.Errorf("%s: got %v, want %v at byte %d", name, err, test.want, test.at)
		}
		if read != n && test.want == nil {
			t.Errorf("%s: %d of %d pairs", name, read, n)
		}
	}
	// A map that is left before its end is not done.
	p := New(unhex(t, "a1 00 00"), roomy)
	m, _ := p.Map()
	m.Next(p)
	p.Uint()
	p.Uint()
	if err := p.Done(); !errors.Is(err, ErrMalformed) {
		t.Errorf("in a map: %v", err)
	}
}

// A part that was put aside is read later, as deep as it stood.
func TestResume(t *testing.T) {
	// [bstr .cbor [1, [2]], {0: 3, 1: 4}]
	in := unhex(t, "82 44 82 01 81 02 a2 00 03 01 04")
	aside := func(depth int) (*Parser, Part) {
		p := New(in, Limits{Size: 100, Depth: depth, Items: 100})
		p.Array()
		part, err := p.Part()
		if err != nil || part.End() != 6 {
			t.Fatal(part, err)
		}
		_, err = p.Raw()
		if p.End(); err != nil || p.Done() != nil {
			t.Fatal(err)
		}
		p.Resume(part)
		return p, part
	}
	p, part := aside(3)
	if b, err := p.Raw(); err != nil || !bytes.Equal(b, in[2:6]) || p.Done() != nil {
		t.Errorf("got %x, %v", b, err)
	}
	p.Resume(part)
	p.Array()
	if at := p.Offset(); at != 1 {
		t.Errorf("offset %d, want 1", at)
	}
	if err := p.Done(); err == nil {
		t.Error("done inside the part")
	}
	p, _ = aside(2)
	if _, err := p.Raw(); !errors.Is(err, ErrLimit) {
		t.Errorf("too deep there: got %v, want ErrLimit", err)
	}
}

// Parts take frames, too, though not of the depth that is granted.
func TestCBR_01_PartsInParts(t *testing.T) {
	var b []byte
	for range MaxDepth + 1 {
		b = AppendBytes(nil, b)
	}
	p := New(b, roomy)
	for i := range MaxDepth + 1 {
		if _, err := p.Enter(); (err != nil) != (i == MaxDepth) || (err != nil && !errors.Is(err, ErrLimit)) {
			t.Fatalf("part %d: %v", i, err)
		}
	}
}

// sameCost reads in, an array of two byte strings whose content is an array of two integers or strings, under all limits that may matter, and
// takes from the parser what quick does not read. In all of nine items and two levels it has to come to the same end.
func sameCost(t *testing.T, in []byte, quick func(*Parser) bool) {
	t.Helper()
	for items := range 12 {
		for depth := range 4 {
			read := func() error {
				p := New(in, Limits{Size: 100, Depth: depth, Items: items})
				if _, err := p.Array(); err != nil {
					return err
				}
				for range 2 {
					if quick(p) {
						continue
					}
					outer, err := p.Enter()
					if err != nil {
						return err
					}
					if _, err := p.Raw(); err != nil {
						return err
					}
					if err := p.Leave(outer); err != nil {
						return err
					}
				}
				p.End()
				return p.Done()
			}
			want := items >= 9 && depth >= 2
			if err := read(); (err == nil) != want || err != nil && !errors.Is(err, ErrLimit) {
				t.Errorf("%d items, depth %d: %v", items, depth, err)
			}
		}
	}
}

// What is read by its looks counts and nests like what is read item by item.
func TestKnown(t *testing.T) {
	const head = "\x45\x82\x01\x42" // bstr .cbor [1, bstr], of which the last two bytes are not known
	in := unhex(t, "82 45 82 01 42 aabb 45 82 02 42 ccdd")
	sameCost(t, in, func(*Parser) bool { return false })
	sameCost(t, in, func(p *Parser) bool {
		rest, ok := p.Known(head, 2, 2)
		if ok && !bytes.Equal(rest, in[5:7]) {
			t.Fatalf("rest %x", rest)
		}
		return ok
	})
	for _, s := range []string{"", "45", "45 82 01 42 aa", "45 82 01 41 aabb"} {
		p := New(unhex(t, s), roomy)
		if _, ok := p.Known(head, 2, 2); ok || p.Offset() != 0 {
			t.Errorf("%s: known", s)
		}
	}
}

func TestShort(t *testing.T) {
	for s, want := range map[string]bool{"42 0102": true, "42 01": false, "41 01": false, "43 010203": false, "62 6161": false, "": false} {
		p := New(unhex(t, s), roomy)
		b, ok := p.Short(2)
		if ok != want || ok && (!bytes.Equal(b, []byte{1, 2}) || p.Done() != nil) || !ok && p.Offset() != 0 {
			t.Errorf("%s: %x, %v", s, b, ok)
		}
	}
}

// Keys that are skipped are compared where they end, not when the next pair begins: for that they would be read again, with the maps in them, whose
// keys would be read again in turn. It shows in which of two faults is told.
func TestRawComparesKeysAtOnce(t *testing.T) {
	for _, c := range []struct {
		data string
		want error
		text string
	}{
		{"a28100008100", ErrMalformed, "map key repeated"},    // {[0]: 0, [0]: and nothing
		{"a28101008100", ErrNotCanonical, "not sorted"},       // {[1]: 0, [0]: and nothing
		{"a281000081a2810000", ErrMalformed, ""},              // a key within a key ends early
		{"a2810000820000ff", ErrMalformed, ""},                // sorted; the value is none
		{"a28100008200a28100000018", ErrMalformed, ""},        // likewise, deeper
		{"a2810000820000a2810100810000", ErrNotCanonical, ""}, // and the keys of a value
	} {
		if err := whole(unhex(t, c.data), roomy); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v %s", c.data, err, c.want, c.text)
		}
	}
}

// What is looked at as a whole counts and nests like what is read item by item.
func TestFlat(t *testing.T) {
	in := unhex(t, "82 43 82 03 0f 43 82 17 02")
	sameCost(t, in, func(*Parser) bool { return false })
	sameCost(t, in, func(p *Parser) bool {
		items := p.Flat()
		if items != nil {
			p.PassFlat(items)
		}
		return items != nil
	})
	for s, want := range map[string]bool{
		"43 82 03 0f": true, "41 80": true, "57 96" + strings.Repeat("00", 22): true, "42 81 18": true, // not looked at
		"": false, "43": false, "43 82": false, "43 82 03": false, "43 81 18 18": false, "42 82 03 0f": false, "44 82 03 0f 00": false,
		"40": false, "63 82 03 0f": false, "58 18 97" + strings.Repeat("00", 23): false, "42 a0 00": false,
	} {
		p := New(unhex(t, s), roomy)
		if b := p.Flat(); (b != nil) != want || p.Offset() != 0 {
			t.Errorf("%s: %x", s, b)
		}
	}
}

// The quick way through a map ends like the other, whatever the order of its keys.
func TestNextSmall(t *testing.T) {
	quick := func(p *Parser, m *Entries) (int64, bool) {
		if key, ok := m.NextSmall(p); ok {
			return int64(key), true
		}
		return m.NextInt(p)
	}
	slow := func(p *Parser, m *Entries) (int64, bool) {
		if !m.Next(p) {
			return 0, false
		}
		key, err := p.Int()
		return key, err == nil
	}
	read := func(in []byte, next func(*Parser, *Entries) (int64, bool)) string {
		p := New(in, roomy)
		m, _ := p.Map()
		seen := ""
		for key, ok := next(p, &m); ok; key, ok = next(p, &m) {
			v, err := p.Uint()
			seen += fmt.Sprint(key, " at ", m.Key(p), ": ", v, err, "\n")
		}
		return seen + fmt.Sprint(p.Done())
	}
	keys := []string{"00", "01", "17", "1818", "20", "1800", "60", ""} // 0, 1, 23, 24, -1, a long 0, a text, the end
	for _, x := range keys {
		for _, y := range keys {
			for _, z := range keys {
				in := unhex(t, "a3"+x+"02"+y+"03"+z+"04")
				if got, want := read(in, quick), read(in, slow); got != want {
					t.Errorf("%x: got %s, want %s", in, got, want)
				}
			}
		}
	}
}
