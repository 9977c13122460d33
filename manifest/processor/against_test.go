// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/simfs/mutant"
	"github.com/firmament-dev/firmament/manifest"
)

// trial is a program that has been run on both.
type trial struct {
	difference string // "" for none
	end        result
	effects    int
	want       *reference
}

const (
	noManifest = result("not a manifest")
	refusal    = result("refused, as it could not be known before whether it runs")
)

// againstReference runs a program on both. One with a shape of trapped has that in one section or more.
func againstReference(t *testing.T, in []byte, shape int) (got trial) {
	t.Helper()
	parallel := 1
	if len(in) > 0 {
		parallel += int(in[0] & 2)
		in = in[1:]
	}
	g := program{tb: t, in: in, shape: shape}
	g.manifest()
	v, err := openWith(t, registry, g.m)
	if err != nil {
		return trial{end: noManifest}
	}
	m := v.Manifest()
	want := newReference(g.w)
	want.seen = map[ending]int{}
	got.want, got.end = want, want.run(&m)
	s := g.w.store()
	var sections []manifest.Section
	for _, section := range everySection {
		if sectionOf(&m, section) != nil || (section != manifest.SectionValidate && section != manifest.SectionInvoke) {
			sections = append(sections, section)
		}
	}
	err = startWith(t, v, g.w.options(t, s, parallel), sections...)
	log, effects := s.log, want.effects
	if parallel > 1 {
		log, effects = slices.Sorted(slices.Values(log)), slices.Sorted(slices.Values(effects))
	}
	got.effects = len(log)
	blind, sure := refuses(g.w, &m, true)
	seeing, certain := refuses(g.w, &m, false)
	late := slices.Contains(want.effects, "fetch dd") // then all is looked at again before the next effect, with what is there by then
	switch refused := blind || seeing; {
	case !(sure && certain) && err != nil:
		got.end = refusal // too many combinations for this test
	case refused && err == nil && (blind || !late):
		got.difference = fmt.Sprintf("it ought to be refused, and had the effects %q", log)
	case blind && len(log) > 0:
		got.difference = fmt.Sprintf("it ought to be refused before the effects %q: %v", log, err)
	case refused && err != nil && got.end == fine:
		got.end = refusal // see doc.go
	case (err == nil) != (got.end == fine):
		got.difference = fmt.Sprintf("the reference says %s, the processor %v; effects %q and %q", got.end, err, effects, log)
	case err != nil && parallel == 1 && !(len(log) <= len(effects) && slices.Equal(log, effects[:len(log)])):
		got.difference = fmt.Sprintf("both abort (%v), after different effects: %q and %q", err, effects, log)
	case err != nil && parallel == 1 && !refused && !late && len(log) < len(effects):
		got.difference = fmt.Sprintf("it aborts (%v) before the effects %q, after %q", err, effects, log)
	case err == nil:
		contents := map[string]string{}
		for id, c := range s.cells {
			if c.content != nil {
				contents[id] = string(c.content)
			}
		}
		got.difference = cmp.Diff(effects, log) + cmp.Diff(want.contents, contents) + cmp.Diff(want.waits, len(s.waits))
	}
	return got
}

// FuzzAgainstReference compares outcome, effects, waits and final contents with the reference's.
func FuzzAgainstReference(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		f.Add(randomProgram(rnd))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if got := againstReference(t, in[:min(len(in), 1000)], -1); got.difference != "" {
			t.Fatal(got.difference)
		}
	})
}

func randomProgram(rnd *rand.Rand) []byte {
	in := make([]byte, 100+rnd.IntN(500))
	for i := range in {
		in[i] = byte(rnd.Uint32())
	}
	return in
}

// TestM4_AgainstReference is a part of FuzzAgainstReference that is always the same. The mutants run it.
func TestM4_AgainstReference(t *testing.T) {
	programs := 1000
	if testing.Short() {
		programs = 250
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	ends, working := map[result]int{}, 0
	seen := map[ending]int{}
	for range programs {
		in := randomProgram(rnd)
		got := againstReference(t, in, -1)
		if got.difference != "" {
			t.Fatalf("M4 violated: %s\nprogram %#v", got.difference, in)
		}
		if ends[got.end]++; got.end == fine && got.effects > 0 {
			working++
		}
		if got.end == fine {
			for e, n := range got.want.seen {
				seen[e] += n
			}
		}
	}
	t.Logf("%v, %d of them fine with effects; commands of those that are fine:\n%s", ends, working, coverage(seen))
	if ends[fine] < programs*6/10 {
		t.Errorf("only %d of %d programs run to the end", ends[fine], programs)
	}
	for _, code := range []manifest.Code{1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 31, 32, 33, 35, -256, -257} {
		if seen[ending{code, fine}] == 0 {
			t.Errorf("%v has never succeeded", code)
		}
	}
	for _, code := range []manifest.Code{1, 2, 3, 4, 5, 6, 8, 14, 24, 25, 26, 27, 28, 32, -256} {
		if seen[ending{code, failed}] == 0 {
			t.Errorf("%v has never failed and been softened", code)
		}
	}
}

// TestM4_Shapes is likewise for programs with a shape, most of which end the run.
func TestM4_Shapes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	programs := 50
	if testing.Short() {
		programs = 12
	}
	for shape := range shapes {
		for range programs {
			in := randomProgram(rnd)
			if got := againstReference(t, in, shape); got.difference != "" {
				t.Fatalf("M4 violated: shape %d: %s\nprogram %#v", shape, got.difference, in)
			}
		}
	}
}

