// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package smalljson reads and writes the few shapes of JSON (RFC 8259) that a small agent needs: structures of strings,
// booleans, integers, nested structures, arrays and slices of these. It takes encoding/json's field tags and is
// stricter: unknown, repeated and differently spelled members are refused, and so is null. Its sole reason is size: encoding/json
// adds 0.3 MB to an agent that needs it for one configuration file.
package smalljson

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrSyntax says that the text is not JSON, or does not fit the value it is read into.
var ErrSyntax = errors.New("unexpected json")

// Unmarshal reads exactly one value from data into *v, which must be a structure. After an error, which names the byte, *v is
// unusable.
func Unmarshal(data []byte, v any) error {
	d := &decoder{data: data}
	err := d.value(reflect.ValueOf(v).Elem())
	if err == nil && d.peek() != 0 {
		err = d.fail("the end")
	}
	return err
}

// A decoder stands at off. How deep it recurses depends on the type that is read into, not on the input.
type decoder struct {
	data []byte
	off  int
}

func (d *decoder) fail(want string) error {
	seen := "the end"
	if d.off < len(d.data) {
		seen = strconv.QuoteRune(rune(d.data[d.off]))
	}
	return fmt.Errorf("byte %d: want %s, got %s: %w", d.off, want, seen, ErrSyntax)
}

// peek skips white space and returns the byte after it, 0 at the end.
func (d *decoder) peek() byte {
	for ; d.off < len(d.data); d.off++ {
		switch c := d.data[d.off]; c {
		case ' ', '\t', '\r', '\n':
		case 0:
			return 1 // not the end, and nothing that fits
		default:
			return c
		}
	}
	return 0
}

func (d *decoder) expect(c byte) error {
	if d.peek() != c {
		return d.fail(strconv.QuoteRune(rune(c)))
	}
	d.off++
	return nil
}

func (d *decoder) value(v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		return d.object(v)
	case reflect.Slice, reflect.Array:
		return d.array(v)
	case reflect.String:
		s, err := d.text()
		v.SetString(s)
		return err
	case reflect.Bool:
		return d.boolean(v)
	}
	return d.integer(v)
}

func (d *decoder) object(v reflect.Value) error {
	if err := d.expect('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for n := 0; ; n++ {
		if d.peek() == '}' && n == 0 {
			break
		}
		start := d.off
		name, err := d.text()
		if err != nil {
			return err
		}
		i := member(v.Type(), name)
		if i < 0 || seen[name] {
			d.off = start
			return d.fail(fmt.Sprintf("another member than %.40q", name))
		}
		seen[name] = true
		if err := d.expect(':'); err != nil {
			return err
		}
		if err := d.value(v.Field(i)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if d.peek() != ',' {
			break
		}
		d.off++
	}
	return d.expect('}')
}

// member returns the index of the field that is called name, or -1.
func member(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if n, _ := tag(t.Field(i)); n == name {
			return i
		}
	}
	return -1
}

// tag returns a field's name and whether it is left out when empty.
func tag(f reflect.StructField) (string, bool) {
	name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, option == "omitempty"
}

func (d *decoder) array(v reflect.Value) error {
	if err := d.expect('['); err != nil {
		return err
	}
	n := 0
	for d.peek() != ']' || n > 0 {
		if v.Kind() == reflect.Slice {
			v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		} else if n == v.Len() {
			return d.fail(fmt.Sprintf("%d elements", v.Len()))
		}
		if err := d.value(v.Index(n)); err != nil {
			return err
		}
		n++
		if d.peek() != ',' {
			break
		}
		d.off++
	}
	if v.Kind() == reflect.Array && n < v.Len() {
		return d.fail(fmt.Sprintf("%d elements", v.Len()))
	}
	return d.expect(']')
}

func (d *decoder) boolean(v reflect.Value) error {
	d.peek()
	for word, value := range map[string]bool{"true": true, "false": false} {
		if strings.HasPrefix(string(d.data[d.off:min(d.off+len(word), len(d.data))]), word) {
			d.off += len(word)
			v.SetBool(value)
			return nil
		}
	}
	return d.fail("true or false")
}

func (d *decoder) integer(v reflect.Value) error {
	d.peek()
	end := d.off
	for end < len(d.data) && strings.IndexByte("-0123456789+.eE", d.data[end]) >= 0 {
		end++
	}
	digits := string(d.data[d.off:end])
	plain := strings.TrimPrefix(digits, "-")
	if strings.HasPrefix(digits, "+") || len(plain) > 1 && plain[0] == '0' {
		return d.fail("an integer without + and leading zeros")
	}
	var err error
	if v.CanUint() {
		var n uint64
		if n, err = strconv.ParseUint(digits, 10, v.Type().Bits()); err == nil {
			v.SetUint(n)
		}
	} else {
		var n int64
		if n, err = strconv.ParseInt(digits, 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
		}
	}
	if err != nil {
		return d.fail(fmt.Sprintf("an integer of %d bits", v.Type().Bits()))
	}
	d.off = end
	return nil
}

func (d *decoder) text() (string, error) {
	if err := d.expect('"'); err != nil {
		return "", err
	}
	var b []byte
	for d.off < len(d.data) {
		switch c := d.data[d.off]; {
		case c == '"':
			if !utf8.Valid(b) {
				return "", d.fail("UTF-8")
			}
			d.off++
			return string(b), nil
		case c < ' ':
			return "", d.fail("text without control characters")
		case c == '\\':
			var err error
			if b, err = d.escape(b); err != nil {
				return "", err
			}
		default:
			b = append(b, c)
			d.off++
		}
	}
	return "", d.fail(`'"'`)
}

// escape appends what the escape sequence at off stands for.
func (d *decoder) escape(b []byte) ([]byte, error) {
	d.off++
	if d.off == len(d.data) {
		return b, d.fail("an escape")
	}
	if i := strings.IndexByte(`"\/bfnrt`, d.data[d.off]); i >= 0 {
		d.off++
		return append(b, "\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := d.unicode()
	if err == nil && utf16.IsSurrogate(r) {
		low := rune(utf8.RuneError)
		if d.off+1 < len(d.data) && d.data[d.off] == '\\' {
			d.off++
			low, err = d.unicode()
		}
		if r = utf16.DecodeRune(r, low); err == nil && r == utf8.RuneError {
			err = d.fail("the second half of a surrogate pair")
		}
	}
	return utf8.AppendRune(b, r), err
}

// unicode reads uXXXX.
func (d *decoder) unicode() (rune, error) {
	if d.off+5 > len(d.data) || d.data[d.off] != 'u' {
		return 0, d.fail("an escape")
	}
	n, err := strconv.ParseUint(string(d.data[d.off+1:d.off+5]), 16, 16)
	if err != nil {
		return 0, d.fail("four hexadecimal digits")
	}
	d.off += 5
	return rune(n), nil
}
