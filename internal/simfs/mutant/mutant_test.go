// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"errors"
	"testing"
)

func TestJudge(t *testing.T) {
	failed := errors.New("exit status 1")
	for name, c := range map[string]struct {
		out  string
		err  error
		want error
	}{
		"killed":          {"--- FAIL: TestX\n    x.go:1: S2 violated: read \"\"\n", failed, nil},
		"survived":        {"PASS\n", nil, errSurvived},
		"no test":         {"testing: warning: no tests to run\nPASS\n", nil, errNoTest},
		"other":           {"--- FAIL: TestX\n    x.go:1: S4 violated: went down\n", failed, errOther},
		"no invariant":    {"--- FAIL: TestX\n    x.go:1: got 1, want 2\n", failed, errOther},
		"panic":           {"S2 violated: x\npanic: boom\n\ngoroutine 1 [running]:\n", failed, errCrashed},
		"caught panic":    {"    x.go:1: panic: S2 violated: boom\n        goroutine 7 [running]:\n", failed, errCrashed},
		"timeout":         {"panic: test timed out after 1s\n", failed, errTimeout},
		"found, but late": {"S2 violated: x\npanic: test timed out after 1s\n", failed, errTimeout},
		"longer number":   {"S22 violated: x\n", failed, errOther},
		"in other words":  {"XS2 violated: x\n", failed, errOther},
	} {
		m := Mutant{TestRun: "^TestX$", Invariant: "S2|S3"}
		if _, err := m.judge([]byte(c.out), c.err); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestMutantThatCannotBeJudged(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	m := Mutant{File: "internal/simfs/fs.go", Package: "./internal/simfs", TestRun: "^TestDeviceBounds$", Invariant: "S2"}
	for name, c := range map[string]struct {
		old, new string
		want     error
	}{
		"text is not there":   {"no such text", "x", errEdit},
		"text is there twice": {"WriterAt", "x", errEdit},
		"nothing changes":     {"ErrBusy = errors", "ErrBusy = errors", errEdit},
		"does not compile":    {"ErrBusy = errors", "ErrBusy := errors", errBuild},
		"test passes":         {"fs.ValidPath(name)", "!fs.ValidPath(name)", errSurvived},
		"no time":             {"fs.ValidPath(name)", "!fs.ValidPath(name)", errTimeout},
	} {
		m.Old, m.New, m.Timeout = c.old, c.new, 0
		if c.want == errTimeout {
			m.Timeout = 1
		}
		if _, err := m.run(t.Context(), t.TempDir()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestSetThatCannotBeBuilt(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	const file = "internal/simfs/fs.go"
	good := Edit{file, "fs.ValidPath(name)", "!fs.ValidPath(name)"}
	for name, c := range map[string]struct {
		edits []Edit
		want  error
	}{
		"text is not there":   {[]Edit{{file, "no such text", "x"}}, errEdit},
		"text is there twice": {[]Edit{{file, "WriterAt", "x"}}, errEdit},
		"nothing changes":     {[]Edit{{file, "fs.ValidPath(name)", "fs.ValidPath(name)"}}, errEdit},
		"outside a function":  {[]Edit{{file, "ErrBusy = errors", "ErrBusy = x"}}, errEdit},
		"gone by then":        {[]Edit{{file, "fs.ValidPath(name)", "true"}, good}, errEdit},
		"does not compile":    {[]Edit{{file, "fs.ValidPath(name)", "fs.ValidPath()"}}, errBuild},
	} {
		if _, err := newSet(t, "./internal/simfs", []Variant{{Name: "x", Edits: c.edits}}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	s, err := newSet(t, "./internal/simfs", []Variant{{Name: "x", Edits: []Edit{good}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.failing(t, "", "^NoSuchTest$"); !errors.Is(err, errNoTest) {
		t.Errorf("%v, want %v", err, errNoTest)
	}
	if _, err := s.failing(t, "y", "."); err == nil {
		t.Error("an unknown variant runs")
	}
}
