// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
)

// policies gives the commands of m reporting policies: with any of them it can be told whether the command was successful.
func policies(rnd *rand.Rand, m *manifest.Manifest) {
	var set func(seq manifest.Sequence, choices ...manifest.ReportingPolicy)
	set = func(seq manifest.Sequence, choices ...manifest.ReportingPolicy) {
		for i := range seq {
			c := &seq[i]
			switch c.Code {
			case manifest.DirectiveSetComponentIndex, manifest.DirectiveOverrideParameters, manifest.DirectiveSetParameters,
				manifest.DirectiveOverrideMultiple, manifest.DirectiveCopyParams, manifest.DirectiveTryEach, manifest.DirectiveRunSequence:
			default:
				if c.Code > manifest.MaxCustom {
					c.Policy = choices[rnd.IntN(len(choices))]
				}
			}
			for _, s := range c.Sequences {
				set(s, choices...)
			}
		}
	}
	const success, failure = manifest.RecordOnSuccess, manifest.RecordOnFailure
	set(m.Shared, success, failure, success|failure, 15)
	for _, s := range everySection {
		set(sectionOf(m, s), success, failure, success|failure, 15)
	}
	set(m.Uninstall, success|failure) // that an unlink uninstalls shows from its records
}

// loose reports whether commands of m may run at the same time.
func loose(m manifest.Manifest) bool {
	var in func(seq manifest.Sequence) bool
	in = func(seq manifest.Sequence) bool {
		return slices.ContainsFunc(seq, func(c manifest.Command) bool {
			return (c.Parameters != nil && c.Parameters.StrictOrder != nil && !*c.Parameters.StrictOrder) || slices.ContainsFunc(c.Sequences, in)
		})
	}
	return in(m.Shared) || in(m.Uninstall) || slices.ContainsFunc(everySection, func(s manifest.Section) bool { return in(sectionOf(&m, s)) })
}

// bystander sees what a processor does, and has it reported.
type bystander struct {
	report.Recorder
	failed []*processor.Error
	lines  []string
}

// event is for processor.Options.OnEvent.
func (w *bystander) event(e processor.Event) {
	w.Recorder.Event(e)
	placed, ok := errors.AsType[*processor.Error](e.Err)
	if ok && placed.Section == e.Section && placed.Shared == e.Shared && slices.Equal(placed.Path, e.Path) && slices.Equal(placed.Manifest, e.Manifest) {
		w.failed = append(w.failed, placed)
	} else if ok && !slices.Contains(w.failed, placed) {
		return // it was not done, as another command is going to fail
	}
	if e.Command == manifest.DirectiveTryEach || e.Command == manifest.DirectiveRunSequence {
		return
	}
	path := e.Path
	if e.Component >= 0 {
		path = path[:len(path)-1]
	}
	w.lines = append(w.lines, tell(e.Manifest, e.Section, e.Shared, path, e.Component, e.Command, e.Err == nil))
}

func tell(walk []int, s manifest.Section, shared bool, path []int, c int, code manifest.Code, ok bool) string {
	return fmt.Sprint(walk, " ", s, " ", shared, " ", path, " ", c, " ", code, " ", ok)
}

// honest compares what the report of a run of v that has returned err tells with what was seen.
// log is what the platform has seen.
func (w *bystander) honest(v *manifest.Verified, at report.Dependencies, err error, ordered, loose bool, log []string, sections []manifest.Section) error {
	r, wrong := w.Report(v, err)
	if wrong != nil {
		return wrong
	}
	b, wrong := r.Encode()
	if wrong == nil {
		r, wrong = report.Decode(b)
	}
	if wrong != nil {
		return wrong
	}
	if r.Result.OK() != (err == nil) {
		return fmt.Errorf("result %+v", r.Result)
	}
	list, wrong := report.ReconstructWith(v, at, r, sections...)
	if wrong != nil {
		return fmt.Errorf("with the dependencies: %w", wrong)
	}
	var got, effects []string
	for _, s := range list {
		verb := map[manifest.Code]string{manifest.DirectiveFetch: "fetch", manifest.DirectiveWrite: "write", manifest.DirectiveCopy: "write", manifest.DirectiveSwap: "swap",
			-257: "custom", manifest.DirectiveInvoke: "invoke", manifest.DirectiveUnlink: "unlink"}[s.Command]
		if s.Outcome == report.Succeeded && verb != "" {
			effects = append(effects, verb+" "+s.ID.String())
		}
		if s.Outcome != report.Foreseen && s.Command != manifest.DirectiveTryEach && s.Command != manifest.DirectiveRunSequence {
			got = append(got, tell(s.Manifest, s.Section, s.Shared, s.Path, s.Component, s.Command, s.Outcome == report.Succeeded))
		}
	}
	if !ordered {
		slices.Sort(got)
		slices.Sort(w.lines)
	}
	if loose && err != nil { // of what ran beside the one that has failed, only what has a record is told
		w.lines = slices.DeleteFunc(w.lines, func(l string) bool { return !slices.Contains(got, l) })
	}
	for r.Result.Foreseen && len(w.lines) > len(got) && strings.Contains(w.lines[len(w.lines)-1], " -1 ") {
		w.lines = w.lines[:len(w.lines)-1] // what selects has no record
	}
	if ordered && !(loose && err != nil) {
		left := log
		for _, e := range effects {
			switch {
			case len(left) > 0 && strings.HasPrefix(left[0]+" ", e+" "):
				left = left[1:]
			case strings.HasPrefix(e, "unlink"), strings.HasPrefix(e, "fetch 4"), e == "fetch dd":
			default:
				return fmt.Errorf("told %q, the platform has seen %q", effects, log)
			}
		}
		if len(left) > 1 || (len(left) == 1 && err == nil) {
			return fmt.Errorf("told %q, the platform has seen %q", effects, log)
		}
	}
	if diff := cmp.Diff(w.lines, got); diff != "" {
		return errors.New(diff)
	}
	if _, wrong := report.Reconstruct(v, r, sections...); wrong != nil {
		return fmt.Errorf("without the dependencies: %w", wrong)
	}
	return nil
}

