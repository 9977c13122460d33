// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/simfs/mutant"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// reference interprets the decoded model of a manifest, by the text of the drafts and the rules in
// doc.go, and in the plainest way: over maps, without rehearsal, journal or budgets. It
// shares no code with the processor. It knows nothing of strict-order false, dependencies, encryption and custom commands.
type reference struct {
	contents map[int]string // absent: none
	refs     map[int]int
	payloads map[string]string

	params   map[int]map[string]any
	changed  map[int]bool   // in this run
	matched  map[int]string // digest, in this run
	owed     map[int]bool   // a match before boot that failed and was softened
	unlinked map[int]bool
	booting  bool
	guessed  bool // a condition did not hold, and a rehearsal would not know
	effects  []string
}

// scope is a sequence with what ends with it.
type scope struct {
	outer   *scope
	index   []int
	soft    bool
	touched bool // an effect was had in it
}

// result is how a command or a sequence ends.
type result string

const (
	fine   result = "fine"
	failed result = "condition failed"
	broken result = "aborted"
)

func newReference(contents map[int]string, refs map[int]int, payloads map[string]string) *reference {
	r := &reference{contents: maps.Clone(contents), refs: maps.Clone(refs), payloads: payloads, params: map[int]map[string]any{},
		changed: map[int]bool{}, matched: map[int]string{}, owed: map[int]bool{}, unlinked: map[int]bool{}}
	for c := range programParts {
		r.params[c] = map[string]any{}
	}
	return r
}

// run is the sections in order, the shared sequence before each.
func (r *reference) run(m manifest.Manifest) result {
	for _, s := range []struct {
		seq  manifest.Sequence
		boot bool
	}{{m.PayloadFetch.Sequence, false}, {m.Install.Sequence, false}, {m.Validate, true}, {m.Invoke, true}} {
		if s.seq == nil {
			continue
		}
		r.booting = s.boot
		for _, seq := range []manifest.Sequence{m.Shared, s.seq} {
			if r.sequence(&scope{}, seq) != fine {
				return broken
			}
		}
		if len(r.owed) > 0 {
			return broken
		}
	}
	return fine
}

func (r *reference) sequence(s *scope, seq manifest.Sequence) result {
	for _, cmd := range seq {
		if cmd.Code == 12 {
			s.index = indicesOf(cmd.Index)
			continue
		}
		if cmd.Code == 34 {
			for _, o := range cmd.Overrides {
				r.assign(s, int(o.Index), o.Parameters, true)
				s.index = []int{int(o.Index)}
			}
			continue
		}
		for _, c := range s.index {
			if end := r.command(s, cmd, c); end != fine {
				return end
			}
		}
	}
	return fine
}

func indicesOf(i *manifest.ComponentIndex) (out []int) {
	if i.All {
		for c := range programParts {
			out = append(out, c)
		}
		return out
	}
	if i.List == nil {
		return []int{int(i.One)}
	}
	for _, c := range i.List {
		out = append(out, int(c))
	}
	return out
}

// command is one command on one component, by the numbers of the drafts.
func (r *reference) command(s *scope, cmd manifest.Command, c int) result {
	switch p := r.params[c]; cmd.Code {
	case 1:
		return holds(p["vendor"] == vendor)
	case 2:
		return holds(p["class"] == class)
	case 3:
		return r.imageMatch(c)
	case 4:
		return holds(p["before"] != nil && p["before"].(uint64) > 1000)
	case 5:
		return holds(p["slot"] == uint64(0))
	case 6:
		have, ok := r.contents[c]
		return r.guess(c, ok && p["content"] == have)
	case 14:
		return failed
	case 15:
		return r.tryEach(s, cmd, c)
	case 18:
		return r.write(s, c)
	case 19, 20:
		r.assign(s, c, cmd.Parameters, cmd.Code == 20)
		return fine
	case 21:
		return r.fetch(s, c)
	case 22:
		return r.copy(s, c)
	case 23:
		if p["digest"] == nil || r.matched[c] != p["digest"] {
			return broken
		}
		r.effect(s, "invoke %02x %v", c, orEmpty(p["args"]))
		return fine
	case 24: // condition-device-identifier: this device has none
		return failed
	case 25:
		if p["digest"] == nil || p["size"] == nil {
			return failed
		}
		return r.guess(c, !r.is(c))
	case 31:
		return r.swap(s, c)
	case 32:
		return r.runSequence(s, cmd, c)
	case 33:
		r.effect(s, "unlink %02x", c)
		if !r.unlinked[c] && r.refs[c] > 0 {
			r.unlinked[c] = true
			r.refs[c]--
		}
		return fine
	}
	panic(fmt.Sprintf("the generator makes no command %v", cmd.Code))
}

