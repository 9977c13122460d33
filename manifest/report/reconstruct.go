// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
)

// Outcome is how a command ended.
type Outcome uint8

// The outcomes.
const (
	Succeeded Outcome = iota // or was not reported
	Failed                   // the condition did not hold
	Ended                    // the run, as the result says
)

// Step is one command that the device has run on one component.
type Step struct {
	Manifest  []int // from the root to the dependency, by component index; nil: the root
	Section   manifest.Section
	Shared    bool // in the shared sequence, ahead of Section
	Path      []int
	Component int // -1 if it selects some
	ID        manifest.ComponentID
	Command   manifest.Code
	Outcome   Outcome
	Seen      *manifest.Parameters // what was measured, nil if that was not reported
}

// Dependencies returns the manifest that the one at walk, component indices from the root, was when the report was made; nil if it is
// not at hand. That it is what the manifest above it asks for is the caller's to know.
type Dependencies func(walk []int) *manifest.Verified

// Reconstruct is ReconstructWith without any dependency at hand.
func Reconstruct(v *manifest.Verified, r *Report, sections ...manifest.Section) ([]Step, error) {
	return ReconstructWith(v, nil, r, sections...)
}

// ReconstructWith tells what a device did when it ran sections of m, in order: m is the manifest that
// r.Digest names, which the caller has checked, as by manifest.Open. A command that is not in the report has
// succeeded, unless its policy asks for a record of that: then it is a condition that has failed. One that the author has asked not to
// report at all makes the walk go wrong if it fails, which is found only where later records do not fit. What
// dependencies did is walked where they are processed; the records of those that are not at hand are passed over.
//
// Error: ErrMismatch if the report has a record of what cannot have been run, or if
// r is about another manifest.
//
// draft-ietf-suit-report-20, sections 3 and 5.
func ReconstructWith(v *manifest.Verified, dependencies Dependencies, r *Report, sections ...manifest.Section) ([]Step, error) {
	m := v.Manifest()
	if r.Digest != v.Digest() || r.URI != m.ReferenceURI {
		return nil, fmt.Errorf("%w: report on %v %q, manifest %v %q", ErrMismatch, r.Digest, r.URI, v.Digest(), m.ReferenceURI)
	}
	w := walker{m: &m, dependencies: dependencies, result: r.Result.Record}
	for _, e := range r.Records {
		if e.Record != nil && len(w.known(e.Record.Manifest)) == len(e.Record.Manifest) {
			w.records = append(w.records, e.Record)
		}
	}
	if w.result != nil {
		if known := w.known(w.result.Manifest); len(known) < len(w.result.Manifest) {
			top := *w.result // the process-dependency is where it ended for the manifest above
			top.Manifest, top.Component, top.Path = known, w.result.Manifest[len(known)], nil
			w.dependency, w.result = &top, nil
		}
	}
	err := w.sections(sections)
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return w.steps, err
	case err == nil && !r.Result.OK():
		return w.steps, fmt.Errorf("%w: the run ended at byte %d of %v, which is not reached", ErrMismatch, r.Result.Record.Offset, r.Result.Record.Section)
	case len(w.records) > 0:
		return w.steps, fmt.Errorf("%w: record of byte %d of %v, which is not reached", ErrMismatch, w.records[0].Offset, w.records[0].Section)
	}
	return w.steps, nil
}

// known returns the part of walk down to which the manifests are at hand.
func (w *walker) known(walk []int) []int {
	for n := range walk {
		if w.dependencies == nil || w.dependencies(slices.Clone(walk[:n+1])) == nil {
			return walk[:n]
		}
	}
	return walk
}

var (
	errEnded  = errors.New("the run ended here")
	errFailed = errors.New("a condition failed here")
)

// walker follows the records through a manifest.
type walker struct {
	m            *manifest.Manifest
	walk         []int // from the root to m
	dependencies Dependencies
	records      []*Record // still to be met, in order
	result       *Record   // where it ended
	dependency   *Record   // or in which dependency that is not at hand
	steps        []Step
	section      manifest.Section
	shared       bool
	path         []int
	count        int
	cut          bool // what has no record any more may not have been run
}

// scope is a sequence being walked.
type scope struct {
	current []int
	soft    bool
	lax     bool // strict-order is false
	top     bool
}

// maxSteps bounds a walk; a Processor runs no more commands by default.
const maxSteps = 16384

