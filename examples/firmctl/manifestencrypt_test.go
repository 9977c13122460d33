// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// From a plaintext to a device that has it, by the command line alone: each recipient can decrypt, another cannot.
func TestManifestEncrypt(t *testing.T) {
	t.Chdir(t.TempDir())
	plaintext := []byte(strings.Repeat("firmware ", 1000))
	keep(t, "plain.bin", plaintext)
	people(t, "author", "one", "two", "other")
	const kek = "000102030405060708090a0b0c0d0e0f"
	for _, alg := range contentAlgorithms {
		t.Run(alg.String(), func(t *testing.T) {
			var said encrypted
			succeed(t, &said, "encrypt", "plain.bin", "--algorithm", alg.String(), "--recipient", "one.pub.pem",
				"--recipient", "two.pub.pem", "--kek", kek, "--out", "cipher.bin", "--info", "info.cbor")
			info, err := os.ReadFile("info.cbor")
			if err != nil || said.Info != fmt.Sprintf("%x", info) || said.Recipients != 3 {
				t.Fatalf("%+v, %v", said, err)
			}
			if want := fmt.Sprintf("sha256:%x", sha256.Sum256(plaintext)); said.Plaintext.Digest != want || said.Plaintext.Size != int64(len(plaintext)) {
				t.Errorf("got %+v, want %s", said.Plaintext, want)
			}
			keep(t, "description.json", fmt.Appendf(nil, `{"sequence-number": 1, "components": ["00"],
				"shared-sequence": [{"do": "directive-override-parameters", "parameters": {"image-file": "plain.bin"}}],
				"install": [
					{"do": "directive-override-parameters", "parameters": {"uri": "#payload", "encryption-info": %q}},
					{"do": "directive-fetch", "policy": 2},
					{"do": "condition-image-match", "policy": 2}],
				"payloads": {"#payload": {"file": "cipher.bin"}}}`, said.Info))
			succeed(t, nil, "create", "description.json", "--out", "fw.suit")
			succeed(t, nil, "sign", "fw.suit", "--key", "author.pem", "--out", "fw.suit")
			var shown inspected
			succeed(t, &shown, "inspect", "fw.suit")
			if text := fmt.Sprint(shown.Tree); shown.Authenticated || !strings.Contains(text, "{encryption-info "+alg.String()+" [{recipient 0 ") {
				t.Errorf("got %+v", shown)
			}
			for _, with := range [][]string{{"--recipient-key", "one.pem"}, {"--recipient-key", "two.pem"}, {"--kek", kek}} {
				out := t.TempDir()
				succeed(t, nil, append([]string{"run", "fw.suit", "--key", "author.pub.pem", "--out", out}, with...)...)
				if got, err := os.ReadFile(filepath.Join(out, "00")); err != nil || !bytes.Equal(got, plaintext) {
					t.Errorf("%v: %d bytes, %v", with, len(got), err)
				}
			}
			var stdout, stderr bytes.Buffer
			if exit := run(t.Context(), []string{"manifest", "run", "--json", "fw.suit", "--key", "author.pub.pem", "--out", t.TempDir(),
				"--recipient-key", "other.pem"}, &stdout, &stderr); exit != 1 {
				t.Errorf("somebody else: exit %d, %s", exit, &stdout)
			}
		})
	}
}

// However many recipients there are: with names each finds the key, and without they are refused before one of them cannot.
func TestManifestEncryptForMany(t *testing.T) {
	t.Chdir(t.TempDir())
	keep(t, "plain.bin", []byte("firmware"))
	people(t, "author", "last")
	without := []string{"encrypt", "plain.bin", "--out", "cipher.bin"}
	with := slices.Clone(without)
	for i := range 64 {
		kek := fmt.Sprintf("%032x", i)
		without, with = append(without, "--kek", kek), append(with, "--kek", fmt.Sprintf("device-%d=%s", i, kek))
	}
	var stdout, stderr bytes.Buffer
	if exit := run(t.Context(), append([]string{"manifest"}, append(without, "--recipient", "last.pub.pem")...), &stdout, &stderr); exit != 1 || !strings.Contains(stderr.String(), "KID") {
		t.Errorf("without names: exit %d, %s", exit, &stderr)
	}
	if _, err := os.Stat("cipher.bin"); err == nil {
		t.Error("a ciphertext was left")
	}
	var said encrypted
	succeed(t, &said, append(with, "--recipient", "device-64=last.pub.pem")...)
	keep(t, "description.json", fmt.Appendf(nil, `{"sequence-number": 1, "components": ["00"],
		"shared-sequence": [{"do": "directive-override-parameters", "parameters": {"image-file": "plain.bin"}}],
		"install": [
			{"do": "directive-override-parameters", "parameters": {"content-file": "cipher.bin", "encryption-info": %q}},
			{"do": "directive-write", "policy": 2},
			{"do": "condition-image-match", "policy": 2}]}`, said.Info))
	succeed(t, nil, "create", "description.json", "--out", "fw.suit")
	succeed(t, nil, "sign", "fw.suit", "--key", "author.pem", "--out", "fw.suit")
	for _, key := range [][]string{{"--recipient-key", "device-64=last.pem"}, {"--recipient-key", "last.pem"}, {"--kek", "device-63=" + fmt.Sprintf("%032x", 63)}} {
		succeed(t, nil, append([]string{"run", "fw.suit", "--key", "author.pub.pem", "--out", t.TempDir()}, key...)...)
	}
}

// succeed runs a manifest command that must succeed, and reads what it prints.
func succeed(t *testing.T, to any, args ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit := run(t.Context(), append([]string{"manifest", args[0], "--json"}, args[1:]...), &stdout, &stderr)
	if exit != 0 || strings.Count(stdout.String(), "\n") != 1 {
		t.Fatalf("%q: exit %d: %s%s", args, exit, &stdout, &stderr)
	}
	if to == nil {
		return
	}
	if err := json.Unmarshal(stdout.Bytes(), to); err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
