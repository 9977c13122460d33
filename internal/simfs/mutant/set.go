// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package mutant

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Edit is a change inside one function: Old, which may span lines, occurs in File exactly once and becomes New. File is relative to the
// module root, with slashes.
//
// New may use mutantState, a sync.Map.
type Edit struct{ File, Old, New string }

// Variant is a mutant of several changes.
type Variant struct {
	Name  string
	Edits []Edit
}

// Set is a test binary that holds many variants, so that they are built once: every function that a variant changes is in it twice, and
// an environment variable says whose is called.
type Set struct {
	binary, dir string
	names       []string
}

const chosen = "FIRMAMENT_MUTANT"

// NewSet builds the tests of a package, named like "./tuf/client", with variants of the module's source in it.
func NewSet(tb TB, pkg string, variants []Variant) *Set {
	tb.Helper()
	s, err := newSet(tb, pkg, variants)
	if err != nil {
		tb.Fatalf("mutants of %s: %v", pkg, err)
	}
	return s
}

func newSet(tb TB, pkg string, variants []Variant) (*Set, error) {
	ctx, dir := tb.Context(), tb.TempDir()
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	s := &Set{binary: filepath.Join(dir, "mutants.test"), dir: filepath.Join(root, filepath.FromSlash(pkg))}
	files := map[string]*mutated{}
	var faulty []error
	for _, v := range variants {
		if slices.Contains(s.names, v.Name) {
			return nil, fmt.Errorf("variant %q: given twice", v.Name)
		}
		s.names = append(s.names, v.Name)
		for _, e := range v.Edits {
			if files[e.File] == nil {
				if files[e.File], err = read(filepath.Join(root, filepath.FromSlash(e.File))); err != nil {
					return nil, err
				}
			}
			if err := files[e.File].apply(v.Name, e); err != nil {
				faulty = append(faulty, fmt.Errorf("variant %q: %w", v.Name, err))
			}
		}
	}
	if faulty != nil {
		return nil, errors.Join(faulty...)
	}
	replace := map[string]string{}
	add := func(name, text string) error {
		out := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		replace[filepath.Join(root, filepath.FromSlash(name))] = out
		return os.WriteFile(out, []byte(text), 0o600)
	}
	packages := map[string]string{}
	for name, f := range files {
		packages[path.Dir(name)] = f.file.Name.Name
		if err := add(name, f.text()); err != nil {
			return nil, err
		}
	}
	for dir, name := range packages {
		text := fmt.Sprintf("package %s\nimport (\"os\"; \"sync\")\nvar mutantName = os.Getenv(%q)\nvar mutantState sync.Map\n", name, chosen)
		if err := add(path.Join(dir, "mutants_overlay.go"), text); err != nil {
			return nil, err
		}
	}
	desc, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, desc, 0o600); err != nil {
		return nil, err
	}
	if out, err := command(ctx, root, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", s.binary, pkg); err != nil {
		return nil, fmt.Errorf("%w: %v\n%s", errBuild, err, out)
	}
	return s, nil
}

var failed = regexp.MustCompile(`(?m)^ +--- FAIL: (.*) \(`)

// Failing runs a test with a variant, or with the source as it is if name is empty, and returns the names of the subtests that fail. A variant
// that crashes the test, or makes it last longer than five minutes, fails tb.
func (s *Set) Failing(tb TB, name, testRun string) []string {
	tb.Helper()
	list, err := s.failing(tb, name, testRun)
	if err != nil {
		tb.Fatalf("variant %q: %v", name, err)
	}
	return list
}

func (s *Set) failing(tb TB, name, testRun string) (list []string, err error) {
	if name != "" && !slices.Contains(s.names, name) {
		return nil, errors.New("no such variant")
	}
	cmd := exec.CommandContext(tb.Context(), s.binary, "-test.run", testRun, "-test.timeout", "5m")
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), chosen+"="+name)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "no tests to run") {
		return nil, fmt.Errorf("%w: %s", errNoTest, testRun)
	}
	if crash.Match(out) {
		return nil, fmt.Errorf("%w:\n%s", errCrashed, out)
	}
	for _, m := range failed.FindAllSubmatch(out, -1) {
		list = append(list, string(m[1]))
	}
	if (err != nil) != (len(list) > 0) {
		return nil, fmt.Errorf("%d subtests failed, and the test ended with %v:\n%s", len(list), err, out)
	}
	return list, nil
}

