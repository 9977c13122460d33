// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// indexed is what another program has found in a published envelope.
type indexed struct {
	File     string `json:"file"`
	Tagged   bool   `json:"tagged_107"`
	Digest   string `json:"manifest_digest"`
	Sequence uint64 `json:"sequence_number"`
	Auth     []struct {
		Valid bool `json:"valid"`
	} `json:"auth"`
}

// index returns the published envelopes, and the flags with all keys that have authenticated one.
func index(t *testing.T) (entries []indexed, keys []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, "index.json")), &entries); err != nil || len(entries) != 34 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	var point struct{ X, Y string }
	if err := json.Unmarshal([]byte(text(t, "encryption/fwenc-dependent-p256-private.json")), &point); err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString("04" + point.X + point.Y)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("dependent.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return entries, []string{"--key", "suit-p256-public.pem", "--key", "dependent.pem", "--mac-key", text(t, "encryption/fwenc-hmac256.hex")}
}

// unchecked is the one that processes a dependency it has not checked.
const unchecked = "trust-domains/example2_integrated.cbor"

// What verify says about each published envelope is what another program says.
func TestM1_VerifyVectors(t *testing.T) {
	t.Chdir(files(t))
	entries, keys := index(t)
	for _, e := range entries {
		args := append([]string{"manifest", "verify", "--json"}, keys...)
		if e.File == unchecked {
			args = append(args, "--compat")
		}
		var stdout, stderr bytes.Buffer
		exit := run(t.Context(), append(args, e.File), &stdout, &stderr)
		var got struct {
			Result, Digest, Error string
			Sequence              uint64
			Keys                  []string
		}
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || strings.Count(stdout.String(), "\n") != 1 {
			t.Fatalf("%s: %v: %s", e.File, err, &stdout)
		}
		if good := len(e.Auth) > 0 && e.Auth[0].Valid; !good {
			if exit != 1 || got.Error == "" || got.Result == "ok" {
				t.Errorf("%s: exit %d, %s; want a refusal", e.File, exit, &stdout)
			}
			continue
		}
		if exit != 0 || got.Result != "ok" || !strings.HasSuffix(got.Digest, e.Digest) || got.Sequence != e.Sequence || len(got.Keys) != 1 {
			t.Errorf("%s: exit %d, %s%s", e.File, exit, &stdout, &stderr)
		}
	}
}

// The contract of run, on each published envelope, with and without an identity and keys: one line, whose members are all
// there; an exit code that goes with it; nothing executed and nothing written if it was refused; and in the directory
// what the line says, no more.
func TestRunContract(t *testing.T) {
	t.Chdir(files(t))
	entries, keys := index(t)
	ids := []string{"--vendor-id", "fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe", "--class-id", "1492AF14-2569-5E48-BF42-9B2D51F2AB45"}
	secrets := []string{"--kek", text(t, "encryption/fwenc-kek-a128.hex")}
	results := map[string]int{}
	for _, e := range entries {
		for _, flags := range [][]string{nil, ids, append(slices.Clone(ids), secrets...), {"--section", "install"}} {
			out := filepath.Join(t.TempDir(), "new", "dir")
			args := slices.Concat([]string{"manifest", "run", "--json", "--out", out}, keys, flags)
			if e.File == unchecked {
				args = append(args, "--compat")
			}
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), append(args, e.File), &stdout, &stderr)
			got := checkRun(t, e.File, exit, stdout.Bytes(), out)
			if good := len(e.Auth) > 0 && e.Auth[0].Valid; !good && got.Result != "refused" {
				t.Errorf("%s: not authentic, and %s", e.File, &stdout)
			}
			results[got.Result]++
		}
	}
	for _, r := range []string{"ok", "aborted", "refused"} {
		if results[r] == 0 {
			t.Errorf("no run was %s: %v", r, results)
		}
	}
	t.Log(results)
}

