// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// parse reads metadata to be edited into m. Fields that nobody here knows stay as they are, integers above 2^53 included.
func parse[T metadata.Roles](m *metadata.Metadata[T], data []byte) (*metadata.Metadata[T], error) {
	m, err := m.FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %v", err)
	}
	signed := reflect.ValueOf(&m.Signed)
	if !hasUnrecognized(signed) {
		return m, nil
	}
	var exact struct {
		Signed any `json:"signed"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&exact); err != nil {
		return nil, fmt.Errorf("read metadata: %v", err)
	}
	restoreUnrecognized(signed, exact.Signed)
	return m, nil
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
