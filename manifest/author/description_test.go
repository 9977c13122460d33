// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
)

// Whatever the specifications' examples have, a description can say.
func TestDescribeVectors(t *testing.T) {
	names, err := fs.Glob(vectors.SUIT(), "*/*.cbor")
	if err != nil {
		t.Fatal(err)
	}
	o := manifest.Options{Compat: manifest.CompatUncheckedDependency}
	described := 0
	for _, name := range names {
		b, err := fs.ReadFile(vectors.SUIT(), name)
		if err != nil {
			t.Fatal(err)
		}
		u, err := o.InspectBytes(b)
		if err != nil {
			continue // not an envelope
		}
		e := u.Envelope()
		text, err := author.Describe(e)
		if strings.Contains(name, "severed") {
			if !errors.Is(err, manifest.ErrUnsupported) {
				t.Errorf("%s: got %v, want ErrUnsupported", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		described++
		again, err := author.ParseDescription(text, nil, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again.Authentication = e.Authentication
		if got, err := again.Encode(); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %s\ngives\n%x, %v\nnot\n%x", name, text, got, err, b)
		}
	}
	if described < 30 {
		t.Errorf("%d vectors described", described)
	}
}

const described = `{
  "sequence-number": 4,
  "components": ["00", "757372.62696e"],
  "shared-sequence": [
    {"do": "directive-set-component-index", "index": true},
    {"do": "directive-override-parameters", "parameters": {
      "vendor-identifier": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
      "image-file": "firmware.bin"}},
    {"do": "condition-vendor-identifier", "policy": 15}],
  "install": [
    {"do": "directive-set-component-index", "index": [1, 0]},
    {"do": "directive-override-parameters", "parameters": {"uri": "#firmware"}},
    {"do": "directive-fetch", "policy": 2},
    {"do": "condition-image-match", "policy": 15},
    {"do": "directive-override-parameters", "parameters": {"content-file": "note.txt"}}],
  "severable": ["install"],
  "payloads": {"#firmware": {"file": "firmware.bin"}}
}`

func TestParseDescription(t *testing.T) {
	files := fstest.MapFS{"firmware.bin": {Data: []byte("firmware")}, "note.txt": {Data: []byte("note")}}
	e, err := author.ParseDescription([]byte(described), files, manifest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := e.Manifest
	shared := m.Shared[1].Parameters
	if *shared.ImageSize != 8 || m.Install.Digest == nil || string(m.Install.Sequence[4].Parameters.Content) != "note" || string(e.Payloads[0].Data) != "firmware" {
		t.Errorf("got %+v", e)
	}
	files["firmware.bin"].Data = nil
	if _, err := author.ParseDescription([]byte(described), files, manifest.Options{}); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("empty image: got %v, want ErrMalformed", err)
	}
	if _, err := author.ParseDescription([]byte(described), nil, manifest.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without files: got %v, want ErrNotExist", err)
	}
}

func TestParseDescriptionIsStrict(t *testing.T) {
	const good = `{"sequence-number": 4, "components": ["00"], "validate": [{"do": "condition-image-match"}]}`
	if _, err := author.ParseDescription([]byte(good), nil, manifest.Options{}); err != nil {
		t.Fatal(err)
	}
	with := func(member string) string { return strings.Replace(good, "{", "{"+member+",", 1) }
	command := func(c string) string { return with(`"install": [` + c + `]`) }
	if _, err := author.ParseDescription([]byte(with(`"payloads": {"Install": {"data": "00"}, "#Data": {"data": "00"}}`)), nil, manifest.Options{}); err != nil {
		t.Errorf("keys of payloads are anything: %v", err)
	}
	for name, test := range map[string]struct {
		in   string
		want error
	}{
		"empty":                     {"", manifest.ErrMalformed},
		"not an object":             {"[]", manifest.ErrMalformed},
		"two values":                {good + good, manifest.ErrMalformed},
		"unknown member":            {with(`"sequence": 1`), manifest.ErrMalformed},
		"repeated member":           {with(`"sequence-number": 5`), manifest.ErrMalformed},
		"repeated in payloads":      {with(`"payloads": {"#a": {"data": "00"}, "#a": {"data": "01"}}`), manifest.ErrMalformed},
		"other case":                {with(`"Reference-URI": "http://a/"`), manifest.ErrMalformed},
		"another letter that folds": {with(`"\u017fequence-number": 9`), manifest.ErrMalformed},
		"the same in parameters":    {command(`{"do": "directive-override-parameters", "parameters": {"image-size": 7, "image-\u017fize": 8}}`), manifest.ErrMalformed},
		"other case in a payload":   {with(`"payloads": {"#a": {"Data": "00"}}`), manifest.ErrMalformed},
		"null":                      {"null", manifest.ErrMalformed},
		"null for a number":         {strings.Replace(good, "4", "null", 1), manifest.ErrMalformed},
		"null in a list":            {command(`{"do": "directive-set-component-index", "index": [null]}`), manifest.ErrMalformed},
		"null for a string":         {with(`"reference-uri": null`), manifest.ErrMalformed},
		"no name":                   {with(`"": 1`), manifest.ErrMalformed},
		"deep":                      {with(`"install": ` + strings.Repeat(`[{"do": "directive-run-sequence", "sequences": [`, 100) + strings.Repeat("]}]", 100)), manifest.ErrLimit},
		"long":                      {strings.Repeat(" ", author.MaxDescription) + good, manifest.ErrLimit},
		"unknown command":           {command(`{"do": "directive-format"}`), manifest.ErrUnsupported},
		"reserved command":          {command(`{"do": "-255"}`), manifest.ErrUnsupported},
		"unregistered command":      {command(`{"do": "-256", "custom": {"int": 1}}`), manifest.ErrUnsupported},
		"number of a command":       {command(`{"do": "3"}`), manifest.ErrUnsupported},
		"no parameters":             {command(`{"do": "directive-override-parameters"}`), manifest.ErrCommand},
		"unknown comparison":        {command(`{"do": "directive-override-parameters", "parameters": {"version": {"comparison": "~", "value": [1]}}}`), manifest.ErrUnsupported},
		"unknown severable":         {with(`"severable": ["validation"]`), manifest.ErrUnsupported},
		"not severable":             {with(`"severable": ["validate"]`), manifest.ErrUnsupported},
		"severable and absent":      {with(`"severable": ["install"]`), manifest.ErrComponent},
		"payload without data":      {with(`"payloads": {"#a": {}}`), manifest.ErrMalformed},
		"last number":               {`{"sequence-number": 18446744073709551615, "components": ["00"]}`, manifest.ErrSequence},
		"no components":             {`{"sequence-number": 1}`, manifest.ErrComponent},
		"no sequence number":        {`{"components": ["00"]}`, manifest.ErrMalformed}, // REQUIRED: manifest-37, section 8.4.2
		"text of another component": {with(`"text": [{"language": "en", "of-components": [{"component": "ff", "texts": {"vendor-name": "x"}}]}]`), manifest.ErrComponent},
		"text with two keys of one": {with(`"text": [{"language": "en", "manifest": {"1": "x", "manifest-description": "y"}}]`), manifest.ErrMalformed},
		"unknown text":              {with(`"text": [{"language": "en", "manifest": {"vendor-name": "x"}}]`), manifest.ErrMalformed},
	} {
		if _, err := author.ParseDescription([]byte(test.in), nil, manifest.Options{}); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// An error says where in the description the fault is, and what it is, without a word of Go.
func TestParseDescriptionSaysWhere(t *testing.T) {
	const other = `{"do": "directive-set-component-index", "index": 0}, {"do": "condition-abort"}`
	nested := func(command string) string {
		return `{"do": "directive-try-each", "sequences": [[` + other + `], [` + other + `, ` + command + `]]}`
	}
	for where, in := range map[string]string{
		`install[0].parameters: open none: `:                 `"install": [{"do": "directive-override-parameters", "parameters": {"content-file": "none"}}]`,
		`payloads["#a"]: open none: `:                        `"payloads": {"#a": {"file": "none"}}`,
		`severable[0]: "common" is `:                         `"severable": ["common"]`,
		`text[0]: unknown name "components", expected one`:   `"text": [{"language": "en", "components": []}]`,
		`text[0].manifest: unknown text "vendor-name"`:       `"text": [{"language": "en", "manifest": {"vendor-name": "x"}}]`,
		`manifest-component-id: expected a component ident`:  `"manifest-component-id": 10`,
		`validate[0].policy: expected a whole number from 0`: `"validate": [{"do": "condition-image-match", "policy": "all"}]`,
		`install[0].sequences[1][2].parameters.uri: expecte`: `"install": [` + nested(`{"do": "directive-override-parameters", "parameters": {"uri": 5}}`) + `]`,
		`install[0].sequences[1][2]: directive-fetch takes `: `"install": [` + nested(`{"do": "directive-fetch", "parameters": {"uri": "#a"}}`) + `]`,
		`install[1].do: "directive-format" is no command's `: `"install": [{"do": "condition-abort"}, {"do": "directive-format"}]`,
		// What is refused when it is encoded.
		`validate[1].index: `:                                        `"validate": [{"do": "condition-abort"}, {"do": "directive-set-component-index", "index": "x"}]`,
		`validate[1]: index: component not usable`:                   `"validate": [{"do": "condition-abort"}, {"do": "directive-set-component-index", "index": 7}]`,
		`install[0].sequences[1][2].parameters.uri: byte 0xc3 at 1`:  `"install": [` + nested(`{"do": "directive-override-parameters", "parameters": {"image-size": 1, "uri": "#\u00e9"}}`) + `]`,
		`load[0].parameters.soft-failure: soft-failure outside`:      `"load": [{"do": "directive-override-parameters", "parameters": {"image-size": 1, "soft-failure": true}}]`,
		`shared-sequence[0]: directive-fetch in the shared sequence`: `"shared-sequence": [{"do": "directive-fetch"}]`,
		`invoke[0]: several components, but the section does`:        `"dependencies": [{"index": 1, "prefix": "01"}], "invoke": [{"do": "directive-invoke"}]`,
		`reference-uri: `: `"reference-uri": 5`,
		`text[0].of-components[0].component: the manifest has no comp`: `"text": [{"language": "en", "of-components": [{"component": "ff", "texts": {"vendor-name": "x"}}]}]`,
	} {
		in := `{"sequence-number": 4, "components": ["00"], ` + in + `}`
		if _, err := author.ParseDescription([]byte(in), fstest.MapFS{}, manifest.Options{}); err == nil || !strings.HasPrefix(err.Error(), "description: "+where) ||
			strings.Contains(err.Error(), "Go ") {
			t.Errorf("got %v,\nwant it at %s", err, where)
		}
	}
	for s, want := range map[manifest.Section]string{manifest.MemberText: "text", manifest.MemberCoSWID: "coswid", manifest.SectionInstall: "install"} {
		if s.String() != want {
			t.Errorf("got %v, want %s", s, want)
		}
	}
}

func FuzzParseDescription(f *testing.F) {
	f.Add([]byte(described))
	for _, name := range []string{"manifest/example3.cbor", "trust-domains/example1_process.cbor"} {
		b, err := fs.ReadFile(vectors.SUIT(), name)
		if err != nil {
			f.Fatal(err)
		}
		u, err := manifest.InspectBytes(b)
		if err != nil {
			f.Fatal(err)
		}
		text, err := author.Describe(u.Envelope())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	files := fstest.MapFS{"firmware.bin": {Data: []byte("firmware")}}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := author.ParseDescription(b, files, manifest.Options{})
		if err != nil {
			return
		}
		if _, err := author.Describe(e); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
	})
}