func (w *walker) sections(sections []manifest.Section) error {
	for _, s := range sections {
		seq, ok := w.m.Section(s)
		if !ok {
			continue
		}
		w.section = s
		if err := w.both(seq); err != nil {
			if errors.Is(err, errFailed) {
				err = fmt.Errorf("%w: a condition of %v failed and the run went on", ErrMismatch, s)
			}
			return err
		}
	}
	return nil
}

// both walks the shared sequence and seq of the current manifest.
func (w *walker) both(seq manifest.Sequence) error {
	for _, part := range []struct {
		shared bool
		seq    manifest.Sequence
	}{{true, w.m.Shared}, {false, seq}} {
		w.shared = part.shared
		f := scope{top: true}
		if all := w.m.Indices(); len(all) == 1 {
			f.current = all
		}
		if err := w.sequence(&f, part.seq); err != nil {
			return err
		}
	}
	return nil
}

// below walks the current section of the dependency at c, if it is at hand.
func (w *walker) below(c int) error {
	walk := append(slices.Clone(w.walk), c)
	if len(w.known(walk)) < len(walk) {
		return nil
	}
	v := w.dependencies(slices.Clone(walk))
	seq, ok := v.Section(w.section)
	if !ok {
		return nil
	}
	m := v.Manifest()
	inner := *w
	inner.m, inner.walk, inner.path = &m, walk, nil
	err := inner.both(seq)
	w.records, w.steps, w.count = inner.records, inner.steps, inner.count
	return err
}

func (w *walker) sequence(f *scope, seq manifest.Sequence) error {
	for n := 0; len(seq) > 0; seq = seq[n:] {
		n = f.batch(seq)
		if w.cut && len(w.records) == 0 {
			return errCut
		}
		if list, selects, err := w.selection(&seq[0]); err != nil {
			return err
		} else if selects {
			f.current = list
			w.step(&seq[0], -1, Succeeded, nil)
			continue
		}
		var jobs []job
		for i := range n {
			for _, c := range f.current {
				jobs = append(jobs, job{&seq[i], c})
			}
		}
		if f.lax && len(jobs) > 1 {
			if err := w.together(f, jobs); err != nil {
				return err
			}
			continue
		}
		for _, j := range jobs {
			if err := w.one(f, j); err != nil {
				return err
			}
		}
	}
	return nil
}

// one walks one command on one component.
func (w *walker) one(f *scope, j job) error {
	if w.count++; w.count > maxSteps {
		return fmt.Errorf("%w: more than %d commands", manifest.ErrBudget, maxSteps)
	}
	w.path = append(w.path, j.cmd.Offset)
	err := w.command(f, j.cmd, j.c)
	w.path = w.path[:len(w.path)-1]
	return err
}

func (w *walker) selection(cmd *manifest.Command) (list []int, selects bool, err error) {
	switch {
	case cmd.Code == manifest.DirectiveSetComponentIndex:
		list, err = w.m.Resolve(*cmd.Index)
		return list, true, err
	case cmd.Code == manifest.DirectiveOverrideMultiple && len(cmd.Overrides) > 0:
		list, err = w.m.Resolve(manifest.ComponentIndex{One: cmd.Overrides[len(cmd.Overrides)-1].Index})
		return list, true, err
	}
	return nil, false, nil
}

