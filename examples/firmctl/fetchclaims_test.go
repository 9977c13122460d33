// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A digest that is given is compared, whatever else is given; one that was not is not printed.
func TestFetchComparesBothClaims(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 1<<20)
	put(t, in("new"), image)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	sum, wrong := fmt.Sprintf("%x", sha256.Sum256(image)), strings.Repeat("0", 64)
	url, sent := site(t, dir)
	fetch := func(code int, more ...string) map[string]any {
		t.Helper()
		sent.Store(0)
		return firmctl(t, code, append([]string{"fetch", "--url", url + "new", "--size", fmt.Sprint(len(image)), "--out", in("out")}, more...)...)
	}
	for _, parallel := range []string{"1", "2"} {
		if out := fetch(1, "--root", root, "--sha256", wrong, "--parallel", parallel); out["error"] != "fetch.ErrDigest" {
			t.Errorf("a wrong digest beside the right root: %v", out)
		}
		if _, err := os.Stat(in("out")); err == nil {
			t.Fatal("a file with another digest than that of --sha256 appeared")
		}
		// What it cost is not lost.
		if out := fetch(0, "--root", root, "--sha256", strings.ToUpper(sum), "--parallel", parallel); sent.Load() > 4096 || out["sha256"] != sum || out["resumed_from"].(float64) != 1<<20 {
			t.Errorf("then with the right one: %d bytes sent, %v", sent.Load(), out)
		}
		wantFile(t, in("out"), image)
		if out := fetch(0, "--root", root); out["present"] != true || out["sha256"] != nil || sent.Load() > 4096 {
			t.Errorf("there already: %d bytes sent, %v", sent.Load(), out)
		}
		fetch(1, "--root", wrong, "--sha256", sum)
		put(t, in("out"), append(bytes.Clone(image[:len(image)-1]), 1))
		if out := fetch(0, "--root", root, "--parallel", parallel); out["present"] != false {
			t.Errorf("another file of that length was there: %v", out)
		}
		wantFile(t, in("out"), image)
		if err := os.Remove(in("out")); err != nil {
			t.Fatal(err)
		}
	}
	fetch(2)
	if left, _ := filepath.Glob(in(".*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// What the header of a patch says of the new image is compared with the image. NET-12
func TestDeltaApplyComparesResult(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	old := noise(1, 1<<20)
	image := append(bytes.Clone(old[:600_000]), noise(2, 300_000)...)
	put(t, in("old"), old)
	put(t, in("new"), image)
	firmctl(t, 0, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("patch"))
	patch, err := os.ReadFile(in("patch"))
	if err != nil {
		t.Fatal(err)
	}
	lying := bytes.Clone(patch)
	lying[64] ^= 1 // the first byte of the new image's digest
	put(t, in("lying"), lying)
	for _, part := range [][]byte{nil, old[:300_000]} { // one that an earlier run left is read back
		if part != nil {
			put(t, in("out.part"), part)
		}
		if out := firmctl(t, 1, "delta", "apply", "--old", in("old"), "--patch", in("lying"), "--out", in("out")); out["error"] != "fetch.ErrDigest" {
			t.Errorf("%v", out)
		}
	}
	if left, _ := filepath.Glob(in("out*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if out := firmctl(t, 0, "delta", "apply", "--old", in("old"), "--patch", in("patch"), "--out", in("out")); out["sha256"] != fmt.Sprintf("%x", sha256.Sum256(image)) {
		t.Errorf("%v", out)
	}
	for _, n := range []int{60, 200, len(patch) / 2, len(patch) - 1} {
		put(t, in("short"), patch[:n])
		if out := firmctl(t, 2, "delta", "apply", "--old", in("old"), "--patch", in("short"), "--out", in("never")); out["error"] != "input" {
			t.Errorf("patch cut at %d: %v", n, out)
		}
	}
}

// Nothing says what a part holds, and nothing has to: each chunk of it is compared with its signed digest. A bad byte costs its chunk, as in a
// part that is complete and whoever made it. NET-16
func TestRootBuildsOnAnyPart(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 8<<20)
	put(t, in("new"), image)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	url, sent := site(t, dir)
	for name, c := range map[string]struct {
		part []byte
		most int
	}{
		"complete":         {image, 0},
		"longer":           {append(bytes.Clone(image), 1, 2, 3), 0},
		"complete, bent":   {bent(image, 1<<20), 256 << 10},
		"half":             {image[:4<<20], 4 << 20},
		"half, bent":       {bent(image[:4<<20], 5), 4<<20 + 256<<10},
		"of another image": {noise(2, 5<<20), 8 << 20},
	} {
		for _, more := range [][]string{{"--parallel", "1"}, {"--parallel", "2"}, {"--sha256", fmt.Sprintf("%x", sha256.Sum256(image))}} {
			put(t, in("out.part"), c.part)
			sent.Store(0)
			out := firmctl(t, 0, append([]string{"fetch", "--url", url + "new", "--size", fmt.Sprint(len(image)), "--root", root, "--out", in("out")}, more...)...)
			wantFile(t, in("out"), image)
			if sent.Load() > int64(c.most)+2*4096 || out["resumed_from"].(float64) != float64(len(image)-c.most) {
				t.Errorf("%s, %q: %d bytes sent, want %d: %v", name, more, sent.Load(), c.most, out)
			}
			if err := os.Remove(in("out")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// With an index a byte that went bad on the way costs its chunk, also if only the whole is signed. What lies beside a seed is a help at most. NET-06
func TestIndexFindsBadByte(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 4<<20)
	put(t, in("new"), image)
	firmctl(t, 0, "chunk", "make", in("new"))
	put(t, in("seed"), image[1<<20:2<<20])
	put(t, in("seed.caibx"), []byte("junk"))
	flips, files := 1, http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files.ServeHTTP(&flipping{w, &flips}, r) }))
	defer server.Close()
	out := firmctl(t, 0, "fetch", "--url", server.URL+"/new", "--size", fmt.Sprint(len(image)), "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--index", in("new.caibx"),
		"--seed", in("seed"), "--out", in("out"))
	wantFile(t, in("out"), image)
	if n := out["bytes_fetched"].(float64); flips != 0 || n < 3<<20 || n > 3<<20+512<<10 {
		t.Errorf("%v", out)
	}
}

// flipping flips the last byte of the first large write.
type flipping struct {
	http.ResponseWriter
	left *int
}

func (w *flipping) Write(p []byte) (int, error) {
	if *w.left > 0 && len(p) >= 4096 {
		*w.left--
		p = bytes.Clone(p)
		p[len(p)-1] ^= 1
	}
	return w.ResponseWriter.Write(p)
}

// A part with another name is one that somebody else can change after it was verified; whatever is there under its name is left alone.
func TestPartIsNobodyElses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 100_000)
	put(t, in("old"), noise(2, 100_000))
	put(t, in("new"), image)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	firmctl(t, 0, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("patch"))
	url, _ := site(t, dir)
	commands := [][]string{
		{"fetch", "--url", url + "new", "--size", "100000", "--root", root, "--out", in("out")},
		{"fetch", "--url", url + "new", "--size", "100000", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--out", in("out")},
		{"delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("out")},
		{"delta", "apply", "--old", in("old"), "--patch", in("patch"), "--out", in("out")},
		{"chunk", "extract", in("new.caibx"), "--seed", in("new"), "--out", in("out")},
		{"chunk", "make", in("new"), "--out", in("out")},
	}
	for name, link := range map[string]func(old, new string) error{"symbolic link": os.Symlink, "hard link": os.Link} {
		for _, c := range commands {
			other := put(t, in("other"), []byte("precious"))
			if err := link(other, in("out.part")); err != nil {
				t.Skipf("needs a file system with links; set TMPDIR to a folder on one: %v", err)
			}
			firmctl(t, 2, c...)
			wantFile(t, other, []byte("precious"))
			if _, err := os.Lstat(in("out")); err == nil {
				t.Errorf("%s at the part: %q made the file", name, c)
			}
			if err := os.Remove(in("out.part")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is read is not written over, nor is what is no regular file. That the new image takes the place of the old one is what an update is.
func TestOutputIsNoInput(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	old, image := noise(2, 100_000), noise(1, 100_000)
	put(t, in("old"), old)
	put(t, in("new"), image)
	firmctl(t, 0, "chunk", "make", in("new"))
	firmctl(t, 0, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("patch"))
	url, _ := site(t, dir)
	fetch := []string{"fetch", "--url", url + "new", "--size", "100000", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--index", in("new.caibx"), "--seed", in("old"), "--out"}
	apply := []string{"delta", "apply", "--old", in("old"), "--patch", in("patch"), "--out"}
	extract := []string{"chunk", "extract", in("new.caibx"), "--seed", in("new"), "--out"}
	patch := []string{"delta", "make", "--old", in("old"), "--new", in("new"), "--out"}
	digests := []string{"chunk", "make", in("new"), "--out"}
	before := map[string][]byte{}
	for _, name := range []string{"old", "new", "new.caibx", "patch"} {
		b, err := os.ReadFile(in(name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = b
	}
	if err := os.Symlink("nowhere", in("dangling")); err != nil {
		t.Skipf("needs a file system with symbolic links; set TMPDIR to a folder on one: %v", err)
	}
	put(t, in("x.part"), old)
	for _, c := range [][]string{
		append(fetch, in("new.caibx")), append(apply, in("patch")), append(extract, in("new.caibx")), append(patch, in("old")), append(patch, in("new")), append(digests, in("new")),
		{"chunk", "make", in("new.caibx"), "--out", in("new.chunks")}, // the index would be beside it
		{"delta", "apply", "--old", in("x.part"), "--patch", in("patch"), "--out", in("x")},
		append(fetch, dir), append(apply, os.DevNull), append(extract, in("dangling")), append(patch, os.DevNull), append(patch, in("dangling")), append(digests, os.DevNull),
	} {
		firmctl(t, 2, c...)
	}
	for name, want := range before {
		wantFile(t, in(name), want)
	}
	wantFile(t, in("x.part"), old)
	if st, err := os.Lstat(os.DevNull); err != nil || st.Mode().IsRegular() {
		t.Fatalf("%s: %v, %v", os.DevNull, st, err)
	}
	firmctl(t, 0, append(apply, in("old"))...)
	wantFile(t, in("old"), image)
	put(t, in("old"), old)
	firmctl(t, 0, append(fetch, in("old"))...)
	wantFile(t, in("old"), image)
}
