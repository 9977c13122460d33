// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Zeros take no room on disk, and are read as zeros, also where something else was before.
func TestPartKeepsHoles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	image := bytes.Join([][]byte{[]byte("head"), make([]byte, 8<<20), []byte("tail"), make([]byte, 1<<20)}, nil)
	if err := os.WriteFile(name+".part", bytes.Repeat([]byte("old"), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := openPart(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reserve(int64(len(image))); err != nil { // as a download does
		t.Fatal(err)
	}
	for rest := image; len(rest) > 0; {
		n, err := p.Write(rest[:min(len(rest), 300_000)])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, image) {
		t.Fatalf("%d bytes, error %v, want the %d that were written", len(got), err, len(image))
	}
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil {
		t.Fatal(err)
	}
	if st.Blocks*512 > 1<<20 {
		t.Errorf("the file takes %d bytes on disk", st.Blocks*512)
	}
}

// Two processes that make the same file would write over what the other has verified.
func TestPartIsOneProcess(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	first, err := openPart(name)
	if err != nil {
		t.Fatal(err)
	}
	if !first.fresh {
		t.Error("a new part is not fresh")
	}
	if p, err := openPart(name); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second one: %v, %v", p, err)
	}
	if _, err := first.Write([]byte("some")); err != nil {
		t.Fatal(err)
	}
	if err := first.finish(); err != nil {
		t.Fatal(err)
	}
	second, err := openPart(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Write([]byte("other")); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if third, err := openPart(name); err != nil || third.fresh {
		t.Errorf("what has bytes of another run is fresh, or %v", err)
	}
	wantFile(t, name, []byte("some"))
}
