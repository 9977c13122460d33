// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
)

// asCommand makes this test binary firmctl, so that a test can kill it.
const asCommand = "FIRMCTL_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func put(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// firmctl runs a command, wants its exit code and returns the object that it printed.
func firmctl(t *testing.T, code int, args ...string) map[string]any {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := run(t.Context(), append(args, "--json"), &stdout, &stderr); got != code {
		t.Fatalf("firmctl %q: exit %d, want %d\n%s", args, got, code, stderr.String())
	}
	var out map[string]any
	if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
		t.Fatalf("firmctl %q printed %q: %v", args, stdout.String(), err)
	}
	return out
}

// bent returns a copy of p with a bit flipped.
func bent(p []byte, at int) []byte {
	p = bytes.Clone(p)
	p[at] ^= 1
	return p
}

func wantFile(t *testing.T, name string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes, want the %d right ones: %v", name, len(got), len(want), err)
	}
}

// site serves dir and counts the bytes of bodies.
func site(t *testing.T, dir string) (string, *atomic.Int64) {
	t.Helper()
	var sent atomic.Int64
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files.ServeHTTP(&countingWriter{w, &sent}, r) }))
	t.Cleanup(s.Close)
	return s.URL + "/", &sent
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

func TestFetchChunkDelta(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	old := noise(1, 1<<20)
	image := bytes.Join([][]byte{old[:300_000], noise(2, 50_000), old[300_000:]}, nil)
	put(t, in("old"), old)
	put(t, in("new"), image)
	url, _ := site(t, dir)
	sum := fmt.Sprintf("%x", sha256.Sum256(image))
	basic := []string{"fetch", "--url", url + "new", "--sha256", sum, "--size", fmt.Sprint(len(image)), "--out", in("out")}

	if out := firmctl(t, 0, basic...); out["present"] != false || out["bytes_fetched"].(float64) != float64(len(image)) {
		t.Errorf("first: %v", out)
	}
	wantFile(t, in("out"), image)
	if out := firmctl(t, 0, basic...); out["present"] != true || out["bytes_fetched"].(float64) != 0 || out["requests"].(float64) != 0 {
		t.Errorf("again: %v", out)
	}
	anew := func() { put(t, in("out"), append(bytes.Clone(image[:len(image)-1]), 1)) } // of the right length
	anew()

	made := firmctl(t, 0, "chunk", "make", in("new"), "--chunk-size", "16384")
	root := made["root"].(string)
	firmctl(t, 0, "chunk", "verify", in("new"), "--chunk-size", "16384", "--root", root)
	firmctl(t, 0, "chunk", "info", in("new.caibx"))
	firmctl(t, 0, "chunk", "extract", in("new.caibx"), "--seed", in("new"), "--out", in("copy"))
	wantFile(t, in("copy"), image)
	firmctl(t, 2, "chunk", "extract", in("new.caibx"), "--seed", in("old"), "--out", in("none"))

	// The old image is a seed. What is there is another file.
	out := firmctl(t, 0, append(basic, "--url", url+"new", "--index", in("new.caibx"), "--seed", in("old"), "--root", root, "--chunk-size", "16384")...)
	wantFile(t, in("out"), image)
	if got := out["bytes_fetched"].(float64); got > 200_000 || out["bytes_reused"].(float64) < 900_000 {
		t.Errorf("with a seed: %v", out)
	}
	put(t, in("bad"), append(bytes.Clone(image[:len(image)-1]), 1))
	put(t, in("bad.chunks"), nil)
	firmctl(t, 1, "fetch", "--url", url+"bad", "--sha256", sum, "--size", fmt.Sprint(len(image)), "--out", in("never"))
	if out := firmctl(t, 0, "fetch", "--url", url+"bad", "--url", url+"new", "--sha256", sum, "--size", fmt.Sprint(len(image)), "--out", in("second")); out["requests"].(float64) != 2 {
		t.Errorf("a wrong file, and a mirror with the right one: %v", out)
	}
	wantFile(t, in("second"), image)
	anew()
	firmctl(t, 3, append(basic, "--max-bytes", "1000")...)
	for _, wrong := range [][]string{{"--parallel", "2"}, {"--parallel", "9", "--root", root}, {"--max-bytes", "-1"}, {"--rate", "-1"}, {"--url", "file:///new"},
		{"--root", root, "--chunk-size", "5"}} {
		firmctl(t, 2, append(basic, wrong...)...)
	}
	for _, name := range []string{"never", "none", "never.part", ".never.fetch.0", ".never.fetch.1"} {
		if _, err := os.Stat(in(name)); err == nil {
			t.Errorf("%s appeared", name)
		}
	}
	out = firmctl(t, 0, append(basic, "--root", root, "--chunk-size", "16384", "--url", url+"new")...)
	wantFile(t, in("out"), image)
	if got := out["bytes_fetched"].(float64) - out["bytes_digests"].(float64); got > float64(len(image)) || out["bytes_digests"].(float64) != 4096 {
		t.Errorf("by chunks: %v", out)
	}

	patch := firmctl(t, 0, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("patch"), "--memory-limit", "1MiB")
	if patch["size"].(float64) > 60_000 {
		t.Errorf("patch: %v", patch)
	}
	firmctl(t, 0, "delta", "apply", "--old", in("old"), "--patch", in("patch"), "--digest", patch["digest"].(string), "--out", in("applied"))
	wantFile(t, in("applied"), image)
	firmctl(t, 2, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("small"), "--frame-size", "5")
	firmctl(t, 2, "delta", "make", "--old", in("old"), "--new", in("new"), "--out", in("small"), "--memory-limit", "5")
	firmctl(t, 2, "delta", "make", "--old", in("old"), "--new", put(t, in("empty"), nil), "--out", in("small"))
	if left, _ := filepath.Glob(in("small*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	firmctl(t, 2, "delta", "apply", "--old", in("new"), "--patch", in("patch"), "--out", in("never"))
	firmctl(t, 1, "delta", "apply", "--old", in("old"), "--patch", in("patch"), "--digest", strings.Repeat("0", 64), "--out", in("never"))
}

// What an earlier run left is a seed, though nothing says what it is: with a byte that went bad in it, that costs its chunk, as it does in another seed.
func TestPartIsASeed(t *testing.T) {
	const half = 8 << 20
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 12<<20)
	put(t, in("new"), image)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	url, sent := site(t, dir)
	for name, c := range map[string]struct {
		part, seed []byte
		most       int64
	}{
		"sound part":               {image[:half], nil, int64(len(image) - half)},
		"bad byte in the part":     {bent(image[:half], 1<<20), nil, int64(len(image)-half) + 64<<10},
		"bad byte in the seed":     {nil, bent(image, 5<<20), 64 << 10},
		"part and seed, both bent": {bent(image[:half], 1<<20), bent(image, 5<<20), 0},
		"both bent in one place":   {bent(image[:half], 1<<20), bent(image, 1<<20), 64 << 10},
	} {
		args := []string{"fetch", "--url", url + "new", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--size", fmt.Sprint(len(image)), "--root", root,
			"--index", in("new.caibx"), "--out", in("out")}
		if c.part != nil {
			put(t, in("out.part"), c.part)
		}
		if c.seed != nil {
			args = append(args, "--seed", put(t, in("seed"), c.seed))
		}
		sent.Store(0)
		out := firmctl(t, 0, args...)
		wantFile(t, in("out"), image)
		if n := sent.Load(); n > c.most+64<<10+fetch.PageSize || out["bytes_fetched"].(float64) != float64(n) || out["bytes_reused"].(float64) < float64(len(image))-float64(n) {
			t.Errorf("%s: %d bytes sent, want at most %d and a chunk: %v", name, n, c.most, out)
		}
		if err := os.Remove(in("out")); err != nil {
			t.Fatal(err)
		}
	}
}

// An index need not be trusted, with chunk digests or without: one of another file costs what it led to.
func TestIndexOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 3<<20)
	other := bytes.Clone(image)
	other[1<<20] ^= 1
	put(t, in("new"), image)
	put(t, in("other"), other)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	firmctl(t, 0, "chunk", "make", in("other"))
	url, _ := site(t, dir)
	args := []string{"fetch", "--url", url + "new", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--size", fmt.Sprint(len(image)),
		"--index", in("other.caibx"), "--seed", in("other"), "--out"}
	out := firmctl(t, 0, append(args, in("whole"))...)
	wantFile(t, in("whole"), image)
	if out["bytes_fetched"].(float64) != float64(len(image)) || out["bytes_reused"].(float64) != 0 {
		t.Errorf("without chunk digests: %v", out)
	}
	out = firmctl(t, 0, append(args, in("chunks"), "--root", root)...)
	wantFile(t, in("chunks"), image)
	if out["bytes_fetched"].(float64) > 300_000 {
		t.Errorf("with chunk digests: %v", out)
	}
}

