// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package examples_test drives the example programs as a user does: as processes, over files and HTTP.
package examples_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/examples/internal/product"
)

// bin is where TestMain builds the three programs.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (code int, err error) {
	if bin, err = os.MkdirTemp("", "firmament-examples-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	// Other users start them too, see TestM7_Unwritable.
	if err := os.Chmod(bin, 0o755); err != nil {
		return 0, err
	}
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "./agent", "./firmctl", "./quickstart")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("%v: %w", build.Args, err)
	}
	return m.Run(), nil
}

// A result is what one process left.
type result struct {
	stdout, stderr string
	code           int
}

// run starts a program of bin and waits for it.
func run(t *testing.T, name string, args ...string) result {
	t.Helper()
	return runCmd(t, exec.CommandContext(t.Context(), filepath.Join(bin, name), args...))
}

func runCmd(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// ok fails the test unless the process succeeded.
func (r result) ok(t *testing.T) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit %d, want 0\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
	}
	return r
}

// answer is the last line of standard output with --json.
type answer struct {
	Result   string `json:"result"`
	Error    string `json:"error"`
	Cause    string `json:"cause"`
	Next     string `json:"next"`
	Exit     int    `json:"exit"`
	State    string `json:"state"`
	Slot     string `json:"slot"`
	Accepted uint64 `json:"accepted"`
	Counter  uint64 `json:"counter"`
	Kept     int64  `json:"kept"`
	Way      string `json:"way"`
	Network  int64  `json:"network"`
}

func (r result) answer(t *testing.T) answer {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var a answer
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		t.Fatalf("last line of standard output: %v\nstdout: %s\nstderr: %s", err, r.stdout, r.stderr)
	}
	return a
}

// cycle runs the agent once and wants a result.
func cycle(t *testing.T, dir, want string, args ...string) answer {
	t.Helper()
	r := run(t, "agent", append([]string{"--dir", dir, "--once", "--json"}, args...)...)
	a := r.answer(t)
	if a.Result != want {
		t.Fatalf("agent: got %s %s, want %s\nstderr: %s", a.Result, a.Error, want, r.stderr)
	}
	return a
}

// random returns n bytes that depend on seed alone.
func random(seed uint64, n int64) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = src.Read(b) // never fails
	return b
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// serveDir serves a product's repository until the test ends.
func serveDir(t *testing.T, dir string) string {
	t.Helper()
	h, err := product.Handler(filepath.Join(dir, "repository"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// tree returns a line for each file and directory below dir: its name, kind and content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || !d.Type().IsRegular() {
			all[rel] = d.Type().String()
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		all[rel] = fmt.Sprintf("%x", h.Sum(nil))
		return errors.Join(err, f.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
