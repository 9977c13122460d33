// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// tufTags make a small agent that has TUF. Deltas bring a decompressor of 0.7 MB.
const tufTags = "smalljson,nodelta"

// TestM6_TUFAgent: an agent that does HTTPS, TUF and SUIT is small, does its work, and takes little memory while there is nothing to do.
func TestM6_TUFAgent(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the figures are for linux/amd64")
	}
	const (
		maxSize = 8_000_000
		maxIdle = 12_000_000
	)
	agent := smallAgent(t, tufTags, maxSize)
	list := runCmd(t, exec.CommandContext(t.Context(), "go", "list", "-deps", "-tags", tufTags, "./agent")).ok(t)
	if !strings.Contains(list.stdout, "firmament/tuf/client") || !strings.Contains(list.stdout, "firmament/manifest/processor") {
		t.Error("the agent does not link TUF and SUIT")
	}

	f := newFeed(t, 3, 1<<20, feedOptions{https: true})
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), agent, append([]string{"--dir", f.dir, "--json"}, args...)...)
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+f.cert, "SSL_CERT_DIR="+t.TempDir())
		return cmd
	}
	for _, want := range []string{"staged", "accepted"} {
		if a := runCmd(t, command("--once")).ok(t).answer(t); a.Result != want {
			t.Fatalf("got %s, want %s", a.Result, want)
		}
	}
	if got := f.slot(t, "B", 1<<20); got != f.image {
		t.Errorf("slot B holds %s, want %s", got, f.image)
	}
	idle, _ := firstAnswer(t, command("--every", "1h"), "up-to-date", resident)
	t.Logf("idle after a check: %d bytes resident", idle)
	if idle > maxIdle {
		t.Errorf("idle agent takes %d bytes, want at most %d", idle, maxIdle)
	}
}

// resident returns VmRSS of a process, in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}