func coverage(seen map[ending]int) string {
	codes := map[manifest.Code]bool{}
	for e := range seen {
		codes[e.code] = true
	}
	var b strings.Builder
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "%32v %7d fine %6d failed\n", code, seen[ending{code, fine}], seen[ending{code, failed}])
	}
	return b.String()
}

// Bugs that were put into the processor are found by the comparison.
func TestM4_Mutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package once per mutant")
	}
	for i, m := range []mutant.Mutant{
		{Name: "an effect does not harden", File: "control.go", Old: "e.soft && f.soft && !f.effects", New: "e.soft && f.soft"},
		{Name: "a run-sequence is soft", File: "control.go", Old: "nested: true, strict: true, indices: -1}", New: "nested: true, soft: true, strict: true, indices: -1}"},
		{Name: "only the first of a list", File: "control.go", Old: "f.current, f.several, f.all = list,", New: "f.current, f.several, f.all = list[:1],"},
		{Name: "no nil alternative", File: "control.go", Old: "if cmd.Nil {", New: "if cmd.Nil && c < 0 {"},
		{Name: "set replaces", File: "parameters.go", Old: "(!replace && f.has(&s.params))", New: "(!replace && f.has(&s.params) && c < 0)"},
		{Name: "another image was matched", File: "directive.go", Old: "(d == nil || s.matched.digest != *d)", New: "(d == nil || s.matched.digest.IsZero())"},
		{Name: "a dependency that was opened is written over", File: "directive.go", Old: "if _, kept := m.kept[t]; kept {", New: "if _, kept := m.kept[t]; kept && len(m.kept) < 0 {"},
		{Name: "written though in use", File: "directive.go", Old: "err == nil && others > 0 {\n\t\terr = fmt.Errorf(\"%w: %d other", New: "err == nil && others > 1 {\n\t\terr = fmt.Errorf(\"%w: %d other"},
		{Name: "no shared sequence of a dependency", File: "dependency.go", Old: "range []bool{true, false} {", New: "range []bool{false} {"},
		{Name: "a rehearsal waits", File: "environment.go", Old: "\tif m.mode == rehearsal {\n\t\treturn nil\n\t}\n\treturn m.call(func() error {\n\t\tif err := w.Wait", New: "\treturn m.call(func() error {\n\t\tif err := w.Wait"},
		{Name: "a swap foreseen as none", File: "content.go", Old: "mine, theirs := m.foresee(t), m.foresee(source)", New: "theirs, mine := m.foresee(t), m.foresee(source)"},
		{Name: "what is decrypted needs a matched source", File: "content.go", Old: "case want.IsZero() && !matched", New: "case !matched"},
		{Name: "an alternative is strict", File: "control.go", Old: "soft: true, strict: f.strict", New: "soft: true, strict: true"},
		{Name: "a failed match leaves the one before", File: "condition.go", Old: "\ts.matched = match{}\n\twant", New: "\twant"},
		{Name: "a copied source index is the copier's", File: "parameters.go", Old: "\t\t\t\tto.source = source.source", New: "\t\t\t\t_ = source"},
		{Name: "no match has to be made good", File: "machine.go", Old: "if s.failed != nil {", New: "if s.failed != nil && len(m.state) < 0 {"},
		{Name: "a match that was made good is still owed", File: "condition.go", Old: "s.matched, s.failed = want, nil", New: "s.matched = want"},
		{Name: "a dependency is left out", File: "dependency.go", Old: "has[s] && !m.done[d][s]", New: "has[s] && !m.done[d][s] && s < 0"},
		{Name: "a dependency is not uninstalled", File: "dependency.go", Old: "ok && used && others == 0 {", New: "ok && used && others == 0 && c < 0 {"},
		{Name: "any number of indices in a job", File: "control.go", Old: "\t\tf.indices--\n", New: ""},
		{Name: "override-multiple is none of them", File: "parameters.go", Old: "i > 0); err", New: "true); err"},
		{Name: "the size of a dependency counts", File: "condition.go", Old: "dependency || p.ImageSize == nil {", New: "dependency && c < 0 || p.ImageSize == nil {"},
		{Name: "a swap is no use of the source", File: "content.go", Old: "use{target: true, source: true}", New: "use{target: true}"},
		{Name: "an effect hardens the innermost sequence only", File: "directive.go", Old: "for ; f != nil; f = f.parent {\n\t\tf.effects = true", New: "for n := 0; f != nil; f = f.parent {\n\t\tf.effects = f.effects || n == 0\n\t\tn++"},
		{Name: "load does not decide about booting", File: "machine.go", Old: "case manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke:", New: "case manifest.SectionValidate, manifest.SectionInvoke:"},
		{Name: "what ends an alternative for good is soft further out", File: "condition.go", Old: "\t\tif f.try != nil {\n\t\t\treturn false\n\t\t}\n", New: ""},
		{Name: "two answers that are no are not rehearsed", File: "foresee.go", Old: "\t\t\tturns = append(turns, turn{m.denied, key})", New: "\t\t\tif m == first {\n\t\t\t\tturns = append(turns, turn{m.denied, key})\n\t\t\t}"},
		{Name: "what was used before strict-order true counts", File: "parallel.go", Old: "\t\tf.uses = nil\n", New: "\t\t_ = f.uses\n"},
	} {
		m.File, m.Package, m.TestRun, m.Invariant = "manifest/processor/"+m.File, "./manifest/processor", "^TestM4_(AgainstReference|Shapes)$", "M4"
		t.Run(m.Name, func(t *testing.T) {
			if i >= 8 && os.Getenv("FIRMAMENT_LARGE") == "" {
				t.Skip("the first eight show enough; all with FIRMAMENT_LARGE=1")
			}
			mutant.Run(t, m)
		})
	}
}
