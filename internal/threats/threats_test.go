// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package threats

import (
	_ "embed"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

//go:embed required.txt
var required string

var (
	testName = regexp.MustCompile(`(?m)^func (?:Test|Fuzz)(\w+)\(`)
	inName   = regexp.MustCompile(`([A-Z]{3})((?:_\d\d)+)(?:_|$)`)
	caseName = regexp.MustCompile(`"([A-Z]{3}-\d\d)[ "]`)
	covers   = regexp.MustCompile(`(?m)^\s*// covers: (.+)$`)
)

// named returns the ids that the tests in source name.
func named(source string) (ids []string) {
	for _, name := range testName.FindAllStringSubmatch(source, -1) {
		for _, m := range inName.FindAllStringSubmatch(name[1], -1) {
			for number := range strings.SplitSeq(m[2][1:], "_") {
				ids = append(ids, m[1]+"-"+number)
			}
		}
	}
	for _, m := range caseName.FindAllStringSubmatch(source, -1) {
		ids = append(ids, m[1])
	}
	for _, m := range covers.FindAllStringSubmatch(source, -1) {
		ids = append(ids, strings.Split(m[1], ", ")...)
	}
	return ids
}

func TestNamed(t *testing.T) {
	got := named("func TestCOS_08_11_Sign(t\n// covers: REG-01, REG-02\nfunc FuzzTUF_03(f\nfunc TestM4_Run(t\nfunc helperCBR_01(t\n\t\t\"CMD-07 jump\": {},\n")
	if want := []string{"COS-08", "COS-11", "TUF-03", "CMD-07", "REG-01", "REG-02"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRequired prints which files have tests for each id; run it with -v.
func TestRequired(t *testing.T) {
	files := map[string][]string{}
	tree := os.DirFS("../..")
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "internal/threats/") {
			return err
		}
		source, err := fs.ReadFile(tree, name)
		for _, id := range named(string(source)) {
			if !slices.Contains(files[id], name) {
				files[id] = append(files[id], name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(required) {
		id, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if id == "" || id == "#" {
			continue
		}
		if files[id] == nil {
			t.Errorf("no test names %s", line)
			continue
		}
		t.Logf("%s %s", id, strings.Join(files[id], " "))
	}
}
