// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package mutant proves that a test finds faults: it builds the shipped source
// with one place changed, runs the test, and demands that the test fails by
// naming the invariant that the change breaks. It is for tests only.
//
// The source on disk is not touched: the go command gets the changed file
// through its -overlay flag, in a process of its own.
package mutant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Mutant is one change and the test that must find it.
type Mutant struct {
	Name string // of the fault, for messages

	// File is the source file, relative to the module root, with slashes. Old,
	// which may span lines, occurs in it exactly once and is replaced by New.
	File, Old, New string

	Package   string // with the test, as "./internal/durable"
	TestRun   string // the -run pattern of the test, anchored: "^TestX$"
	Invariant string // that the test must find violated: "S2"; "S2|S3" for either

	// Timeout is how long the test may take; by default as long as the test that runs the mutant itself has left, as on a busy
	// machine nothing less tells one that hangs from one that is slow. It is passed to the test; a test that runs into it has
	// neither found the fault nor passed.
	Timeout time.Duration
}

// TB is the part of testing.TB that [Run] needs.
type TB interface {
	Helper()
	Context() context.Context
	TempDir() string
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var (
	errEdit     = errors.New("cannot be applied")
	errBuild    = errors.New("does not compile")
	errSurvived = errors.New("survived: the test passed")
	errTimeout  = errors.New("neither found nor passed in the time that there was")
	errCrashed  = errors.New("crashed the test instead of violating an invariant")
	errOther    = errors.New("failed, but not by the invariant")
	errNoTest   = errors.New("no test ran")
)

// Run applies the mutant, checks that it compiles, runs the test, and fails tb
// unless the mutant was killed: unless the test failed and reported "S2
// violated", as simfs.Violation does.
func Run(tb TB, m Mutant) {
	tb.Helper()
	if m.Timeout <= 0 {
		m.Timeout = left(tb)
	}
	line, err := m.run(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatalf("mutant %s (%s): %v", m.Name, m.File, err)
	}
	tb.Logf("mutant %s: killed: %s", m.Name, line)
}

// grace is what a test keeps of its own time to say what came of a mutant.
const grace = 5 * time.Second

// left is how long tb may still take: for ever without a deadline.
func left(tb TB) time.Duration {
	if t, ok := tb.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := t.Deadline(); ok {
			return max(time.Until(deadline)-grace, 1)
		}
	}
	return 0
}

// run returns the line that reports the violation.
func (m Mutant) run(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "mutant.test")
	if out, err := command(ctx, root, "go", "test", "-c", "-overlay", overlay, "-o", binary, m.Package); err != nil {
		return "", fmt.Errorf("%w: %v\n%s", errBuild, err, out)
	}
	out, err := command(ctx, filepath.Join(root, filepath.FromSlash(m.Package)),
		binary, "-test.run", m.TestRun, "-test.timeout", m.Timeout.String())
	return m.judge(out, err)
}

// overlay writes the changed file and the description of it for the go command.
func (m Mutant) overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.File))
	src, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(src), m.Old); n != 1 || m.Old == m.New {
		return "", fmt.Errorf("%w: the old text occurs %d times, want once, and another new one", errEdit, n)
	}
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(src), m.Old, m.New, 1)), 0o600); err != nil {
		return "", err
	}
	desc, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, desc, 0o600)
}

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |SIG[A-Z]+: )|\bpanic: .*\n\s*goroutine `)

// judge tells whether a test that ended with err and printed out has found the
// invariant violated.
func (m Mutant) judge(out []byte, err error) (string, error) {
	if strings.Contains(string(out), "no tests to run") {
		return "", fmt.Errorf("%w: %s", errNoTest, m.TestRun)
	}
	if err == nil {
		return "", errSurvived
	}
	if bytes.Contains(out, []byte("panic: test timed out after")) {
		return "", fmt.Errorf("%w: %v", errTimeout, m.Timeout)
	}
	if crash.Match(out) {
		return "", fmt.Errorf("%w:\n%s", errCrashed, out)
	}
	named := regexp.MustCompile(`\b(?:` + m.Invariant + `) violated: .*`)
	line := named.Find(out)
	if line == nil {
		return "", fmt.Errorf("%w %s:\n%s", errOther, m.Invariant, out)
	}
	return string(line), nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := command(ctx, ".", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/firmament-dev/firmament")
	if err != nil {
		return "", fmt.Errorf("find the module: %w\n%s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func command(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FIRMAMENT_REPLAY=")
	return cmd.CombinedOutput()
}
