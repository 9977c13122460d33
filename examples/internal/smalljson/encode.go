// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package smalljson

import (
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// Marshal returns v, a structure, as JSON on one line. Bytes that are not UTF-8 become U+FFFD.
func Marshal(v any) ([]byte, error) { return appendValue(nil, reflect.ValueOf(v)) }

func appendValue(b []byte, v reflect.Value) ([]byte, error) {
	switch {
	case v.Kind() == reflect.Struct:
		return appendObject(b, v)
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		return appendArray(b, v)
	case v.Kind() == reflect.String:
		return appendText(b, v.String()), nil
	case v.Kind() == reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case v.CanUint():
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case v.CanInt():
		return strconv.AppendInt(b, v.Int(), 10), nil
	}
	return b, fmt.Errorf("no JSON for %s: %w", v.Kind(), ErrSyntax)
}

func appendObject(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '{')
	n := 0
	for i := range v.NumField() {
		name, omit := tag(v.Type().Field(i))
		if f := v.Field(i); omit && (f.IsZero() || f.Kind() == reflect.Slice && f.Len() == 0) {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		if b, err = appendValue(b, v.Field(i)); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendArray(b []byte, v reflect.Value) (_ []byte, err error) {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v.Index(i)); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
