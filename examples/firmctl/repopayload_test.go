// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
)

// signedTargets is the signed part of targets metadata in canonical form, with one thing in place of another.
func signedTargets(t *testing.T, old, new string) []byte {
	t.Helper()
	key, err := tuf.KeyOf(testkeys.Ed25519(1).Public())
	if err != nil {
		t.Fatal(err)
	}
	_, _, public := key.KeyVal()
	text := `{"_type":"targets","delegations":{"keys":{"a":{"keytype":"ed25519","keyval":{"public":"` + public + `"},"scheme":"ed25519"}},` +
		`"roles":[{"keyids":["a"],"name":"acme","paths":["acme/*"],"terminating":false,"threshold":1}]},"expires":"2036-01-01T00:00:00Z",` +
		`"spec_version":"1.0.34","targets":{"fw":{"custom":{"note":1},"hashes":{"sha256":"` + strings.Repeat("1", 64) + `"},"length":1}},"version":7}`
	if !strings.Contains(text, old) {
		t.Fatalf("%s is not in %s", old, text)
	}
	canonical, err := tuf.Canonical([]byte(strings.Replace(text, old, new, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

// What a signer is shown is what clients will read: a payload is refused that has a member which readers that fold names take for another.
func TestTUF_20_ShownIsSigned(t *testing.T) {
	for _, c := range []struct{ old, new string }{
		{`"targets":{`, `"targetſ":{"fw":{"hashes":{"sha256":"22"},"length":2}},"targets":{`},
		{`"targets":{`, `"Targets":{},"targets":{`},
		{`"targets":{`, `"TARGETS":{`},
		{`"version":7`, `"verſion":8,"version":7`},
		{`"_type":`, `"_Type":"root","_type":`},
		{`"expires":`, `"expireſ":"2026-12-01T00:00:00Z","expires":`},
		{`"delegations":`, `"delegationſ":{},"delegations":`},
		{`"length":1`, `"Length":2,"length":1`},
		{`"hashes":`, `"hasheſ":{},"hashes":`},
		{`"custom":`, `"cuſtom":{},"custom":`},
		{`"sha256":`, `"ſha256":"22","sha256":`},
		{`"roles":`, `"roleſ":[],"roles":`},
		{`"keys":`, `"Keys":{},"keys":`}, {`"keys":`, `"ſuccinct_roles":{},"keys":`},
		{`"keytype":`, `"Keytype":"rsa","keytype":`},
		{`"public":`, `"Public":"22","public":`},
		{`"paths":`, `"pathſ":["*"],"paths":`},
		{`"threshold":`, `"threſhold":5,"threshold":`},
		{`"terminating":`, `"Terminating":true,"terminating":`},
		{`"keyids":`, `"KeyIDs":["b"],"keyids":`},
	} {
		if _, err := readPayload(signedTargets(t, c.old, c.new)); !errors.Is(err, errFolded) {
			t.Errorf("%s: %v, want errFolded", c.new, err)
		}
	}
	for _, c := range []struct{ old, new string }{
		{`"_type":"targets"`, `"_type":"targets\u202e"`}, {`"_type":"targets"`, `"_type":"snapshot"`}, {`"version":7`, `"version":null`}, {`{"custom":{"note":1},"hashes"`, `null,"x":{"hashes"`},
	} {
		if _, err := readPayload(signedTargets(t, c.old, c.new)); !errors.Is(err, errPayload) {
			t.Errorf("%s: %v, want errPayload", c.new, err)
		}
	}
	// The same through the command, which must not sign.
	dir := t.TempDir()
	in, key, out := filepath.Join(dir, "in"), filepath.Join(dir, "key"), filepath.Join(dir, "out")
	if exit := run(t.Context(), []string{"repo", "newkey", key}, new(bytes.Buffer), new(bytes.Buffer)); exit != 0 {
		t.Fatalf("newkey: exit %d", exit)
	}
	for old, want := range map[string]int{`"targets":{`: 0, `"Targets":{},"targets":{`: 2} {
		if err := os.WriteFile(in, signedTargets(t, `"targets":{`, old), 0o600); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		exit := run(t.Context(), []string{"repo", "sign", in, "--key", key + ".pem", "--out", out}, &text, &text)
		_, err := os.Stat(out)
		if exit != want || (err == nil) != (want == 0) {
			t.Errorf("%s: exit %d, want %d; %v: %s", old, exit, want, err, text.String())
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}
}

// Two payloads that are not the same do not look alike, and what they say is no instruction to a terminal.
func TestTUF_20_NothingIsHidden(t *testing.T) {
	look := func(old, new string) string {
		t.Helper()
		p, err := readPayload(signedTargets(t, old, new))
		if err != nil {
			t.Fatalf("%s: %v", new, err)
		}
		var text bytes.Buffer
		p.show(&text)
		return text.String()
	}
	plain, err := readPayload(signedTargets(t, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", maxText)
	seen := map[string]string{look("", ""): "plain"}
	for i, c := range []struct{ old, new string }{
		{`"fw":`, `"` + long + `x":`}, {`"fw":`, `"` + long + `y":`},
		{`"note":1`, `"note":"` + long + `x"`}, {`"note":1`, `"note":"` + long + `y"`}, {`"note":1`, `"note":"\u202e\u009b2J"`},
		{`"fw":`, `"\u2067fw":`}, {`"name":"acme"`, `"name":"acme\u202e"`},
		{`["acme/*"]`, `["` + long + `x"]`}, {`["acme/*"]`, `["` + long + `y"]`}, {`["acme/*"]`, `["acme/*","*"]`},
		{`"length":1`, `"length":1,"x":1`}, {`"length":1`, `"length":1,"x":2`}, {`"length":1`, `"length":1,"\u202e":2`},
		{`"threshold":1`, `"threshold":1,"x":1`}, {`"scheme":`, `"x":1,"scheme":`}, {`"roles":`, `"x":1,"roles":`}, {`"version":7`, `"version":7,"x":1`},
		{`"sha256":`, `"sha512":"22","sha256":`}, {`"sha256":`, `"blake\u202e":"22","sha256":`},
		{`"keyids":["a"]`, `"keyids":[]`}, {`"terminating":false`, `"terminating":true`}, {`"length":1`, `"length":2`},
	} {
		text := look(c.old, c.new)
		if before, again := seen[text]; again {
			t.Errorf("%s and %s look alike:\n%s", c.new, before, text)
		}
		seen[text] = fmt.Sprint(i, c.new)
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }) {
			t.Errorf("%s: %q", c.new, text)
		}
		p, err := readPayload(signedTargets(t, c.old, c.new))
		if err != nil {
			t.Fatal(err)
		}
		if lines := p.showChanges(new(bytes.Buffer), plain); len(lines) == 0 {
			t.Errorf("%s: no changes", c.new)
		}
	}
}