// mutated is a source file and the functions that variants change in it.
type mutated struct {
	src   string
	fset  *token.FileSet
	file  *ast.File
	funcs map[*ast.FuncDecl]map[string]string // the text of the function, by variant
}

func read(path string) (*mutated, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &mutated{src: string(src), fset: token.NewFileSet(), funcs: map[*ast.FuncDecl]map[string]string{}}
	m.file, err = parser.ParseFile(m.fset, path, src, parser.SkipObjectResolution)
	return m, err
}

func (m *mutated) offset(p token.Pos) int { return m.fset.Position(p).Offset }

func (m *mutated) apply(variant string, e Edit) error {
	at := strings.Index(m.src, e.Old)
	if strings.Count(m.src, e.Old) != 1 || e.Old == e.New {
		return fmt.Errorf("%w: the old text occurs %d times in %s, want once, and another new one: %q", errEdit, strings.Count(m.src, e.Old), e.File, e.Old)
	}
	for _, d := range m.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil || at <= m.offset(f.Body.Lbrace) || at+len(e.Old) > m.offset(f.Body.Rbrace) {
			continue
		}
		if m.funcs[f] == nil {
			m.funcs[f] = map[string]string{}
		}
		text, ok := m.funcs[f][variant]
		if !ok {
			text = m.src[m.offset(f.Pos()):m.offset(f.End())]
		}
		if strings.Count(text, e.Old) != 1 {
			return fmt.Errorf("%w: another edit changed %q", errEdit, e.Old)
		}
		m.funcs[f][variant] = strings.Replace(text, e.Old, e.New, 1)
		return nil
	}
	return fmt.Errorf("%w: not inside a function of %s: %q", errEdit, e.File, e.Old)
}

// text is the file with a switch at the beginning of every such function, and the variants of it at the end.
func (m *mutated) text() string {
	var b, end strings.Builder
	rest := 0
	byPlace := func(a, b *ast.FuncDecl) int { return cmp.Compare(a.Pos(), b.Pos()) }
	for _, f := range slices.SortedFunc(maps.Keys(m.funcs), byPlace) {
		body := m.offset(f.Body.Lbrace) + 1
		b.WriteString(m.src[rest:body])
		rest = body
		b.WriteString("\nswitch mutantName {\n")
		for i, variant := range slices.Sorted(maps.Keys(m.funcs[f])) {
			name := fmt.Sprintf("%sVariant%d", f.Name.Name, i)
			fmt.Fprintf(&b, "case %q:\n%s\n", variant, call(f, name))
			text := m.funcs[f][variant]
			at := m.offset(f.Name.Pos()) - m.offset(f.Pos())
			fmt.Fprintf(&end, "\n%s%s%s\n", text[:at], name, text[at+len(f.Name.Name):])
		}
		b.WriteString("}\n")
	}
	return b.String() + m.src[rest:] + end.String()
}

// call is a statement that leaves f by way of name. Parameters, a receiver among them, need names.
func call(f *ast.FuncDecl, name string) string {
	var args, types []string
	if f.Recv != nil {
		name = f.Recv.List[0].Names[0].Name + "." + name
	}
	if f.Type.TypeParams != nil {
		for _, field := range f.Type.TypeParams.List {
			for _, n := range field.Names {
				types = append(types, n.Name)
			}
		}
		name += "[" + strings.Join(types, ", ") + "]"
	}
	for _, field := range f.Type.Params.List {
		_, variadic := field.Type.(*ast.Ellipsis)
		for _, n := range field.Names {
			arg := n.Name
			if variadic {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	text := name + "(" + strings.Join(args, ", ") + ")"
	if f.Type.Results != nil {
		return "return " + text
	}
	return text + "\nreturn"
}