// Ranges come from the network alone: with seeds there is one stream, whatever --parallel says.
func TestSeedsDespiteParallel(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 16<<20)
	put(t, in("new"), image)
	old := bytes.Clone(image)
	old[8<<20] ^= 1
	put(t, in("old"), old)
	root := firmctl(t, 0, "chunk", "make", in("new"))["root"].(string)
	url, sent := site(t, dir)
	out := firmctl(t, 0, "fetch", "--url", url+"new", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--size", fmt.Sprint(len(image)), "--root", root,
		"--index", in("new.caibx"), "--seed", in("old"), "--parallel", "4", "--out", in("out"))
	wantFile(t, in("out"), image)
	if sent.Load() > 200_000 || out["bytes_reused"].(float64) < 15<<20 {
		t.Errorf("%d bytes sent: %v", sent.Load(), out)
	}
}

// A page that the first mirror serves instead of the file, without a length, leaves nothing that the second one's bytes are put behind.
//
// covers: NET-10
func TestPageBeforeFile(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 4<<20)
	put(t, in("new"), image)
	url, sent := site(t, dir)
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(noise(2, 1<<20))
		w.(http.Flusher).Flush()
	}))
	defer portal.Close()
	firmctl(t, 0, "fetch", "--url", portal.URL+"/new", "--url", url+"new", "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)), "--size", fmt.Sprint(len(image)), "--out", in("out"))
	wantFile(t, in("out"), image)
	if sent.Load() != int64(len(image)) {
		t.Errorf("%d bytes sent by the mirror that has the %d", sent.Load(), len(image))
	}
}