func holds(ok bool) result {
	if ok {
		return fine
	}
	return failed
}

// guess is holds for what a rehearsal cannot know, and takes for granted, once the component has changed.
func (r *reference) guess(c int, ok bool) result {
	r.guessed = r.guessed || (r.changed[c] && !ok)
	return holds(ok)
}

func orEmpty(v any) any {
	if v == nil {
		return ""
	}
	return v
}

// is reports whether a component holds its image.
func (r *reference) is(c int) bool {
	p := r.params[c]
	return sum(r.contents[c]) == p["digest"] && uint64(len(r.contents[c])) == p["size"]
}

func sum(s string) string { return verify.Sum(verify.SHA256, []byte(s)).String() }

func (r *reference) imageMatch(c int) result {
	p := r.params[c]
	delete(r.matched, c)
	if p["digest"] != nil && p["size"] != nil && r.is(c) {
		r.matched[c] = p["digest"].(string)
		delete(r.owed, c)
		return fine
	}
	if r.changed[c] {
		return broken
	}
	if r.booting {
		r.owed[c] = true
	}
	return failed
}

// tryEach: the first alternative that is fine.
func (r *reference) tryEach(s *scope, cmd manifest.Command, c int) result {
	for _, seq := range cmd.Sequences {
		alternative := &scope{outer: s, index: []int{c}, soft: true}
		switch end := r.sequence(alternative, seq); {
		case end == fine:
			return fine
		case end == broken, !alternative.soft, alternative.touched:
			return broken
		}
	}
	if cmd.Nil {
		return fine
	}
	return broken
}

func (r *reference) runSequence(s *scope, cmd manifest.Command, c int) result {
	inner := &scope{outer: s, index: []int{c}}
	end := r.sequence(inner, cmd.Sequences[0])
	switch {
	case end == failed && inner.touched:
		return broken
	case end == failed && inner.soft:
		return fine
	}
	return end
}

func (r *reference) fetch(s *scope, c int) result {
	p := r.params[c]
	if p["uri"] == nil || p["digest"] == nil || p["size"] == nil || r.refused(c) {
		return broken
	}
	data, ok := r.payloads[p["uri"].(string)]
	if !ok || sum(data) != p["digest"] || uint64(len(data)) != p["size"] {
		return broken
	}
	r.effect(s, "fetch %02x", c)
	r.put(c, data)
	return fine
}

func (r *reference) write(s *scope, c int) result {
	content, ok := r.params[c]["content"].(string)
	if !ok || r.refused(c) {
		return broken
	}
	r.effect(s, "write %02x", c)
	r.put(c, content)
	return fine
}

func (r *reference) copy(s *scope, c int) result {
	p := r.params[c]
	from, ok := p["source"].(int)
	if !ok || from == c || r.refused(c) {
		return broken
	}
	data, ok := r.contents[from]
	if !ok {
		return broken
	}
	if p["digest"] == nil || p["size"] == nil {
		if r.matched[from] == "" {
			return broken
		}
	} else if sum(data) != p["digest"] || uint64(len(data)) != p["size"] {
		return broken
	}
	r.effect(s, "write %02x", c)
	r.put(c, data)
	return fine
}

