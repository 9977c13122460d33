// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
)

// files writes the published vectors into a folder.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, vectors.SUIT()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(vectors.SUIT(), name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestManifestRun(t *testing.T) {
	dir := files(t)
	t.Chdir(dir)
	mac, kek := text(t, "encryption/fwenc-hmac256.hex"), text(t, "encryption/fwenc-kek-a128.hex")
	ids := []string{"--vendor-id", "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", "--class-id", "1492af14-2569-5e48-bf42-9b2d51f2ab45"}
	for _, tt := range []struct {
		name string
		args []string
		exit int
		want ran
	}{
		{"decrypts", []string{"--mac-key", mac, "--kek", kek, "encryption/suit-manifest-aes-kw-content.cbor"}, 0,
			ran{Result: "ok", Offset: -1, Writes: map[string]written{
				"706c61696e746578742d6669726d77617265": {Size: 30, SHA256: "36921488fe6680712f734e11f58d87eeb66d4b21a8a1ad3441060814da16d50f"}}}},
		{"no key to decrypt with", []string{"--mac-key", mac, "encryption/suit-manifest-aes-kw-content.cbor"}, 1,
			ran{Result: "refused", Error: "manifest.ErrUnsupported", Reason: 5, Section: "install", Offset: 117, Component: "706c61696e746578742d6669726d77617265"}},
		{"another key to decrypt with", []string{"--mac-key", mac, "--kek", strings.Repeat("00", 16), "encryption/suit-manifest-aes-kw-content.cbor"}, 1,
			ran{Result: "refused", Error: "verify.ErrDecrypt", Reason: 11, Section: "install", Offset: 117, Component: "706c61696e746578742d6669726d77617265"}},
		{"no such section", append(ids, "--section", "load", "--section", "invoke", "--key", "suit-p256-public.pem", "manifest/example1.cbor"), 1,
			ran{Result: "refused", Error: "processor.ErrAbsent", Reason: 11, Section: "invoke", Offset: -1}},
		{"no identity", []string{"--key", "suit-p256-public.pem", "manifest/example1.cbor"}, 1,
			ran{Result: "refused", Error: "manifest.ErrNotApplicable", Reason: 10, Section: "shared-sequence", Offset: 82, Component: "00"}},
		{"a key of another kind", []string{"--mac-key", mac, "manifest/example1.cbor"}, 1,
			ran{Result: "refused", Error: "verify.ErrAlgorithm", Reason: 3, Offset: -1}},
		{"payload missing", append(ids, "--key", "suit-p256-public.pem", "manifest/example1.cbor"), 1,
			ran{Result: "aborted", Error: "fetch.ErrRefused", Reason: 11, Section: "install", Offset: 33, Component: "00"}},
		{"other content", append(ids, "--section", "validate", "--component", "00=suit-p256-public.pem", "--key", "suit-p256-public.pem", "manifest/example1.cbor"), 1,
			ran{Result: "aborted", Error: "manifest.ErrCondition", Reason: 10, Section: "validate", Offset: 1, Component: "00"}},
		{"dependency", []string{"--key", "suit-p256-public.pem", "--compat", "--section", "dependency-resolution", "--section", "install", "trust-domains/example2_integrated.cbor"}, 0,
			ran{Result: "ok", Offset: -1, Writes: map[string]written{
				"3030":                         {Size: 11, SHA256: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"},
				"3130":                         {Size: 26},
				"646570656e64656e742e73756974": {Size: 190}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := t.TempDir()
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), append([]string{"manifest", "run", "--json", "--out", out}, tt.args...), &stdout, &stderr)
			var got ran
			if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || strings.Count(stdout.String(), "\n") != 1 {
				t.Fatalf("%v: %s%s", err, &stdout, &stderr)
			}
			for id, w := range got.Writes {
				b, err := os.ReadFile(filepath.Join(out, id))
				if err != nil || len(b) != w.Size {
					t.Errorf("%s: %d bytes, %v", id, len(b), err)
				}
				if tt.want.Writes[id].SHA256 == "" {
					w.SHA256 = ""
					got.Writes[id] = w
				}
			}
			if len(got.Writes) == 0 {
				got.Writes = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || exit != tt.exit {
				t.Errorf("exit %d: %s\n%s", exit, diff, &stderr)
			}
		})
	}
}

