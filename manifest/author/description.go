// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// MaxDescription bounds a description, in bytes.
const MaxDescription = 4 << 20

// ParseDescription builds an envelope, unsigned, from a JSON description, so that an author
// writes no Go. Everything in a description has the specification's name, without "suit-":
//
//	{
//	  "sequence-number": 3,
//	  "components": ["00"],
//	  "shared-sequence": [
//	    {"do": "directive-override-parameters", "parameters": {
//	      "vendor-identifier": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
//	      "class-identifier": "1492af14-2569-5e48-bf42-9b2d51f2ab45",
//	      "image-file": "build/firmware.bin"}},
//	    {"do": "condition-vendor-identifier", "policy": 15},
//	    {"do": "condition-class-identifier", "policy": 15}],
//	  "install": [
//	    {"do": "directive-override-parameters", "parameters": {"uri": "#firmware"}},
//	    {"do": "directive-fetch", "policy": 2},
//	    {"do": "condition-image-match", "policy": 15}],
//	  "validate": [{"do": "condition-image-match", "policy": 15}],
//	  "severable": ["install"],
//	  "payloads": {"#firmware": {"file": "build/firmware.bin"}}
//	}
//
// Component identifiers are as manifest.ComponentID.String writes them, byte strings
// are hexadecimal, digests "sha256:" and hexadecimal. "image-file" stands for image-digest and image-size
// of a file, "content-file" for content; files are read from files, which may be nil if
// there are none. firmctl manifest create takes the same in YAML.
//
// The form is strict: an unknown or repeated name, or null, is manifest.ErrMalformed. What is
// described wrongly is refused with the errors of manifest.Envelope.Encode. The same description
// and files give the same bytes.
func ParseDescription(description []byte, files fs.FS, o manifest.Options) (*manifest.Envelope, error) {
	e, err := parseDescription(description, files, o)
	if err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return e, nil
}

func parseDescription(b []byte, files fs.FS, o manifest.Options) (*manifest.Envelope, error) {
	if len(b) > MaxDescription {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", manifest.ErrLimit, len(b), MaxDescription)
	}
	if err := checkNames(b); err != nil {
		return nil, err
	}
	var d description
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %v", manifest.ErrMalformed, err)
	}
	e, err := d.envelope(&describedFiles{files}, o)
	if err != nil {
		return nil, err
	}
	return normal(e)
}

// Describe is the reverse of ParseDescription: the description that gives e, without its authentication
// blocks. Files become what is in them. Error: manifest.ErrUnsupported if e has what a
// description cannot say, such as a severed member.
func Describe(e *manifest.Envelope) ([]byte, error) {
	out, err := json.MarshalIndent(describe(e), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe: %v", err)
	}
	want := *e
	want.Authentication = nil
	again, err := ParseDescription(out, nil, e.Options)
	if err != nil {
		return nil, fmt.Errorf("describe: %w: %v", manifest.ErrUnsupported, err)
	}
	x, errX := want.Encode()
	y, errY := again.Encode()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		return nil, fmt.Errorf("describe: %w: a description does not give the same bytes", manifest.ErrUnsupported)
	}
	return append(out, '\n'), nil
}

// checkNames refuses repeated names, names that are not exactly a member's where encoding/json would
// fold them into one, and null, which it would take for zero.
func checkNames(b []byte) error {
	in := json.NewDecoder(bytes.NewReader(b))
	if err := checkValue(in, 0, reflect.TypeFor[description]()); err != nil {
		return err
	}
	if _, err := in.Token(); err != io.EOF {
		return fmt.Errorf("%w: more than one value", manifest.ErrMalformed)
	}
	return nil
}

const maxDescriptionDepth = 64

// checkValue checks a value that is to be a t, nil if it cannot be right.
func checkValue(in *json.Decoder, depth int, t reflect.Type) error {
	token, err := in.Token()
	if err != nil {
		return fmt.Errorf("%w: %v", manifest.ErrMalformed, err)
	}
	if token == nil {
		return fmt.Errorf("%w: null", manifest.ErrMalformed)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDescriptionDepth {
		return fmt.Errorf("%w: nested deeper than %d", manifest.ErrLimit, depth)
	}
	seen := make(map[string]bool)
	for in.More() {
		name := ""
		if delim == '{' {
			token, err := in.Token()
			if err != nil {
				return fmt.Errorf("%w: %v", manifest.ErrMalformed, err)
			}
			name, _ = token.(string)
			if seen[name] {
				return fmt.Errorf("%w: %.80q is there twice", manifest.ErrMalformed, name)
			}
			seen[name] = true
		}
		inner, ok := within(t, delim == '{', name)
		if !ok {
			return fmt.Errorf("%w: unknown name %.80q", manifest.ErrMalformed, name)
		}
		if err := checkValue(in, depth+1, inner); err != nil {
			return err
		}
	}
	if _, err := in.Token(); err != nil { // the end of it
		return fmt.Errorf("%w: %v", manifest.ErrMalformed, err)
	}
	return nil
}

// within returns the type of what a t has under name, or in a list; nil if t is none such, which is refused later. False: an
// object has no such member.
func within(t reflect.Type, object bool, name string) (inner reflect.Type, ok bool) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == nil:
		return nil, true
	case object && t.Kind() == reflect.Map, !object && t.Kind() == reflect.Slice:
		return t.Elem(), true
	case !object || t.Kind() != reflect.Struct:
		return nil, true
	}
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name && name != "" {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

// describedFiles is where descriptions find files.
type describedFiles struct{ fsys fs.FS }

func (f *describedFiles) open(name string) (fs.File, error) {
	if f.fsys == nil {
		return nil, fmt.Errorf("file %s: %w", name, fs.ErrNotExist)
	}
	return f.fsys.Open(name)
}

// image returns the digest and size of a file of any size.
func (f *describedFiles) image(name string) (d verify.Digest, size uint64, err error) {
	file, err := f.open(name)
	if err != nil {
		return d, 0, err
	}
	defer file.Close()
	d, n, err := verify.SumReader(verify.SHA256, file)
	return d, uint64(n), err
}

// content returns a file that goes into the envelope.
func (f *describedFiles) content(name string) ([]byte, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, manifest.MaxEnvelopeSize+1))
	if err == nil && len(b) > manifest.MaxEnvelopeSize {
		err = fmt.Errorf("file %s: %w: more than %d bytes", name, manifest.ErrLimit, manifest.MaxEnvelopeSize)
	}
	return b, err
}
