// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
)

func TestFromYAML(t *testing.T) {
	for _, tt := range []struct{ yaml, json string }{
		{"{\"a\": 1,\n", "{\"a\": 1,\n"}, // as strictly as JSON is read
		{"a: 00\nb: 1e10\nc: 0x10\nd: yes\ne: 1.0\nf: 2026-11-28\ng: 012\nh: -0\ni: +1", `{"a":"00","b":"1e10","c":"0x10","d":"yes","e":"1.0","f":"2026-11-28","g":"012","h":"-0","i":"+1"}`},
		{"a: 18446744073709551615\nb: -5\nc: true\nd: 0", `{"a":18446744073709551615,"b":-5,"c":true,"d":0}`},
		{"a: '1'\nb: \"true\"\nc: |\n  1\n", `{"a":"1","b":"true","c":"1\n"}`},
		{"a:\nb: ~\nc: null\nd: 'null'", `{"a":null,"b":null,"c":null,"d":"null"}`},
		{"1: a\ntrue: b\n~: c", `{"1":"a","true":"b","~":"c"}`},
		{"a: 1\na: 2", `{"a":1,"a":2}`},
		{"a: &x [1, b]\nb: *x\n<<: *x", `{"a":[1,"b"],"b":[1,"b"],"\u003c\u003c":[1,"b"]}`},
		{"[[], {}]", "[[],{}]"},
	} {
		if got, err := fromYAML([]byte(tt.yaml)); err != nil || string(got) != tt.json {
			t.Errorf("%q is %s, %v; want %s", tt.yaml, got, err, tt.json)
		}
	}
}

// The example that firmctl prints is one: it makes an envelope that runs, and that is described by what makes the same.
func TestManifestExample(t *testing.T) {
	t.Chdir(t.TempDir())
	people(t, "author")
	var stdout, stderr bytes.Buffer
	if exit := run(t.Context(), []string{"manifest", "example"}, &stdout, &stderr); exit != 0 {
		t.Fatalf("exit %d: %s", exit, &stderr)
	}
	keep(t, "description.yaml", stdout.Bytes())
	keep(t, "firmware.bin", []byte("firmware"))
	succeed(t, nil, "create", "description.yaml", "--out", "a.suit")
	succeed(t, nil, "sign", "a.suit", "--key", "author.pem", "--out", "signed.suit")
	succeed(t, nil, "run", "signed.suit", "--key", "author.pub.pem", "--out", t.TempDir(), "--section", "payload-fetch", "--section", "install", "--section", "validate",
		"--vendor-id", "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", "--class-id", "1492af14-2569-5e48-bf42-9b2d51f2ab45")
	stdout.Reset()
	if exit := run(t.Context(), []string{"manifest", "inspect", "--description", "signed.suit"}, &stdout, &stderr); exit != 0 {
		t.Fatalf("exit %d: %s", exit, &stderr)
	}
	keep(t, "again.json", stdout.Bytes())
	succeed(t, nil, "create", "again.json", "--out", "b.suit")
	a, errA := os.ReadFile("a.suit")
	b, errB := os.ReadFile("b.suit")
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v, %v: described, it is another envelope", errA, errB)
	}
	keep(t, "wrong.yaml", []byte("sequence-number: 1\ncomponents: [10]\n"))
	stderr.Reset()
	if exit := run(t.Context(), []string{"manifest", "create", "wrong.yaml", "--out", "c.suit"}, &stdout, &stderr); exit != 2 ||
		!strings.Contains(stderr.String(), "components[0]: expected a component identifier") || !strings.Contains(stderr.String(), "manifest example") {
		t.Errorf("exit %d: %s", exit, &stderr)
	}
}

// What run refuses, or what nothing uses, create says (CMD-11).
func TestManifestCreateNotes(t *testing.T) {
	t.Chdir(t.TempDir())
	keep(t, "a.json", []byte(`{"sequence-number": 1, "components": ["00"], "install": [
		{"do": "directive-try-each", "nil": true, "sequences": [
			[{"do": "directive-override-parameters", "parameters": {"uri": "#there"}}, {"do": "directive-fetch"}],
			[{"do": "directive-override-multiple", "overrides": [{"index": 0, "parameters": {"uri": "#missing"}}]}, {"do": "directive-fetch"}]]}],
		"payloads": {"#there": {"data": "00"}, "#unused": {"data": "00"}}}`))
	var said wrote
	succeed(t, &said, "create", "a.json", "--out", "a.suit")
	if text := strings.Join(said.Notes, "\n"); len(said.Notes) != 2 || !strings.Contains(text, `the uri "#missing"`) || !strings.Contains(text, `the payload "#unused"`) {
		t.Errorf("got %q", said.Notes)
	}
}

func TestFromYAMLRefuses(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		before := string(name[0] - 1)
		laughs.WriteString("a" + name + ": &a" + name + " [" + strings.Repeat("*a"+before+", ", 10) + "]\n")
	}
	for name, tt := range map[string]struct {
		yaml string
		want error
		says string
	}{
		"nothing":           {"# only this\n", manifest.ErrMalformed, "nothing is in it"},
		"no YAML":           {"a: [", manifest.ErrMalformed, "yaml: line"},
		"two documents":     {"a: 1\n---\nb: 2", manifest.ErrMalformed, "more than one document"},
		"a tag":             {"a: 1\nb: !!binary aGk=", manifest.ErrMalformed, "line 2: tag"},
		"a list as a name":  {"a: 1\n[b]: 1", manifest.ErrMalformed, "line 2: a name"},
		"an alias of none":  {"a: *b", manifest.ErrMalformed, "'b'"},
		"an alias in it":    {"a: &a [*a]", manifest.ErrLimit, "nested"},
		"repeated for long": {laughs.String(), manifest.ErrLimit, "longer than"},
		"deep":              {strings.Repeat("[", 200) + strings.Repeat("]", 200), manifest.ErrLimit, "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := fromYAML([]byte(tt.yaml))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%.60q, %v; want %v, %q", b, err, tt.want, tt.says)
			}
			if len(b) > author.MaxDescription {
				t.Errorf("%d bytes", len(b))
			}
		})
	}
}