func checkRun(t *testing.T, file string, exit int, line []byte, out string) (got ran) {
	t.Helper()
	var members map[string]json.RawMessage
	err := json.Unmarshal(line, &members)
	delete(members, "dependency") // only of a failure in one
	if err != nil || bytes.Count(line, []byte("\n")) != 1 || len(members) != 7 {
		t.Fatalf("%s: %v: %s", file, err, line)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || got.Writes == nil {
		t.Fatalf("%s: %v: %s", file, err, line)
	}
	wantExit := map[string]int{"ok": 0, "aborted": 1, "refused": 1}
	if want, ok := wantExit[got.Result]; !ok || exit != want || (got.Error == "") != (exit == 0) || (got.Reason == 0) != (exit == 0) {
		t.Errorf("%s: exit %d: %s", file, exit, line)
	}
	if exit != 0 && !strings.Contains(got.Error, ".Err") {
		t.Errorf("%s: error without a sentinel: %s", file, line)
	}
	if got.Result == "refused" && len(got.Writes) > 0 {
		t.Errorf("%s: refused after writing: %s", file, line)
	}
	names, err := os.ReadDir(out)
	if err != nil || len(names) != len(got.Writes) {
		t.Errorf("%s: %d files in the directory, %v: %s", file, len(names), err, line)
	}
	for id, w := range got.Writes {
		b, err := os.ReadFile(filepath.Join(out, id))
		sum := sha256.Sum256(b)
		if err != nil || len(b) != w.Size || hex.EncodeToString(sum[:]) != w.SHA256 || strings.ToLower(id) != id {
			t.Errorf("%s: %s: %d bytes, %v: %s", file, id, len(b), err, line)
		}
	}
	return got
}

// Command lines that make no sense are exit 2, and what cannot be read is exit 3, without a word on the manifest.
func TestRunUsage(t *testing.T) {
	t.Chdir(files(t))
	if err := os.WriteFile("taken", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := []string{"--key", "suit-p256-public.pem", "--out", "out", "manifest/example0.cbor"}
	for _, tt := range []struct {
		args []string
		exit int
	}{
		{nil, 2},
		{[]string{"--out", "out", "manifest/example0.cbor"}, 2},
		{[]string{"--key", "suit-p256-public.pem", "manifest/example0.cbor"}, 2},
		{append([]string{"--unknown"}, good...), 2},
		{append([]string{"--section", "boot"}, good...), 2},
		{append([]string{"--section", "shared-sequence"}, good...), 2},
		{append([]string{"--section", "install", "--section", "payload-fetch"}, good...), 2},
		{append([]string{"--section", "install", "--section", "install"}, good...), 2},
		{append([]string{"--section", "install", "--section", "uninstall"}, good...), 2},
		{append([]string{"--vendor-id", "x"}, good...), 2},
		{append([]string{"--class-id", "fa6b4a53d5ad5fdfbe9de663e4d41ffe"}, good...), 2},
		{append([]string{"--mac-key", "xyz"}, good...), 2},
		{append([]string{"--kek", "00"}, good...), 2},
		{append([]string{"--payload", "u"}, good...), 2},
		{append([]string{"--payload", "=index.json"}, good...), 2},
		{append([]string{"--component", "00"}, good...), 2},
		{append([]string{"--component", "=index.json"}, good...), 2},
		{append([]string{"--component", "0G=index.json"}, good...), 2},
		{append([]string{"--component", "0A=index.json"}, good...), 2},
		{append([]string{"--component", "0=index.json"}, good...), 2},
		{append([]string{"--component", "00..01=index.json"}, good...), 2},
		{append(slices.Clone(good), "more"), 2},
		{append([]string{"--key", "index.json"}, good...), 2},
		{append([]string{"--recipient-key", "index.json"}, good...), 2},
		{append([]string{"--key", "absent.pem"}, good...), 2}, // a key is what people give
		{append([]string{"--payload", "u=absent"}, good...), 3},
		{append([]string{"--component", "00=absent"}, good...), 3},
		{[]string{"--key", "suit-p256-public.pem", "--out", "out", "absent.cbor"}, 3},
		{[]string{"--key", "suit-p256-public.pem", "--out", "taken/below", "manifest/example0.cbor"}, 3},
	} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), append([]string{"manifest", "run", "--json"}, tt.args...), &stdout, &stderr); exit != tt.exit || strings.Contains(stdout.String(), `"writes"`) {
			t.Errorf("%v: exit %d, want %d: %s%s", tt.args, exit, tt.exit, &stdout, &stderr)
		}
	}
}
