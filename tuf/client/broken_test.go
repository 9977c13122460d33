// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs/mutant"
	"github.com/firmament-dev/firmament/tuf/clienttest"
)

// broken is a client with one fault, and the cases of clienttest that must find it, as patterns of path.Match over what follows "::".
type broken struct {
	name  string
	edits []mutant.Edit
	found []string
}

// The tests that ask the cases; brokenIndexes is for the second.
const conformance, sealed = "TestM1_Conformance", "TestM1_ConformanceSealed"

const matrix = "FIRMAMENT_TUF_MATRIX"

// TestM1_BrokenClients: each case of clienttest fails for at least one client that is broken on purpose, and each of these fails the cases that
// are about its fault. With FIRMAMENT_TUF_MATRIX=1 every case is asked of every one of them, and how many fail is printed.
func TestM1_BrokenClients(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package once and runs it once per broken client")
	}
	all := slices.Concat(brokenSignatures, brokenRoots, brokenVersions, brokenTime, brokenFiles, brokenDelegations, brokenCaches, brokenIndexes, brokenRepositories)
	var variants []mutant.Variant
	for _, b := range all {
		variants = append(variants, mutant.Variant{Name: b.name, Edits: b.edits})
	}
	set := mutant.NewSet(t, "./tuf/client", variants)
	if list := set.Failing(t, "", "^TestM1_Conformance(Sealed)?$"); list != nil {
		t.Fatalf("the client fails, with no fault in it: %q", list)
	}
	whole := os.Getenv(matrix) != ""
	foundBy := map[string]int{}
	var rows strings.Builder
	for _, b := range all {
		want, test := b.cases(t), conformance
		if slices.ContainsFunc(brokenIndexes, func(x broken) bool { return x.name == b.name }) {
			test = sealed
		}
		run := "^" + test + "$"
		if !whole {
			run += "/" + oneOf(want)
		}
		fails := set.Failing(t, b.name, run)
		for _, name := range fails {
			foundBy[strings.TrimPrefix(name, test+"/")]++
		}
		fmt.Fprintf(&rows, "%4d  %s\n", len(fails), b.name)
		for _, name := range want {
			if !slices.Contains(fails, test+"/"+name) {
				t.Errorf("%s: %s does not find it", b.name, name)
			}
		}
		if len(fails) == len(clienttest.Cases()) {
			t.Errorf("%s: every case fails, which tells nothing", b.name)
		}
	}
	t.Logf("cases that fail, by broken client:\n%s", &rows)
	rows.Reset()
	for _, c := range clienttest.Cases() {
		n := foundBy[subtest(c.ID)]
		fmt.Fprintf(&rows, "%4d  %s\n", n, c.ID)
		if n == 0 {
			t.Errorf("%s: no broken client fails it", c.ID)
		}
	}
	t.Logf("broken clients that fail, by case:\n%s", &rows)
	if !whole {
		t.Logf("asked were only the cases that are about each fault; all of them with %s=1", matrix)
	}
}

// cases is the subtests of the cases that must find the fault.
func (b broken) cases(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range b.found {
		n := len(names)
		for _, c := range clienttest.Cases() {
			_, name, _ := strings.Cut(c.ID, "::")
			if match(t, pattern, strings.TrimPrefix(name, "TestRepositorySimulator::")) {
				names = append(names, subtest(c.ID))
			}
		}
		if len(names) == n {
			t.Errorf("%s: no case matches %q", b.name, pattern)
		}
	}
	return names
}

// subtest is how the testing package spells a name.
func subtest(id string) string { return strings.ReplaceAll(id, " ", "_") }

// oneOf is a pattern for -run. What follows a slash in a name is left to chance: it would be another level.
func oneOf(names []string) string {
	var list []string
	for _, name := range names {
		first, _, _ := strings.Cut(name, "/")
		list = append(list, regexp.QuoteMeta(first))
	}
	return "^(" + strings.Join(list, "|") + ")$"
}

// match is path.Match for which brackets and slashes are characters like others.
func match(t *testing.T, pattern, name string) bool {
	t.Helper()
	ok, err := path.Match(strings.NewReplacer("[", `\[`, "/", "|").Replace(pattern), strings.ReplaceAll(name, "/", "|"))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func edit(file, before, after string) mutant.Edit {
	return mutant.Edit{File: "tuf/" + file, Old: before, New: after}
}

func edits(list ...mutant.Edit) []mutant.Edit { return list }
