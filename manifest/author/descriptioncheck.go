// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

const maxDescriptionDepth = 64

// checker reads a description beside the types that it is to have, before encoding/json does. It refuses repeated
// names, names that are not exactly a member's where encoding/json would fold them into one, and null, which
// that would take for zero; and it says where what is wrong stands, in the description's words.
type checker struct {
	in   *json.Decoder
	path []string // of the value that is read
}

func checkDescription(b []byte) error {
	c := checker{in: json.NewDecoder(bytes.NewReader(b))}
	c.in.UseNumber()
	if err := c.value(reflect.TypeFor[description]()); err != nil {
		return err
	}
	if _, err := c.in.Token(); err != io.EOF {
		return c.refuse(manifest.ErrMalformed, "more than one value")
	}
	return nil
}

func (c *checker) refuse(class error, format string, args ...any) error {
	return at(c.path, fmt.Errorf(format+": %w", append(args, class)...))
}

// at puts a path in front of an error.
func at(path []string, err error) error {
	if len(path) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(strings.Join(path, ""), "."), err)
}

func (c *checker) value(t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	token, err := c.in.Token()
	if err != nil {
		return c.refuse(manifest.ErrMalformed, "not JSON: %v", err)
	}
	if token == nil {
		return c.refuse(manifest.ErrMalformed, "null, expected %s", form(t))
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return c.scalar(token, t)
	}
	if len(c.path) >= maxDescriptionDepth {
		return c.refuse(manifest.ErrLimit, "nested deeper than %d", maxDescriptionDepth)
	}
	if delim == '[' {
		return c.list(t)
	}
	return c.object(t)
}

// scalar checks a value by decoding it.
func (c *checker) scalar(token json.Token, t reflect.Type) error {
	b, err := json.Marshal(token)
	if err == nil {
		err = json.Unmarshal(b, reflect.New(t).Interface())
	}
	if err != nil {
		return c.refuse(manifest.ErrMalformed, "expected %s, seen %.80s", form(t), b)
	}
	return nil
}

func (c *checker) list(t reflect.Type) error {
	inner := reflect.TypeFor[uint64]()
	switch {
	case t == reflect.TypeFor[describedIndex]():
	case t.Kind() == reflect.Slice && !isLeaf(t):
		inner = t.Elem()
	default:
		return c.refuse(manifest.ErrMalformed, "expected %s, seen a list", form(t))
	}
	for i := 0; c.in.More(); i++ {
		if err := c.within(fmt.Sprintf("[%d]", i), inner); err != nil {
			return err
		}
	}
	return c.end()
}

func (c *checker) object(t reflect.Type) error {
	if isLeaf(t) || t.Kind() != reflect.Map && t.Kind() != reflect.Struct {
		return c.refuse(manifest.ErrMalformed, "expected %s, seen an object", form(t))
	}
	seen := make(map[any]bool)
	for c.in.More() {
		token, err := c.in.Token()
		if err != nil {
			return c.refuse(manifest.ErrMalformed, "not JSON: %v", err)
		}
		name, _ := token.(string)
		key, inner, err := member(t, name)
		if err != nil {
			return c.refuse(manifest.ErrMalformed, "%w", err)
		}
		if seen[key] {
			return c.refuse(manifest.ErrMalformed, "%.80q is there twice", name)
		}
		seen[key] = true
		step := "." + name
		if t.Kind() == reflect.Map && t.Key().Kind() == reflect.String {
			step = fmt.Sprintf("[%.80q]", name)
		}
		if err := c.within(step, inner); err != nil {
			return err
		}
	}
	return c.end()
}

func (c *checker) within(step string, t reflect.Type) error {
	c.path = append(c.path, step)
	err := c.value(t)
	c.path = c.path[:len(c.path)-1]
	return err
}

// end reads the end of a list or object.
func (c *checker) end() error {
	if _, err := c.in.Token(); err != nil {
		return c.refuse(manifest.ErrMalformed, "not JSON: %v", err)
	}
	return nil
}

// member returns what a name of an object stands for, and the type of what a t has under it.
func member(t reflect.Type, name string) (key any, inner reflect.Type, err error) {
	if t.Kind() == reflect.Map {
		k := reflect.New(t.Key())
		if text, ok := k.Interface().(encoding.TextUnmarshaler); ok {
			err := text.UnmarshalText([]byte(name))
			return k.Elem().Interface(), t.Elem(), err
		}
		return name, t.Elem(), nil
	}
	var names []string
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name {
			return name, t.Field(i).Type, nil
		}
		names = append(names, tag)
	}
	return nil, nil, fmt.Errorf("unknown name %.80q, expected one of %s", name, strings.Join(names, ", "))
}

// isLeaf reports whether a value of type t has a form of its own.
func isLeaf(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || p.Implements(reflect.TypeFor[json.Unmarshaler]())
}

// form says what a value of type t looks like.
func form(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[describedUUID]():
		return `a UUID such as "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"`
	case reflect.TypeFor[describedID]():
		return `a component identifier (hexadecimal, in quotes, its parts joined by dots, such as "00" or "757372.62696e")`
	case reflect.TypeFor[hexBytes]():
		return "bytes (hexadecimal, in quotes)"
	case reflect.TypeFor[verify.Digest]():
		return `a digest such as "sha256:" and 64 lower-case hexadecimal digits`
	case reflect.TypeFor[describedIndex]():
		return "an index, a list of indices or true"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text (in quotes)"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Int64:
		return "a whole number"
	}
	return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
}
