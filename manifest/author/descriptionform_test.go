// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
)

// everyName is a description with every name that there is in one, but those of forms that exclude each other.
const everyName = `{
  "sequence-number": 7, "reference-uri": "https://example.com/7.suit", "manifest-component-id": "6d.00",
  "set-version": [1, 2, -1, 1], "digest-algorithm": "sha384", "untagged": true,
  "components": ["00", "757372.62696e"], "dependencies": [{"index": 2, "prefix": "64"}],
  "shared-sequence": [
    {"do": "directive-set-component-index", "index": true},
    {"do": "directive-set-parameters", "parameters": {"vendor-identifier": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe",
      "class-identifier": "1492af14-2569-5e48-bf42-9b2d51f2ab45", "device-identifier": "1492af14-2569-5e48-bf42-9b2d51f2ab45"}},
    {"do": "condition-vendor-identifier", "policy": 15},
    {"do": "directive-override-parameters", "parameters": {"vendor-enterprise-number": "8219", "strict-order": false}}],
  "dependency-resolution": [{"do": "directive-set-component-index", "index": 2}, {"do": "condition-is-dependency"}],
  "payload-fetch": [
    {"do": "directive-set-component-index", "index": [1, 0]},
    {"do": "directive-override-parameters", "parameters": {"image-file": "a", "uri": "#a", "fetch-arguments": "00",
      "component-slot": 1, "source-component": 0, "invoke-args": "01", "use-before": 4102444800, "minimum-battery": 5,
      "update-priority": -1, "version": {"comparison": ">=", "value": [1, 2]},
      "wait-info": {"authorization": 1, "power": 2, "network": 3, "time": 4, "time-of-day": 5, "day-of-week": 6,
        "time-of-day-utc": 7, "day-of-week-utc": 0, "other-device-version": {"device": "01", "versions": [{"comparison": "=", "value": [2]}]}},
      "component-metadata": {"default-permissions": 420, "user-permissions": [{"actor": {"id": 5}, "permissions": 1}],
        "group-permissions": [{"actor": {"name": "staff"}, "permissions": 2}], "role-permissions": [{"actor": {"bytes": "00"}, "permissions": 4}],
        "file-type": 1, "modification-time": 1, "creation-time": 2, "creator": {"uuid": "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe"}},
      "custom-parameters": {"-256": {"text": "x"}, "-257": {"bytes": "00"}, "-258": {"int": 3}, "-259": {"bool": true}}}},
    {"do": "directive-fetch", "policy": 2}],
  "candidate-verification": [{"do": "directive-set-component-index", "index": 0}, {"do": "condition-image-match", "policy": 15}],
  "install": [
    {"do": "directive-set-component-index", "index": 0},
    {"do": "directive-try-each", "nil": true, "sequences": [
      [{"do": "directive-override-parameters", "parameters": {"soft-failure": true, "content": "00"}}],
      [{"do": "directive-override-parameters", "parameters": {"content-file": "a"}}]]},
    {"do": "directive-run-sequence", "sequences": [[{"do": "condition-abort"}]]},
    {"do": "directive-override-multiple", "overrides": [{"index": 1, "parameters": {"image-size": 1,
      "image-digest": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}]},
    {"do": "directive-copy-params", "copies": [{"source": 1, "keys": ["uri", "-256"]}]},
    {"do": "-256", "custom": {"int": 1}}],
  "validate": [{"do": "directive-set-component-index", "index": 0}, {"do": "condition-image-match"}],
  "load": [{"do": "directive-set-component-index", "index": 0}, {"do": "directive-copy"}],
  "invoke": [{"do": "directive-set-component-index", "index": 0}, {"do": "directive-invoke"}],
  "uninstall": [{"do": "directive-set-component-index", "index": 0}, {"do": "directive-unlink"}],
  "coswid": "a0", "severable": ["install", "text"],
  "text": [{"language": "en", "manifest": {"manifest-description": "a", "-1": "b"},
    "of-components": [{"component": "00", "texts": {"vendor-name": "c"}}, {"component": "64", "texts": {"version-required": "d"}}]}],
  "payloads": {"#a": {"file": "a"}, "#b": {"data": "00"}}
}`

// Everything that a description can have is in ParseDescription's documentation, and what that shows is one.
func TestDescriptionFormIsDocumented(t *testing.T) {
	doc := parseDescriptionDoc(t)
	files := fstest.MapFS{"a": {Data: []byte("abc")}, "build/firmware.bin": {Data: []byte("abc")}}
	example, _, _ := strings.Cut(doc[strings.Index(doc, "\t{"):], "\n\t}")
	if _, err := author.ParseDescription([]byte(example+"}"), files, manifest.Options{}); err != nil {
		t.Errorf("the example: %v", err)
	}
	o := manifest.Options{Compat: manifest.CompatUntagged, Registry: manifest.Registry{
		Commands: []manifest.CustomCommand{{Code: -256}}, Parameters: []manifest.ParameterKey{-256, -257, -258, -259}}}
	if _, err := author.ParseDescription([]byte(everyName), files, o); err != nil {
		t.Errorf("with every name: %v", err)
	}
	for _, name := range namesInSource(t) {
		if name != "encryption-info" && !strings.Contains(everyName, strconv.Quote(name)+":") {
			t.Errorf("%q is not tried here", name)
		}
		if !strings.Contains(doc, strconv.Quote(name)) {
			t.Errorf("%q is not documented", name)
		}
	}
	for code := range manifest.Code(64) {
		if name := code.String(); !strings.HasPrefix(name, "command(") && !regexp.MustCompile(`\b`+name+`\b`).MatchString(doc) {
			t.Errorf("%s is not documented", name)
		}
	}
	for k := range int64(16) {
		for _, name := range []fmt.Stringer{manifest.TextKey(k), manifest.ComponentTextKey(k)} {
			if name := name.String(); !strings.HasPrefix(name, "text(") && !strings.Contains(doc, strconv.Quote(name)) {
				t.Errorf("%s is not documented", name)
			}
		}
	}
}

func parseDescriptionDoc(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "description.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "ParseDescription" {
			return fn.Doc.Text()
		}
	}
	t.Fatal("no ParseDescription")
	return ""
}

// namesInSource returns the names that the form's types have.
func namesInSource(t *testing.T) (names []string) {
	t.Helper()
	source, err := os.ReadFile("described.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("`(json:.*)`").FindAllStringSubmatch(string(source), -1) {
		name, _, _ := strings.Cut(reflect.StructTag(m[1]).Get("json"), ",")
		names = append(names, name)
	}
	if len(names) < 80 {
		t.Fatalf("%d names", len(names))
	}
	return names
}
