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
		t.Skip(`FIRMAMENT_TUF_CONFORMANCE is not set. To run the suite (faketime is a Debian package):
	git clone https://github.com/theupdateframework/tuf-conformance suite && git -C suite checkout eec841c
	python3 -m venv suite/venv && suite/venv/bin/pip install tuf==7.0.0 'securesystemslib[crypto]==1.4.0' pytest==9.1.1
	FIRMAMENT_TUF_CONFORMANCE=$PWD/suite go test -timeout 20m -run TestM1_ConformanceSuite -v ./examples/tufclient`)
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
