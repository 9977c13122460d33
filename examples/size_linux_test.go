// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// smallTags make a small agent. With nethttpomithttp2 it is smaller by 0.4 MB.
const smallTags = "suitonly"

// TestM6_Size: the SUIT-only agent is small, links no TUF, and does its work over HTTPS. Decryption of payloads, which it
// does without, would take it above the limit.
func TestM6_Size(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the figure is for linux/amd64")
	}
	const limit = 7_500_000
	agent := smallAgent(t, smallTags, limit)
	list := runCmd(t, exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", smallTags, "./agent")).ok(t)
	for pkg := range strings.FieldsSeq(list.stdout) {
		if strings.Contains(pkg, "go-tuf") || strings.HasPrefix(pkg, "github.com/firmament-dev/firmament/tuf") {
			t.Errorf("agent links %s", pkg)
		}
	}

	f := newFeed(t, 2, 1<<20, feedOptions{https: true, suitOnly: true})
	once := func(cert string) result {
		cmd := exec.CommandContext(t.Context(), agent, "--dir", f.dir, "--once", "--json")
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+cert, "SSL_CERT_DIR="+t.TempDir())
		return runCmd(t, cmd)
	}
	// Without that certificate it is not HTTPS.
	if r := once("/dev/null"); r.code != 3 || !strings.Contains(r.answer(t).Cause, "certificate") {
		t.Errorf("unknown certificate: exit %d, %s", r.code, r.stdout)
	}
	for _, want := range []string{"staged", "accepted", "up-to-date"} {
		if a := once(f.cert).ok(t).answer(t); a.Result != want {
			t.Fatalf("got %s, want %s", a.Result, want)
		}
	}
	if got := f.slot(t, "B", 1<<20); got != f.image {
		t.Errorf("slot B holds %s, want %s", got, f.image)
	}
}

// smallAgent builds the agent with tags, static and stripped, and returns its path. It may have at most limit bytes.
func smallAgent(t *testing.T, tags string, limit int64) string {
	t.Helper()
	agent := filepath.Join(t.TempDir(), "agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-trimpath", "-ldflags=-s -w", "-o", agent, "./agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	runCmd(t, build).ok(t)
	st, err := os.Stat(agent)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("agent has %d bytes", st.Size())
	if st.Size() > limit {
		t.Errorf("agent has %d bytes, want at most %d", st.Size(), limit)
	}
	return agent
}
