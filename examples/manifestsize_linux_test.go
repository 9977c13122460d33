// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// TestM6_ManifestSize: a stripped program that opens a manifest is small, and links neither HTTP nor go-tuf; it and one that
// runs manifests, too, are built for the processors of small devices and for WebAssembly.
func TestM6_ManifestSize(t *testing.T) {
	const limit = 4_000_000
	dir := t.TempDir()
	build := func(goos, goarch, tags string) string {
		t.Helper()
		program := filepath.Join(dir, goos+goarch+tags)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-trimpath", "-ldflags=-s -w", "-o", program, "./testdata/opener")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
		runCmd(t, cmd).ok(t)
		return program
	}
	size := func(program string) int64 {
		t.Helper()
		st, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s has %d bytes", filepath.Base(program), st.Size())
		return st.Size()
	}
	for _, goarch := range []string{"arm", "amd64"} {
		if n := size(build("linux", goarch, "open")); n > limit {
			t.Errorf("linux/%s: %d bytes, want at most %d", goarch, n, limit)
		}
		size(build("linux", goarch, "run"))
	}
	build("js", "wasm", "run")

	list := runCmd(t, exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", "run", "./testdata/opener")).ok(t)
	for pkg := range strings.FieldsSeq(list.stdout) {
		if pkg == "net/http" || strings.Contains(pkg, "go-tuf") || strings.HasPrefix(pkg, "github.com/firmament-dev/firmament/tuf") {
			t.Errorf("the program links %s", pkg)
		}
	}
	if runtime.GOARCH == "amd64" {
		opens(t, dir, filepath.Join(dir, "linuxamd64open"), filepath.Join(dir, "linuxamd64run"))
	}
}

// opens has programs open an envelope, and the same with a byte of the manifest flipped.
func opens(t *testing.T, dir string, programs ...string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := verify.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := signer.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	vendor := author.VendorID("example.com")
	b := author.Builder{SequenceNumber: 1}
	at := b.Component(manifest.ComponentID{{0}})
	b.Compatibility(at, vendor, author.ClassID(vendor, "device"), nil)
	b.Add(manifest.SectionValidate, at, manifest.Command{Code: manifest.ConditionVendorID})
	e, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := author.Sign(t.Context(), e, signer)
	if err != nil {
		t.Fatal(err)
	}
	key, file := filepath.Join(dir, "key.pem"), filepath.Join(dir, "envelope")
	if err := os.WriteFile(key, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		for _, flip := range []byte{0, 1} {
			envelope[len(envelope)-1] ^= flip
			if err := os.WriteFile(file, envelope, 0o600); err != nil {
				t.Fatal(err)
			}
			r := runCmd(t, exec.CommandContext(t.Context(), program, file, key))
			if (r.code == 0) != (flip == 0) {
				t.Errorf("%s, byte flipped %v: exit %d, %s", filepath.Base(program), flip == 1, r.code, r.stderr)
			}
			envelope[len(envelope)-1] ^= flip
		}
	}
}