func (w *walker) command(f *scope, cmd *manifest.Command, c int) error {
	if cmd.Parameters != nil && cmd.Code == manifest.DirectiveOverrideParameters && cmd.Parameters.SoftFailure != nil {
		f.soft = *cmd.Parameters.SoftFailure
	}
	if cmd.Parameters != nil && cmd.Code == manifest.DirectiveOverrideParameters && cmd.Parameters.StrictOrder != nil {
		f.lax = !*cmd.Parameters.StrictOrder
	}
	switch cmd.Code {
	case manifest.DirectiveTryEach:
		return w.tryEach(f, cmd, c)
	case manifest.DirectiveRunSequence:
		sub := scope{current: []int{c}}
		err := w.nested(&sub, cmd.Sequences[0], c, 0)
		if errors.Is(err, errFailed) && sub.soft {
			err = nil
		}
		return err
	case manifest.DirectiveProcessDependency:
		if _, ok := w.m.Dependency(c); !ok {
			return nil // true selects the dependencies only
		}
		if err := w.below(c); err != nil {
			w.step(cmd, c, map[bool]Outcome{true: Ended, false: Failed}[errors.Is(err, errEnded)], nil)
			return err
		}
	}
	if rec := w.next(c); rec != nil {
		if rec.Success {
			w.step(cmd, c, Succeeded, &rec.Properties)
			return nil
		}
		if w.at(w.result, c) && len(w.records) == 0 {
			w.step(cmd, c, Ended, &rec.Properties)
			return errEnded
		}
		w.step(cmd, c, Failed, &rec.Properties)
		if w.cut && len(w.records) == 0 {
			return errCut
		}
		if !cmd.Code.IsCondition() {
			return fmt.Errorf("%w: %v at %v failed and the run went on", ErrMismatch, cmd.Code, w.path)
		}
		return errFailed
	}
	if w.cut && len(w.records) == 0 {
		return errCut
	}
	if len(w.records) == 0 && w.at(w.result, c) {
		w.step(cmd, c, Ended, &w.result.Properties)
		return errEnded
	}
	if d := w.dependency; d != nil && len(w.records) == 0 && cmd.Code == manifest.DirectiveProcessDependency && d.Component == c && slices.Equal(d.Manifest, w.walk) {
		w.step(cmd, c, Ended, nil)
		return errEnded
	}
	if cmd.Policy&manifest.RecordOnSuccess != 0 { // there is no such record
		w.step(cmd, c, Failed, nil)
		if !cmd.Code.IsCondition() {
			return fmt.Errorf("%w: no record of %v at %v, which its policy asks for, and the run went on", ErrMismatch, cmd.Code, w.path)
		}
		return errFailed
	}
	w.step(cmd, c, Succeeded, nil)
	return nil
}

// next takes the next record if it is of the command at w.path on component c.
func (w *walker) next(c int) *Record {
	if len(w.records) == 0 || !w.at(w.records[0], c) {
		return nil
	}
	rec := w.records[0]
	w.records = w.records[1:]
	return rec
}

// at reports whether rec is of the command at w.path on component c.
func (w *walker) at(rec *Record, c int) bool {
	if rec == nil || !slices.Equal(rec.Manifest, w.walk) || rec.Component != c || rec.Offset != w.path[0] || rec.Section != w.key() {
		return false
	}
	return slices.Equal(rec.Path, w.path[1:])
}

func (w *walker) key() manifest.Section {
	if w.shared {
		return manifest.SectionShared
	}
	return w.section
}

func (w *walker) tryEach(f *scope, cmd *manifest.Command, c int) error {
	for k, seq := range cmd.Sequences {
		sub := scope{current: []int{c}, soft: true, lax: f.lax}
		err := w.nested(&sub, seq, c, k)
		if !errors.Is(err, errFailed) || !sub.soft {
			return err
		}
	}
	if cmd.Nil {
		return nil
	}
	if len(w.records) == 0 && w.at(w.result, c) {
		w.step(cmd, c, Ended, nil)
		return errEnded
	}
	return errFailed
}

func (w *walker) nested(f *scope, seq manifest.Sequence, c, k int) error {
	w.path = append(w.path, c, k)
	err := w.sequence(f, seq)
	w.path = w.path[:len(w.path)-2]
	return err
}

func (w *walker) step(cmd *manifest.Command, c int, outcome Outcome, seen *manifest.Parameters) {
	s := Step{Manifest: slices.Clone(w.walk), Section: w.section, Shared: w.shared, Path: slices.Clone(w.path), Component: c, Command: cmd.Code, Outcome: outcome, Seen: seen}
	if c < 0 {
		s.Path = append(s.Path, cmd.Offset)
	} else {
		s.ID, _ = w.m.Identifier(c)
	}
	w.steps = append(w.steps, s)
}

// Print writes steps for people, one a line.
func Print(w io.Writer, r *Report, steps []Step) error {
	var b strings.Builder
	for _, s := range steps {
		where := s.Section.String()
		if s.Shared {
			where = "before " + where
		}
		if len(s.Manifest) > 0 {
			where = fmt.Sprintf("dependency %v, %s", strings.Trim(fmt.Sprint(s.Manifest), "[]"), where)
		}
		fmt.Fprintf(&b, "%-24s byte %-5d %s%v", where, s.Path[len(s.Path)-1], strings.Repeat("  ", len(s.Path)/3), s.Command)
		if s.Component >= 0 {
			fmt.Fprintf(&b, " on %v", s.ID)
		}
		switch s.Outcome {
		case Failed:
			b.WriteString(": did not hold")
		case Ended:
			fmt.Fprintf(&b, ": ended the run, %v", r.Result.Reason)
		}
		b.WriteByte('\n')
	}
	if r.Result.OK() {
		b.WriteString("completed\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