// TestHonestReportsOfPrograms: whatever random programs do, and whether they end or are broken off, the report of it is accepted, and tells just what was
// done.
func TestHonestReportsOfPrograms(t *testing.T) {
	programs := size(150)
	rnd := rand.New(rand.NewPCG(4, 4))
	var ends [3]int
	for n := range programs {
		in := randomProgram(rnd)
		shape := -1
		if n%3 == 0 {
			shape = rnd.IntN(shapes)
		}
		g := program{tb: t, in: in, shape: shape, policies: func(m *manifest.Manifest) { policies(rnd, m) }}
		g.manifest()
		policies(rnd, &g.m)
		v, err := openWith(t, registry, g.m)
		if err != nil {
			continue
		}
		m := v.Manifest()
		var sections []manifest.Section
		for _, section := range everySection {
			if sectionOf(&m, section) != nil || (section != manifest.SectionValidate && section != manifest.SectionInvoke) {
				sections = append(sections, section)
			}
		}
		var names []string
		for fail := -1; fail < len(names); fail++ { // every effect of it breaks once
			s, w := g.w.store(), &bystander{}
			if fail >= 0 {
				s.fail = names[fail]
			}
			o := g.w.options(t, s, 1)
			o.OnEvent = w.event
			p, err := processor.New(t.Context(), v, o)
			if err == nil {
				err = p.Run(t.Context(), sections...)
			}
			at := func(walk []int) (at *manifest.Verified) {
				for e := range g.w.envelopes {
					at, _ = o.Dependencies.Open([]byte(e))
				}
				return at
			}
			inside := false
			for _, e := range g.w.envelopes {
				inside = inside || loose(*e.m)
			}
			if fail < 0 {
				names = slices.Compact(slices.Sorted(slices.Values(s.log)))
			}
			switch {
			case err == nil:
				ends[0]++
			case len(s.log) == 0:
				ends[1]++
			default:
				ends[2]++
			}
			if wrong := w.honest(v, at, err, true, loose(m) || inside, s.log, sections); wrong != nil {
				t.Fatalf("run: %v\n%v\nprogram %d %#v", err, wrong, shape, in)
			}
		}
	}
	t.Logf("%d runs to the end, %d refused, %d broken off", ends[0], ends[1], ends[2])
}

// The same for programs with several dependencies, and with several jobs at once.
func TestHonestReportsTogether(t *testing.T) {
	programs := size(30)
	broken := 0
	for seed := range programs {
		for _, dependencies := range []bool{false, true} {
			p := newShelfProgram(t, uint64(seed), 3+2*(seed%2))
			if dependencies {
				p.depend()
			}
			p.sections()
			p.root.m.Validate = seq{index(0), command(manifest.ConditionVendorID)}
			p.policies = rand.New(rand.NewPCG(uint64(seed), 5))
			v, err := registry.OpenBytes(p.root.write(), keySet(t, signer.Public()), one(t))
			if err != nil {
				t.Fatal(p.text, err)
			}
			deps := p.dependencies()
			at := func(walk []int) *manifest.Verified {
				o := p.root
				for _, c := range walk {
					o = o.deps[c-len(o.own)]
				}
				v, _ := deps.Open(p.end[o.kept.String()])
				return v
			}
			jobs := 1
			if p.parallel {
				jobs = []int{1, 3}[p.rnd.IntN(2)]
			}
			for cut := -1; cut < 12; cut++ {
				r := &trip{tb: t, v: v, deps: deps, d: newShelf(p.start), l: &log{cut: -1}, jobs: jobs}
				w := &bystander{}
				r.d.letters, r.d.cut, r.event = p.letters, cut, w.event
				p.link(r.d.boxes, p.root, v.Digest())
				err := r.run()
				if err != nil {
					broken++
				}
				if wrong := w.honest(v, at, err, jobs == 1, p.parallel, r.d.log, tripSections); wrong != nil {
					t.Fatalf("run: %v\n%v\nprogram %d %v %q, cut %d, %d jobs", err, wrong, seed, dependencies, p.text, cut, jobs)
				}
			}
		}
	}
	t.Logf("%d runs broken off", broken)
}
