// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/firmament-dev/firmament/tuf/clienttest"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// TestM1_Conformance: every question of the public conformance suite, over the command line and a web server.
func TestM1_Conformance(t *testing.T) {
	clienttest.Test(t, func(t testing.TB, root []byte, repo *tuftest.Repo) (clienttest.Client, error) {
		return newUser(t, root, repo)
	})
}

// TestM1_ConformanceSuite runs the suite itself, with an empty file of expected failures.
func TestM1_ConformanceSuite(t *testing.T) {
	suite := os.Getenv("FIRMAMENT_TUF_CONFORMANCE")
	if suite == "" {
		t.Skip("FIRMAMENT_TUF_CONFORMANCE is not set to a checkout of the suite: CONTRIBUTING.md, TUF conformance, has the steps")
	}
	client := filepath.Join(t.TempDir(), "tufclient")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", client, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.WriteFile(client+".xfails", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	python := filepath.Join(suite, "venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	pytest := exec.CommandContext(t.Context(), python, "-m", "pytest", "tuf_conformance", "-q", "-p", "no:cacheprovider", "--entrypoint", client)
	pytest.Dir = suite
	out, err := pytest.CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^113 passed in `).Match(out) {
		t.Fatalf("pytest: %v, want 113 passed\n%s", err, out)
	}
	t.Logf("%s", out)
}
