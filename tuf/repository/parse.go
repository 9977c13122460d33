// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// ErrAmbiguous means that metadata has a member whose name some readers take for another, such as "Targets" for "targets", or something else that is lost
// on the way: were it changed and signed anew, clients would be told what nobody published.
var ErrAmbiguous = errors.New("metadata that not all readers take for the same")

// parse reads metadata to be edited into m. Fields that nobody here knows stay as they are, integers above 2^53 included. Errors: ErrAmbiguous.
func parse[T metadata.Roles](m *metadata.Metadata[T], data []byte) (*metadata.Metadata[T], error) {
	m, err := m.FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %v", err)
	}
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("read metadata: %v", err)
	}
	if signed := reflect.ValueOf(&m.Signed); hasUnrecognized(signed) {
		exact, err := decode(file["signed"])
		if err != nil {
			return nil, fmt.Errorf("read metadata: %v", err)
		}
		restoreUnrecognized(signed, exact)
	}
	if err := checkKept(file["signed"], m.Signed); err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	return m, nil
}

func decode(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// checkKept returns ErrAmbiguous unless signed, written again, is what was read. encoding/json, with which go-tuf reads, takes names in other letters for
// the same and keeps the last one; clients take names as they are.
func checkKept(read []byte, signed any) error {
	written, err := json.Marshal(signed)
	if err != nil {
		return fmt.Errorf("encode metadata: %v", err)
	}
	before, err := tuf.Canonical(read)
	if err != nil {
		return err
	}
	if after, err := tuf.Canonical(written); err == nil && bytes.Equal(before, after) {
		return nil
	}
	was, err := decode(read)
	if err != nil {
		return err
	}
	is, err := decode(written)
	if err != nil {
		return err
	}
	if at := lost(was, is, "signed"); at != "" {
		return fmt.Errorf("%w: %.200q", ErrAmbiguous, at)
	}
	return nil
}

// lost returns where two JSON values say different things, "" if they do not. A member that only one has says nothing if it is null, false, 0 or empty: some
// write it, some do not.
func lost(was, is any, at string) string {
	switch was := was.(type) {
	case map[string]any:
		is, ok := is.(map[string]any)
		if !ok {
			return at
		}
		for name, v := range was {
			if now, there := is[name]; !there && !blank(v) {
				return at + "." + name
			} else if there {
				if at := lost(v, now, at+"."+name); at != "" {
					return at
				}
			}
		}
		for name, v := range is {
			if _, there := was[name]; !there && !blank(v) {
				return at + "." + name
			}
		}
		return ""
	case []any:
		is, ok := is.([]any)
		if !ok || len(was) != len(is) {
			return at
		}
		for i := range was {
			if at := lost(was[i], is[i], fmt.Sprintf("%s.%d", at, i)); at != "" {
				return at
			}
		}
		return ""
	}
	if was != is {
		return at
	}
	return ""
}

func blank(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || v == false || v == "" || v == json.Number("0")
}

const unrecognizedFields = "UnrecognizedFields"

// hasUnrecognized reports whether a value of go-tuf's types holds a field that it does not know, however deep.
func hasUnrecognized(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil() && hasUnrecognized(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == unrecognizedFields && v.Field(i).Len() > 0 || f.Name != unrecognizedFields && f.IsExported() && hasUnrecognized(v.Field(i)) {
				return true
			}
		}
	case reflect.Map:
		if v.Type().Elem().Kind() != reflect.Pointer {
			return false
		}
		for entries := v.MapRange(); entries.Next(); {
			if hasUnrecognized(entries.Value()) {
				return true
			}
		}
	case reflect.Slice:
		for i := 0; v.Type().Elem().Kind() == reflect.Struct && i < v.Len(); i++ {
			if hasUnrecognized(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

// restoreUnrecognized puts the fields that go-tuf does not know into v as exact, the same JSON, has them.
func restoreUnrecognized(v reflect.Value, exact any) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			restoreUnrecognized(v.Elem(), exact)
		}
	case reflect.Struct:
		object, _ := exact.(map[string]any)
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == unrecognizedFields {
				fields, _ := v.Field(i).Interface().(map[string]any)
				for name := range fields {
					fields[name] = object[name]
				}
				continue
			}
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && object[name] != nil {
				restoreUnrecognized(v.Field(i), object[name])
			}
		}
	case reflect.Map:
		object, _ := exact.(map[string]any)
		if v.Type().Elem().Kind() != reflect.Pointer {
			return
		}
		for entries := v.MapRange(); entries.Next(); {
			restoreUnrecognized(entries.Value(), object[entries.Key().String()])
		}
	case reflect.Slice:
		list, _ := exact.([]any)
		for i := 0; v.Type().Elem().Kind() == reflect.Struct && i < min(v.Len(), len(list)); i++ {
			restoreUnrecognized(v.Index(i), list[i])
		}
	}
}
