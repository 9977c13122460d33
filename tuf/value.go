// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// value is one JSON value in canonical form, so it is well formed, free of duplicate names and in order: reading it
// needs no further syntax check. What is read is exactly what is signed.
type value []byte

// length returns how many bytes the value at the start of v takes.
func (v value) length() int {
	depth := 0
	for i := 0; i < len(v); i++ {
		switch v[i] {
		case '"':
			i += v[i:].textLength() - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':':
			continue
		default:
			for i+1 < len(v) && bytes.IndexByte([]byte(",:]}"), v[i+1]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(v)
}

// textLength returns how many bytes the string at the start of v takes, quotes included.
func (v value) textLength() int {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(v)
}

// members iterates an object's names and values; nothing if v is no object.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if len(v) == 0 || v[0] != '{' {
			return
		}
		for rest := v[1:]; len(rest) > 0 && rest[0] == '"'; {
			n := rest.textLength()
			name := rest[:n].unquoted()
			rest = rest[n+1:] // the colon
			n = rest.length()
			if !yield(name, rest[:n]) {
				return
			}
			rest = rest[n+1:] // the comma or the end
		}
	}
}

// elements iterates an array; nothing if v is no array.
func (v value) elements() iter.Seq[value] {
	return func(yield func(value) bool) {
		if len(v) < 2 || v[0] != '[' || v[1] == ']' {
			return
		}
		for rest := v[1:]; len(rest) > 0; {
			n := rest.length()
			if !yield(rest[:n]) {
				return
			}
			rest = rest[n+1:]
		}
	}
}

func (v value) unquoted() string {
	text := v[1 : len(v)-1]
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text)
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++
		}
		plain = append(plain, text[i])
	}
	return string(plain)
}

func (v value) is(first byte) bool { return len(v) > 0 && v[0] == first }

func (v value) object(what string) error {
	if !v.is('{') {
		return malformed("%s: object expected", what)
	}
	return nil
}

func (v value) text(what string) (string, error) {
	if !v.is('"') {
		return "", malformed("%s: string expected", what)
	}
	return v.unquoted(), nil
}

// texts reads an array of strings.
func (v value) texts(what string) ([]string, error) {
	if !v.is('[') {
		return nil, malformed("%s: array expected", what)
	}
	var list []string
	for element := range v.elements() {
		text, err := element.text(what)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

func (v value) integer(what string, least int64) (int64, error) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < least {
		return 0, malformed("%s: integer of at least %d expected, seen %.30s", what, least, string(v))
	}
	return n, nil
}

// time reads the one form that section 4.2.3 gives: YYYY-MM-DDTHH:MM:SSZ.
func (v value) time(what string) (time.Time, error) {
	s, err := v.text(what)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", s)
	if err != nil || len(s) != len("2006-01-02T15:04:05Z") {
		return time.Time{}, malformed("%s: YYYY-MM-DDTHH:MM:SSZ expected, seen %.40q", what, s)
	}
	return t, nil
}

// json returns v as JSON, with the control characters that canonical form leaves bare escaped again.
func (v value) json() json.RawMessage {
	out := make([]byte, 0, len(v))
	for _, b := range v {
		if b < 0x20 {
			out = fmt.Appendf(out, `\u%04x`, b)
		} else {
			out = append(out, b)
		}
	}
	return out
}