func (r *reference) swap(s *scope, c int) result {
	with, ok := r.params[c]["source"].(int)
	if !ok || with == c || r.refused(c) || r.refused(with) {
		return broken
	}
	r.effect(s, "swap %02x %02x", c, with)
	mine, iHad := r.contents[c]
	theirs, theyHad := r.contents[with]
	r.put(c, theirs)
	r.put(with, mine)
	if !theyHad {
		delete(r.contents, c)
	}
	if !iHad {
		delete(r.contents, with)
	}
	return fine
}

// refused: a component that manifests use is not written, unless this run has written it already.
func (r *reference) refused(c int) bool { return r.refs[c] > 0 && !r.changed[c] }

func (r *reference) put(c int, data string) {
	r.contents[c], r.changed[c] = data, true
	delete(r.matched, c)
}

func (r *reference) effect(s *scope, format string, args ...any) {
	r.effects = append(r.effects, fmt.Sprintf(format, args...))
	for ; s != nil; s = s.outer {
		s.touched = true
	}
}

func (r *reference) assign(s *scope, c int, p *manifest.Parameters, replace bool) {
	given := map[string]any{}
	if p.VendorID != nil {
		given["vendor"] = *p.VendorID
	}
	if p.ClassID != nil {
		given["class"] = *p.ClassID
	}
	if p.ImageDigest != nil {
		given["digest"] = p.ImageDigest.String()
	}
	if p.ImageSize != nil {
		given["size"] = *p.ImageSize
	}
	if p.Slot != nil {
		given["slot"] = *p.Slot
	}
	if p.UseBefore != nil {
		given["before"] = *p.UseBefore
	}
	if p.Content != nil {
		given["content"] = string(p.Content)
	}
	if p.URI != nil {
		given["uri"] = *p.URI
	}
	if p.SourceComponent != nil {
		given["source"] = int(*p.SourceComponent)
	}
	if p.InvokeArgs != nil {
		given["args"] = string(p.InvokeArgs)
	}
	for key, value := range given {
		if _, has := r.params[c][key]; replace || !has {
			r.params[c][key] = value
		}
	}
	if replace && p.SoftFailure != nil {
		s.soft = *p.SoftFailure
	}
}

const programParts = 3

var (
	programContents = []string{"", "A", "BB", "CCC"} // "": none
	programPayloads = map[string]string{"u1": "A", "u2": "BB", "u3": "CCC"}
)

// program makes structurally valid manifests out of any bytes.
type program struct {
	in    []byte
	depth int
}

func (g *program) next(n int) int {
	if len(g.in) == 0 {
		return 0
	}
	v := int(g.in[0])
	g.in = g.in[1:]
	return v % n
}

func (g *program) manifest() manifest.Manifest {
	prepare := seq{all(), override(manifest.Parameters{URI: new("u1")})}
	for i := range uint64(programParts) {
		prepare = append(prepare, index(i), g.image())
	}
	for range g.next(4) {
		if p := g.parameters(); p.Parameters != nil { // no override-multiple there
			prepare = append(prepare, p)
		}
	}
	m := release(programParts, shared(prepare...), g.section(), g.section())
	m.PayloadFetch.Sequence = g.section()
	if g.next(2) == 0 {
		m.Invoke = g.section()
	}
	return m
}

func (g *program) section() seq { return append(seq{g.index()}, g.sequence()...) }

func (g *program) sequence() (s seq) {
	for range 1 + g.next(5) {
		s = append(s, g.command()...)
	}
	return s
}

func (g *program) index() manifest.Command {
	switch k := g.next(6); k {
	case 3:
		return all()
	case 4:
		return indices(2, 0)
	case 5:
		return indices(0, 1)
	default:
		return index(uint64(k))
	}
}

// image sets digest and size, most often of the same thing.
func (g *program) image() manifest.Command {
	s := programContents[1+g.next(3)]
	size := uint64(len(s))
	if g.next(16) == 1 {
		size++
	}
	return override(manifest.Parameters{ImageDigest: digest(s), ImageSize: &size})
}

