// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// tufJS reads one target with tuf-js. Arguments: URL, cache directory, target path, file to write.
const tufJS = `
const { Updater } = require('tuf-js');
const [url, dir, name, out] = process.argv.slice(2);
(async () => {
  const u = new Updater({ metadataBaseUrl: url + '/metadata', targetBaseUrl: url + '/targets', metadataDir: dir, targetDir: dir });
  await u.refresh();
  const info = await u.getTargetInfo(name);
  if (!info) { process.exitCode = 3; return; }
  await u.downloadTarget(info, out);
})().catch((err) => { console.error(err); process.exitCode = 1; });
`

// TestReadByTUFJS: a client in another language, which nobody here wrote, reads every shape of repository that this package writes.
func TestReadByTUFJS(t *testing.T) {
	modules := os.Getenv("FIRMAMENT_TUFJS")
	node, err := exec.LookPath("node")
	if err != nil || modules == "" {
		t.Skip("needs Node and tuf-js: npm install --prefix DIR tuf-js@5.0.1, then FIRMAMENT_TUFJS=DIR go test ./tuf/repository")
	}
	script := filepath.Join(modules, "firmament-read.cjs")
	if err := os.WriteFile(script, []byte(tufJS), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root := c.in(t, dir)
			server := httptest.NewServer(http.FileServerFS(os.DirFS(dir)))
			defer server.Close()
			cache := t.TempDir()
			if err := os.WriteFile(filepath.Join(cache, "root.json"), root, 0o644); err != nil {
				t.Fatal(err)
			}
			own := newOwn(t, root, dir)
			for target, want := range release {
				if got, err := own.Find(t.Context(), target); err != nil || string(got) != string(want) {
					t.Errorf("tuf/client: %s: %q, %v", target, got, err)
				}
				out := filepath.Join(cache, fmt.Sprintf("%x", target))
				if text, err := exec.CommandContext(t.Context(), node, script, server.URL, cache, target, out).CombinedOutput(); err != nil {
					t.Fatalf("tuf-js: %s: %v\n%s", target, err, text)
				}
				if got, err := os.ReadFile(out); err != nil || string(got) != string(want) {
					t.Errorf("tuf-js: %s: %q, %v", target, got, err)
				}
			}
			for _, target := range []string{"fw/none", "fw/gone"} {
				err := exec.CommandContext(t.Context(), node, script, server.URL, cache, target, filepath.Join(cache, "none")).Run()
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 3 {
					t.Errorf("tuf-js finds %s, which is not there: %v", target, err)
				}
			}
		})
	}
}

func newOwn(t *testing.T, root []byte, dir string) *client.Client {
	t.Helper()
	cache, err := client.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{Root: root, Remote: client.DirRemote(os.DirFS(dir)), Storage: cache, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Keys of every scheme sign every role, and our own client reads what they signed.
//
// covers: B21
func TestSchemes(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pss, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signers := map[string]verify.Signer{"ed25519": testkeys.Ed25519(1), "p-256": testkeys.P256(1), "ml-dsa-65": testkeys.MLDSA65(1)}
	for name, key := range map[string]crypto.Signer{"p-384": p384, "rsa": pss} {
		if signers[name], err = repository.NewSigner(key); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v", signers[name], signers[name], signers[name]); !strings.Contains(text, "REDACTED") || strings.Contains(text, "{") {
			t.Errorf("printed as %s", text)
		}
	}
	for name, s := range signers {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			storage, err := repository.OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			o := repository.Options{Signers: map[tuf.Role][]verify.Signer{tuf.RoleRoot: {s}, tuf.RoleTargets: {s}, tuf.RoleSnapshot: {s}, tuf.RoleTimestamp: {s}}}
			r, err := repository.Create(t.Context(), storage, o)
			if err == nil {
				err = r.Publish(t.Context(), map[string][]byte{"fw/a": []byte("a")})
			}
			if err != nil {
				t.Fatal(err)
			}
			root, err := r.Root(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := newOwn(t, root, dir).Find(t.Context(), "fw/a"); err != nil || string(got) != "a" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