func TestManifestVerify(t *testing.T) {
	dir := files(t)
	t.Chdir(dir)
	for _, tt := range []struct {
		args []string
		exit int
	}{
		{[]string{"--key", "suit-p256-public.pem", "manifest/example0.cbor"}, 0},
		{[]string{"--key", "suit-p256-public.pem", "manifest-esp256/example0.cbor"}, 1},
		{[]string{"--mac-key", text(t, "encryption/fwenc-hmac256.hex"), "encryption/suit-manifest-aes-kw.cbor"}, 0},
		{[]string{"manifest/example0.cbor"}, 2},
		{[]string{"--key", "suit-p256-public.pem"}, 2},
		{[]string{"--key", "suit-p256-public.pem", "absent.cbor"}, 3},
	} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), append([]string{"manifest", "verify", "--json"}, tt.args...), &stdout, &stderr); exit != tt.exit {
			t.Errorf("%v: exit %d, want %d: %s", tt.args, exit, tt.exit, &stderr)
		}
	}
}

// What cannot be read is a failure for the caller, of every command that reads it.
//
// covers: REG-35
func TestManifestParseFailures(t *testing.T) {
	t.Chdir(files(t))
	good := text(t, "manifest/example0.cbor")
	for name, b := range map[string]string{"empty": "", "null": "\xf6", "map": "\xa0", "cut": good[:len(good)-1], "longer": good + "\x00", "text": "envelope"} {
		if err := os.WriteFile("bad", []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"verify", "--key", "suit-p256-public.pem", "bad"},
			{"verify", "--key", "bad", "manifest/example0.cbor"},
			{"inspect", "bad"},
			{"run", "--out", "out", "--key", "suit-p256-public.pem", "bad"},
			{"report", "--key", "suit-p256-public.pem", "--unsealed", "manifest/example0.cbor", "bad"},
		} {
			var stdout, stderr bytes.Buffer
			if exit := run(t.Context(), append([]string{"manifest"}, args...), &stdout, &stderr); exit == 0 {
				t.Errorf("%s: %v: exit 0: %s", name, args, &stdout)
			}
		}
	}
}

// What inspect shows is marked as nobody's, before anything of it, and cannot dress itself up.
func TestCMD_16_InspectSaysSo(t *testing.T) {
	t.Chdir(files(t))
	for _, name := range []string{"manifest/example0.cbor", "manifest/example0-unsigned.cbor", "manifest-esp256/example0.cbor", "manifest/example2.cbor"} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), []string{"manifest", "inspect", name}, &stdout, &stderr); exit != 0 {
			t.Fatalf("%s: exit %d: %s", name, exit, &stderr)
		}
		first, rest, _ := strings.Cut(stdout.String(), "\n")
		if !strings.Contains(first, "NOT AUTHENTICATED") || strings.ContainsAny(rest, "\x1b\r\u202e") {
			t.Errorf("%s: %q, then %q", name, first, rest)
		}
		stdout.Reset()
		if exit := run(t.Context(), []string{"manifest", "inspect", "--json", name}, &stdout, &stderr); exit != 0 || !strings.Contains(stdout.String(), `"authenticated":false`) {
			t.Errorf("%s: exit %d: %s", name, exit, &stdout)
		}
	}
}

// Who is refused for want of --compat alone is told so, and nobody else.
func TestManifestCompatIsNamed(t *testing.T) {
	t.Chdir(files(t))
	if err := os.WriteFile("untagged", []byte(strings.TrimPrefix(text(t, "manifest/example0.cbor"), "\xd8\x6b")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args  []string
		named bool
	}{
		{[]string{"inspect", "untagged"}, true},
		{[]string{"verify", "--key", "suit-p256-public.pem", "untagged"}, true},
		{[]string{"inspect", "trust-domains/example2_integrated.cbor"}, true},
		{[]string{"inspect", "suit-p256-public.pem"}, false},
		{[]string{"verify", "--key", "suit-p256-public.pem", "manifest-esp256/example0.cbor"}, false},
	} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), append([]string{"manifest"}, tt.args...), &stdout, &stderr); exit != 1 || strings.Contains(stderr.String(), "--compat") != tt.named {
			t.Errorf("%v: exit %d: %s", tt.args, exit, &stderr)
		}
	}
}

// The kid that a signer's tools write is theirs; --key names a file.
func TestManifestVerifyWithKID(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for n := range 2 {
		b, err := testkeys.P256(n).Public().MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		put(t, in(fmt.Sprint(n)), b)
	}
	e := &manifest.Envelope{Manifest: manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{0}}}}}
	b, err := author.SignAs(t.Context(), e, author.Signature{Signer: testkeys.P256(1), KID: []byte("theirs")})
	if err != nil {
		t.Fatal(err)
	}
	put(t, in("envelope"), b)
	firmctl(t, 0, "manifest", "verify", "--key", in("0"), "--key", in("1"), in("envelope"))
	firmctl(t, 1, "manifest", "verify", "--key", in("0"), in("envelope"))
}
