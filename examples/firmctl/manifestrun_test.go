// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// people makes key pairs NAME.pem and NAME.pub.pem in the working directory.
func people(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		signer, err := verify.GenerateKey(verify.P256)
		if err != nil {
			t.Fatal(err)
		}
		private, err := verify.MarshalPrivateKeyPEM(signer)
		if err != nil {
			t.Fatal(err)
		}
		public, err := signer.Public().MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		keep(t, name+".pem", private)
		keep(t, name+".pub.pem", public)
	}
}

// signed makes the signed envelope NAME.suit of a description.
func signed(t *testing.T, name, description string) (digest string) {
	t.Helper()
	keep(t, name+".json", []byte(description))
	var made wrote
	succeed(t, &made, "create", name+".json", "--out", name+".suit")
	succeed(t, nil, "sign", name+".suit", "--key", "author.pem", "--out", name+".suit")
	return made.Digest
}

// What is refused and what is aborted has the name of a sentinel and the reason that a report would give, whatever it is.
func TestRunSentinels(t *testing.T) {
	t.Chdir(t.TempDir())
	people(t, "author", "other")
	keep(t, "foo", []byte("foo"))
	const match = `{"do": "directive-override-parameters", "parameters": {"image-file": "foo"}}, {"do": "condition-image-match"}`
	const told = `{"do": "directive-override-parameters", "parameters": {"uri": "u",
		"image-digest": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}}`
	for _, tt := range []struct {
		name, members string
		flags         []string
		want          ran
	}{
		{"nothing to run", `"uninstall": [{"do": "condition-abort"}]`, nil, ran{Result: "refused", Error: "processor.ErrAbsent", Reason: 11, Offset: -1}},
		{"another image", `"validate": [` + match + `]`, nil, ran{Result: "aborted", Error: "manifest.ErrCondition", Reason: 10, Section: "validate", Offset: 44, Component: "00"}},
		{"its image", `"validate": [` + match + `]`, []string{"--component", "00=foo"}, ran{Result: "ok", Offset: -1}},
		{"its image, without its size", `"payload-fetch": [` + told + `, {"do": "directive-fetch"}], "validate": [` + told + `, {"do": "condition-image-match"}]`,
			[]string{"--key", "author.pub.pem", "--payload", "u=foo"}, ran{Result: "ok", Offset: -1}},
		{"a vendor", `"validate": [{"do": "condition-vendor-identifier"}]`, nil, ran{Result: "refused", Error: "manifest.ErrNotApplicable", Reason: 10, Section: "validate", Offset: 1, Component: "00"}},
		{"no battery", `"validate": [{"do": "condition-minimum-battery"}]`, nil, ran{Result: "refused", Error: "manifest.ErrUnsupported", Reason: 5, Section: "validate", Offset: 1, Component: "00"}},
		{"no version", `"validate": [{"do": "condition-version"}]`, nil, ran{Result: "refused", Error: "manifest.ErrUnsupported", Reason: 5, Section: "validate", Offset: 1, Component: "00"}},
		{"a link", `"install": [{"do": "directive-override-parameters", "parameters": {"content": "2e2e", "component-metadata": {"file-type": 3}}}, {"do": "directive-write"}]`, nil,
			ran{Result: "refused", Error: "manifest.ErrUnsupported", Reason: 8, Section: "install", Offset: 13, Component: "00"}},
		{"a plain file", `"install": [{"do": "directive-override-parameters", "parameters": {"content": "2e2e", "component-metadata": {"file-type": 1}}}, {"do": "directive-write"}]`, nil,
			ran{Result: "ok", Offset: -1}},
		{"nothing to invoke", `"invoke": [{"do": "directive-invoke"}]`, nil, ran{Result: "refused", Error: "manifest.ErrComponent", Reason: 6, Section: "invoke", Offset: 1, Component: "00"}},
		{"no content", `"install": [{"do": "directive-write"}]`, nil, ran{Result: "refused", Error: "manifest.ErrCommand", Reason: 8, Section: "install", Offset: 1, Component: "00"}},
		{"a file", `"install": [{"do": "directive-override-parameters", "parameters": {"image-file": "foo", "uri": "file:///x"}}, {"do": "directive-fetch"}]`, nil,
			ran{Result: "refused", Error: "verify.ErrPolicy", Reason: 7, Section: "install", Offset: 55, Component: "00"}},
		{"another key", `"validate": [` + match + `]`, []string{"--key", "other.pub.pem"}, ran{Result: "refused", Error: "verify.ErrSignature", Reason: 4, Offset: -1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed(t, "r", `{"sequence-number": 3, "components": ["00"], `+tt.members+`}`)
			flags := append([]string{"--key", "author.pub.pem"}, tt.flags...)
			if len(tt.flags) > 0 && tt.flags[0] == "--key" {
				flags = tt.flags
			}
			out := filepath.Join(t.TempDir(), "out")
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), append([]string{"manifest", "run", "--json", "--out", out, "r.suit"}, flags...), &stdout, &stderr)
			got := checkRun(t, "r.suit", exit, stdout.Bytes(), out)
			got.Writes = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s%s", diff, &stderr)
			}
		})
	}
}