func (g *program) parameters() manifest.Command {
	var p manifest.Parameters
	kinds := 8
	if g.depth > 0 {
		kinds = 10 // soft-failure has no meaning at the top
	}
	switch g.next(kinds) {
	case 0:
		p.URI = new([]string{"u1", "u2", "u3", "nowhere"}[g.next(4)])
	case 1:
		p.SourceComponent = new(uint64(g.next(programParts)))
	case 2:
		p.Slot = new(uint64(g.next(2)))
	case 3:
		p.Content = []byte(programContents[g.next(4)])
	case 4:
		p.UseBefore = new(uint64(999 + g.next(3)))
	case 5:
		p.InvokeArgs = []byte{'x', byte('0' + g.next(3))}
	case 6:
		p.ClassID = []*manifest.UUID{&class, &other}[g.next(2)]
	case 7:
		p.ImageDigest = digest(programContents[1+g.next(3)])
	case 8, 9:
		return []manifest.Command{softly, hardly}[g.next(2)]
	}
	switch g.next(4) {
	case 0:
		return manifest.Command{Code: manifest.DirectiveSetParameters, Parameters: &p}
	case 1:
		return manifest.Command{Code: manifest.DirectiveOverrideMultiple,
			Overrides: []manifest.Override{{Index: uint64(g.next(programParts)), Parameters: &p}}}
	}
	return override(p)
}

// command is one command, with what it cannot go without: most manifests have sense.
func (g *program) command() seq {
	kind := g.next(24)
	if g.depth == 0 && kind >= 5 && kind <= 7 && g.next(4) > 0 {
		kind = 22 // at the top a failed condition ends it all
	}
	if g.depth > 2 && kind >= 19 {
		kind %= 19
	}
	switch kind {
	case 0, 1:
		return seq{g.index()}
	case 2, 3:
		return seq{g.parameters()}
	case 4:
		return seq{g.image()}
	case 5:
		return seq{{Code: []manifest.Code{1, 2, 4, 5, 6, 14, 24, 25}[g.next(8)]}}
	case 6, 7:
		return seq{imageMatch}
	case 8:
		s := programContents[1+g.next(3)]
		return seq{override(manifest.Parameters{ImageDigest: digest(s), ImageSize: new(uint64(len(s)))}), imageMatch}
	case 9, 10:
		n := 1 + g.next(3)
		return seq{override(manifest.Parameters{ImageDigest: digest(programContents[n]), ImageSize: new(uint64(n)), URI: new(fmt.Sprint("u", n))}), fetch}
	case 11:
		return seq{g.image(), fetch}
	case 12:
		return seq{override(manifest.Parameters{Content: []byte(programContents[1+g.next(3)])}), command(manifest.DirectiveWrite)}
	case 13:
		return seq{command(manifest.DirectiveWrite)}
	case 14, 15:
		return seq{override(manifest.Parameters{SourceComponent: new(uint64(g.next(programParts)))}), command([]manifest.Code{22, 31}[g.next(2)])}
	case 16:
		return seq{command(manifest.DirectiveUnlink)}
	case 17:
		return seq{invoke}
	case 18:
		return seq{imageMatch, invoke}
	}
	g.depth++
	defer func() { g.depth-- }()
	if kind < 21 {
		return seq{run(g.sequence()...)}
	}
	c := try(g.sequence(), g.sequence())
	c.Nil = g.next(3) == 0
	return seq{c}
}

