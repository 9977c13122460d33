// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package smalljson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/smalljson"
)

type inner struct {
	Words []string `json:"words,omitempty"`
	Count int      `json:"count,omitempty"`
}

type outer struct {
	Text  string    `json:"text"`
	Big   uint64    `json:"big"`
	Small int64     `json:"small"`
	On    bool      `json:"on"`
	Pair  [2]string `json:"pair"`
	Inner inner     `json:"inner"`
	List  []inner   `json:"list,omitempty"`
}

var full = outer{"a\"\\\n\x01é😀</", 1<<64 - 1, -1 << 63, true, [2]string{"x", ""}, inner{[]string{"", "b"}, 3}, []inner{{}, {nil, -1}}}

// TestAgainstEncodingJSON: each reads what the other wrote.
func TestAgainstEncodingJSON(t *testing.T) {
	for _, want := range []outer{{}, full} {
		ours, err := smalljson.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got outer
		if err := json.Unmarshal(ours, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("encoding/json read %s as %+v, %v", ours, got, err)
		}
		theirs, err := json.MarshalIndent(want, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got = outer{}
		if err := smalljson.Unmarshal(theirs, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("smalljson read %s as %+v, %v", theirs, got, err)
		}
	}
	if _, err := smalljson.Marshal(map[string]int{}); !errors.Is(err, smalljson.ErrSyntax) {
		t.Errorf("map: got %v, want %v", err, smalljson.ErrSyntax)
	}
}

func TestRefusals(t *testing.T) {
	for name, text := range map[string]string{
		"empty":             ``,
		"not an object":     `[]`,
		"null":              `null`,
		"unclosed":          `{"text":"a"`,
		"trailing comma":    `{"text":"a",}`,
		"trailing value":    `{} {}`,
		"trailing zero":     "{}\x00",
		"unknown member":    `{"other":1}`,
		"other case":        `{"Text":"a"}`,
		"repeated member":   `{"text":"a","text":"b"}`,
		"null member":       `{"text":null}`,
		"wrong type":        `{"text":1}`,
		"fraction":          `{"small":1.0}`,
		"exponent":          `{"small":1e2}`,
		"leading zero":      `{"small":01}`,
		"plus":              `{"small":+1}`,
		"overflow":          `{"big":18446744073709551616}`,
		"negative unsigned": `{"big":-1}`,
		"boolean":           `{"on":yes}`,
		"short array":       `{"pair":["a"]}`,
		"long array":        `{"pair":["a","b","c"]}`,
		"array comma":       `{"pair":["a","b",]}`,
		"control":           "{\"text\":\"\n\"}",
		"bad escape":        `{"text":"\x"}`,
		"half escape":       `{"text":"\`,
		"short unicode":     `{"text":"\u12"}`,
		"half surrogate":    `{"text":"\ud83d"}`,
		"wrong surrogate":   `{"text":"\ud83d\u0041"}`,
		"not UTF-8":         "{\"text\":\"\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			var v outer
			if err := smalljson.Unmarshal([]byte(text), &v); !errors.Is(err, smalljson.ErrSyntax) {
				t.Errorf("got %v, want %v", err, smalljson.ErrSyntax)
			}
		})
	}
}

// FuzzUnmarshal: never panics, and what is accepted encoding/json reads alike.
func FuzzUnmarshal(f *testing.F) {
	b, err := json.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"text":"\ud83d\ude00\/","pair":["",""]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want outer
		if smalljson.Unmarshal(data, &got) != nil {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("encoding/json refuses: %v", err)
		}
		a, aerr := json.Marshal(got)
		b, berr := json.Marshal(want)
		if aerr != nil || berr != nil || string(a) != string(b) {
			t.Fatalf("got %s, want %s", a, b)
		}
	})
}