// Whatever is wrong with a command, the line says where that is, and in whose manifest: also what is found when the envelope is read.
func TestRunPlaces(t *testing.T) {
	t.Chdir(t.TempDir())
	people(t, "author")
	slot := func(n uint64) manifest.Command {
		return manifest.Command{Code: manifest.DirectiveOverrideParameters, Parameters: &manifest.Parameters{Slot: &n}}
	}
	do := func(code manifest.Code) manifest.Command { return manifest.Command{Code: code} }
	child := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{0}}}}
	child.Install.Sequence = manifest.Sequence{slot(0), do(manifest.ConditionComponentSlot), slot(1), do(manifest.ConditionComponentSlot)}
	envelope := authored(t, child)
	u, err := manifest.InspectBytes(envelope)
	if err != nil {
		t.Fatal(err)
	}
	digest := u.Digest()
	root := func(more ...manifest.Command) []byte {
		m := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{1}}, {{'D'}}}, Dependencies: []manifest.Dependency{{Index: 1}}}
		m.Shared = manifest.Sequence{{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{One: 1}},
			{Code: manifest.DirectiveOverrideParameters, Parameters: &manifest.Parameters{ImageDigest: &digest, URI: new("#d")}}}
		m.Install.Sequence = append(manifest.Sequence{m.Shared[0], do(manifest.DirectiveFetch)}, more...)
		return authored(t, m, manifest.Payload{Key: "#d", Data: envelope})
	}
	for name, tt := range map[string]struct {
		envelope []byte
		want     ran
	}{
		"in the dependency": {root(do(manifest.ConditionDependencyIntegrity), do(manifest.DirectiveProcessDependency)),
			ran{Result: "refused", Error: "manifest.ErrCondition", Reason: 10, Section: "install", Offset: 11, Component: "00", Dependency: "44"}},
		"while it is read": {root(do(manifest.DirectiveProcessDependency)), ran{Result: "refused", Error: "manifest.ErrCommand", Reason: 5, Section: "install", Offset: 5}},
	} {
		t.Run(name, func(t *testing.T) {
			keep(t, "r.suit", tt.envelope)
			out := filepath.Join(t.TempDir(), "out")
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), []string{"manifest", "run", "--json", "--key", "author.pub.pem", "--out", out, "r.suit"}, &stdout, &stderr)
			var got ran
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || exit != 1 {
				t.Fatalf("exit %d, %v: %s%s", exit, err, &stdout, &stderr)
			}
			got.Writes = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s%s", diff, &stderr)
			}
		})
	}
}

// authored signs m with author.pem, also if a dependency is processed in it unchecked.
func authored(t *testing.T, m manifest.Manifest, payloads ...manifest.Payload) []byte {
	t.Helper()
	signer, err := readPrivate("author.pem")
	if err != nil {
		t.Fatal(err)
	}
	e := manifest.Envelope{Manifest: m, Payloads: payloads, Options: manifest.Options{Compat: manifest.CompatUncheckedDependency}}
	signed, err := e.SignedBytes()
	if err != nil {
		t.Fatal(err)
	}
	block, err := cose.SignSign1(t.Context(), signer, cose.ESP256, signed)
	if err != nil {
		t.Fatal(err)
	}
	e.Authentication = [][]byte{block}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was unlinked holds nothing, and the line says so.
func TestRunRemoved(t *testing.T) {
	t.Chdir(t.TempDir())
	people(t, "author")
	keep(t, "foo", []byte("foo"))
	const none = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	const write = `{"do": "directive-override-parameters", "parameters": {"content": ""}}, {"do": "directive-write"}`
	const unlink = `{"do": "directive-unlink"}`
	for _, tt := range []struct {
		name, install string
		flags         []string
		want          map[string]written
	}{
		{"an empty content", write, nil, map[string]written{"00": {SHA256: none}}},
		{"written, unlinked", write + "," + unlink, nil, map[string]written{"00": {SHA256: none, Removed: true}}},
		{"unlinked", unlink, []string{"--component", "00=foo"}, map[string]written{"00": {SHA256: none, Removed: true}}},
		{"unlinked, written", unlink + "," + write, []string{"--component", "00=foo"}, map[string]written{"00": {SHA256: none}}},
		{"nothing there", unlink, nil, map[string]written{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			signed(t, "r", `{"sequence-number": 3, "components": ["00"], "install": [`+tt.install+`]}`)
			out := filepath.Join(t.TempDir(), "out")
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), append([]string{"manifest", "run", "--json", "--key", "author.pub.pem", "--out", out, "r.suit"}, tt.flags...), &stdout, &stderr)
			got := checkRun(t, "r.suit", exit, stdout.Bytes(), out)
			if diff := cmp.Diff(tt.want, got.Writes); diff != "" || got.Result != "ok" {
				t.Errorf("%s%s%s", diff, &stdout, &stderr)
			}
		})
	}
}

// What is severed is kept in a file of its own, however the names are spelt.
func TestSeverKeepsMembers(t *testing.T) {
	t.Chdir(t.TempDir())
	people(t, "author")
	signed(t, "sv", `{"sequence-number": 3, "components": ["00"], "install": [{"do": "condition-abort"}], "text": [{"language": "en", "manifest": {"1": "x"}}], "severable": ["install", "text"]}`)
	for _, args := range [][]string{
		{"--member", "install=./sv.suit", "--out", "sv.suit"},
		{"--member", "install=new", "--out", "../" + filepath.Base(wd(t)) + "/new"},
		{"--member", "install=a", "--member", "text=./a", "--out", "b"},
	} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), append([]string{"manifest", "sever", "sv.suit"}, args...), &stdout, &stderr); exit != 2 {
			t.Errorf("%v: exit %d, want 2: %s", args, exit, &stderr)
		}
	}
	succeed(t, nil, "sever", "sv.suit", "--member", "install=a", "--member", "text=c", "--out", "sv.suit")
}

func wd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