// againstReference runs the program on both and reports what differs, "" for nothing. It also says how it ended.
func againstReference(t *testing.T, in []byte) (difference string, end result, effects int) {
	t.Helper()
	g := program{in: in}
	contents, refs, s := map[int]string{}, map[int]int{}, newStore(nil)
	for c := range programParts {
		cell := s.add(fmt.Sprintf("%02x", c))
		if data := programContents[g.next(4)]; data != "" {
			contents[c], cell.content = data, []byte(data)
		}
		refs[c] = max(g.next(12)-9, 0)
		cell.refs = uint64(refs[c])
	}
	for uri, data := range programPayloads {
		s.uris[uri] = []byte(data)
	}
	v, err := tryOpen(t, g.manifest())
	if err != nil {
		return "", "not a manifest", 0
	}
	want := newReference(contents, refs, programPayloads)
	end = want.run(v.Manifest())
	sections := []manifest.Section{manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionValidate}
	if v.Manifest().Invoke != nil {
		sections = append(sections, manifest.SectionInvoke)
	}
	err = startWith(t, v, processor.Options{Platform: s, Identity: identity}, sections...)
	switch {
	case err != nil && want.guessed && len(s.log) == 0:
		return "", "refused by rehearsal", 0 // see doc.go
	case (err == nil) != (end == fine):
		return fmt.Sprintf("the reference says %s, the processor %v; effects %q and %q", end, err, want.effects, s.log), end, 0
	case end != fine:
		// The processor may find out before the first effect.
		if len(s.log) > len(want.effects) || !slices.Equal(s.log, want.effects[:len(s.log)]) {
			return fmt.Sprintf("both abort (%v), after different effects: %q and %q", err, want.effects, s.log), end, 0
		}
		return "", end, len(s.log)
	}
	got := map[int]string{}
	for c := range programParts {
		if data := s.cells[fmt.Sprintf("%02x", c)].content; data != nil {
			got[c] = string(data)
		}
	}
	return cmp.Diff(want.effects, s.log) + cmp.Diff(want.contents, got), end, len(s.log)
}

// FuzzAgainstReference compares outcome, effects and final contents with the reference's.
func FuzzAgainstReference(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 50 {
		f.Add(randomProgram(rnd))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if diff, _, _ := againstReference(t, in); diff != "" {
			t.Fatal(diff)
		}
	})
}

func randomProgram(rnd *rand.Rand) []byte {
	in := make([]byte, 20+rnd.IntN(100))
	for i := range in {
		in[i] = byte(rnd.Uint32())
	}
	return in
}

// TestM4_AgainstReference is a part of FuzzAgainstReference that is always the same. The mutants run it.
func TestM4_AgainstReference(t *testing.T) {
	programs := 5000
	if testing.Short() {
		programs = 2000
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	ends, working := map[result]int{}, 0
	for range programs {
		in := randomProgram(rnd)
		diff, end, effects := againstReference(t, in)
		if diff != "" {
			t.Fatalf("M4 violated: %s\nprogram %#v", diff, in)
		}
		ends[end]++
		if end == fine && effects > 0 {
			working++
		}
	}
	t.Logf("%v, %d of them fine with effects", ends, working)
	if working < programs/50 {
		t.Errorf("only %d of %d programs do something and succeed", working, programs)
	}
}

// Bugs that were put into the processor are found by the comparison.
func TestM4_Mutants(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the package once per mutant")
	}
	for _, m := range []mutant.Mutant{
		{Name: "an effect does not harden", File: "control.go", Old: "e.soft && f.soft && !f.effects", New: "e.soft && f.soft"},
		{Name: "set replaces", File: "parameters.go", Old: "(!replace && f.has(&s.params))", New: "(!replace && f.has(&s.params) && c < 0)"},
		{Name: "what was matched stays after a change", File: "directive.go", Old: "s.written, s.assumed, s.matched, s.holds = true, false, zeroDigest, holds", New: "s.written, s.assumed, s.holds = true, false, holds"},
		{Name: "one component of a swap is not noted", File: "content.go", Old: "\tm.changed(source)\n", New: ""},
	} {
		m.File, m.Package, m.TestRun, m.Invariant = "manifest/processor/"+m.File, "./manifest/processor", "^TestM4_AgainstReference$", "M4"
		t.Run(m.Name, func(t *testing.T) { mutant.Run(t, m) })
	}
}
