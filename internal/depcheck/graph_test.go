// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package depcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// graph is what imports what: import path to import paths, the standard library included.
type graph map[string][]string

// load lists the packages that match patterns, and everything they link, for one operating system.
// Test files are not in it. It uses the module in dir alone, without the workspace.
func load(t *testing.T, dir, goos string, args ...string) graph {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=ImportPath,Imports"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+goos, "GOARCH=arm64", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v in %s: %v\n%s", cmd.Args, dir, err, stderr.Bytes())
	}
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return g
		}
		if err != nil {
			t.Fatal(err)
		}
		g[p.ImportPath] = p.Imports
	}
}

// links returns everything path imports in turn, itself excepted, sorted.
func (g graph) links(path string) []string {
	seen := map[string]bool{path: true}
	var linked []string
	for todo := g[path]; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if !seen[next] {
			seen[next] = true
			linked = append(linked, next)
			todo = append(slices.Clip(todo), g[next]...)
		}
	}
	slices.Sort(linked)
	return linked
}

// ours returns the import paths of g that belong to the project, sorted.
func (g graph) ours() []string {
	var paths []string
	for path := range g {
		if within(path, module) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// within reports whether path is tree or below it.
func within(path string, trees ...string) bool {
	for _, tree := range trees {
		if path == tree || strings.HasPrefix(path, tree+"/") {
			return true
		}
	}
	return false
}
