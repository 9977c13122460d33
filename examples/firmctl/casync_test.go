// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// Indexes and stores go both ways between firmctl and the real casync, and an index that casync made of a seed is used.
func TestCasyncBothWays(t *testing.T) {
	if _, err := exec.LookPath("casync"); err != nil {
		t.Skip("casync is not installed: apt-get install casync")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	old := noise(1, 1<<20)
	image := bytes.Join([][]byte{old[:300_000], noise(2, 50_000), old[300_000:]}, nil)
	put(t, in("old"), old)
	put(t, in("new"), image)
	casync := func(args ...string) {
		t.Helper()
		cmd := exec.Command("casync", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
	for _, name := range []string{"old", "new"} {
		casync("make", "--chunk-size=16384", "--store="+name+".castr", name+".caibx", name)
	}
	out := firmctl(t, 0, "chunk", "extract", in("new.caibx"), "--store", in("new.castr"), "--seed", in("old"), "--out", in("got"))
	wantFile(t, in("got"), image)
	if reused := out["bytes_reused"].(float64); reused < 700_000 {
		t.Errorf("%v bytes reused, want at least 700000", reused)
	}
	firmctl(t, 0, "chunk", "make", in("new"), "--out", in("ours.chunks"), "--store", in("ours.castr"))
	casync("extract", "--store=ours.castr", "ours.caibx", "theirs")
	wantFile(t, in("theirs"), image)
}
