// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/tuf"
)

func TestCanonical(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"members sorted", ` { "b" : 1 , "a" : [ true , null , false ] } `, `{"a":[true,null,false],"b":1}`},
		{"nested", `{"z":{"y":{},"x":[]},"a":""}`, `{"a":"","z":{"x":[],"y":{}}}`},
		{"escapes undone", `"\u0041\/\n\t\u00e9\ud83d\ude00"`, "\"A/\n\té😀\""},
		{"quote and backslash", `"\"\\\u0022\u005c"`, `"\"\\\"\\"`},
		{"integers as they are", `[0,-1,9007199254740993,123456789012345678901234567890]`, `[0,-1,9007199254740993,123456789012345678901234567890]`},
		{"names by character, not by escape", `{"a#":1,"a\"":2,"a":3}`, `{"a":3,"a\"":2,"a#":1}`},
		{"names by code point", `{"é":1,"z":2,"😀":3,"\uffee":4}`, "{\"z\":2,\"é\":1,\"\uffee\":4,\"😀\":3}"},
	} {
		got, err := tuf.Canonical([]byte(c.in))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
		}
		again, err := tuf.Canonical([]byte(strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(string(got))))
		if err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: canonical form of the canonical form: %s, %v", c.name, again, err)
		}
	}
}

func TestTUF_20_CanonicalRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                "",
		"nothing":              "  ",
		"trailing":             "{} {}",
		"duplicate name":       `{"a":1,"a":1}`,
		"duplicate by escape":  `{"a":1,"\u0061":2}`,
		"duplicate unsorted":   `{"b":1,"a":1,"b":2}`,
		"fraction":             "1.0",
		"exponent":             "1e3",
		"minus zero":           "-0",
		"leading zero":         "01",
		"plus":                 "+1",
		"lone minus":           "-",
		"bare word":            "nul",
		"comma at end":         "[1,]",
		"comma in object":      `{"a":1,}`,
		"no colon":             `{"a" 1}`,
		"no comma":             `[1 2]`,
		"name no string":       `{1:2}`,
		"open array":           "[",
		"open object":          `{"a":`,
		"open string":          `"abc`,
		"open escape":          `"abc\`,
		"unknown escape":       `"\x"`,
		"short escape":         `"\u12"`,
		"bad hex":              `"\u12g4"`,
		"lone high surrogate":  `"\ud83d"`,
		"lone low surrogate":   `"\ude00"`,
		"high surrogate twice": `"\ud83d\ud83d"`,
		"control character":    "\"a\nb\"",
		"not utf-8":            "\"\xff\"",
		"surrogate in utf-8":   "\"\xed\xa0\x80\"",
		"byte order mark":      "\ufeff{}",
		"9000 arrays":          strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"9000 objects":         strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
	} {
		if got, err := tuf.Canonical([]byte(in)); !errors.Is(err, tuf.ErrMalformed) {
			t.Errorf("%s: got %q, %v, want ErrMalformed", name, got, err)
		}
	}
	deepest := strings.Repeat("[", tuf.MaxDepth) + "1" + strings.Repeat("]", tuf.MaxDepth)
	if _, err := tuf.Canonical([]byte(deepest)); err != nil {
		t.Errorf("depth %d: %v", tuf.MaxDepth, err)
	}
}

// FuzzCanonical: what is accepted has the meaning that encoding/json sees, and its canonical form is a fixed point.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{"b":[1,{"c":"\u00e9\n"}],"a":null}`, `"\ud83d\ude00"`, `{"a":1,"a":2}`, `[1.5]`, `{"\"":1,"#":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := tuf.Canonical(in)
		if err != nil {
			return
		}
		if len(out) > len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		var escaped []byte
		for _, b := range out {
			if b < 0x20 {
				escaped = append(escaped, `\u00`...)
				escaped = append(escaped, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
			} else {
				escaped = append(escaped, b)
			}
		}
		if again, err := tuf.Canonical(escaped); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("canonical form %q is no fixed point: %q, %v", out, again, err)
		}
		if !equalJSON(t, in, escaped) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func equalJSON(t *testing.T, a, b []byte) bool {
	var texts [2][]byte
	for i, data := range [][]byte{a, b} {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = text
	}
	return bytes.Equal(texts[0], texts[1])
}
