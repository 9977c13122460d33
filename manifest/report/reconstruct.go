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
	"github.com/firmament-dev/firmament/verify"
)

// Outcome is how a command ended.
type Outcome uint8

// The outcomes.
const (
	Succeeded Outcome = iota // or was not reported
	Failed                   // the condition did not hold; of a directive, another one beside it has ended the run
	Ended                    // the run, as the result says
	Foreseen                 // was not run where the run ended, and was to blame: see Result.Foreseen
)

// Step is one command that the device has run on one component.
type Step struct {
	Manifest  []int // from the root to the dependency, by component index; nil: the root
	Section   manifest.Section
	Shared    bool  // in the shared sequence, ahead of Section
	Path      []int // nil: no command was to blame, but the section as such
	Component int   // -1 if it selects some, or is not known
	ID        manifest.ComponentID
	Command   manifest.Code // 0 if there is none, or if it is in a dependency that is not at hand
	Outcome   Outcome
	Seen      *manifest.Parameters // what was measured, nil if that was not reported
}

// Dependencies returns the manifest that the one at walk, component indices from the root, was when the report was made; nil if it is
// not at hand.
type Dependencies func(walk []int) *manifest.Verified

// Reconstruct is ReconstructWith without any dependency at hand.
func Reconstruct(v *manifest.Verified, r *Report, sections ...manifest.Section) ([]Step, error) {
	return ReconstructWith(v, nil, r, sections...)
}

// ReconstructWith tells what a device did when it ran sections of m, in order: m is the manifest that
// r.Digest names, which the caller has checked, as by manifest.Open. A command that is not in the report has
// succeeded, unless its policy asks for a record of that: then it is a condition that has failed. One that the author has asked not to
// report at all makes the walk go wrong if it fails, which is found only where later records do not fit. What
// dependencies did is walked where they are processed, and at an unlink if there are records of its uninstall section; the records of those that are not at
// hand are passed over. Of commands that ran beside one that has ended the run, under strict-order false, only those that have a record are told.
//
// Error: ErrMismatch if the report has a record of what cannot have been run, if a run went on that cannot have, if
// r is about another manifest, or a dependency at hand is another than the manifest asks for.
//
// draft-ietf-suit-report-20, sections 3 and 5.
func ReconstructWith(v *manifest.Verified, dependencies Dependencies, r *Report, sections ...manifest.Section) ([]Step, error) {
	m := v.Manifest()
	if r.Digest != v.Digest() || r.URI != m.ReferenceURI {
		return nil, fmt.Errorf("%w: report on %v %q, manifest %v %q", ErrMismatch, r.Digest, r.URI, v.Digest(), m.ReferenceURI)
	}
	w := walker{v: v, m: &m, tale: &tale{dependencies: dependencies, reason: r.Result.Reason, written: map[string]bool{},
		unmatched: map[string]bool{}, digests: map[string]verify.Digest{}, opened: map[string]verify.Digest{}}}
	last := r.Result.Record
	if foreseen := last; r.Result.foreseen(r.Records) {
		step, err := w.place(foreseen, sections)
		if err != nil {
			return nil, err
		}
		step.Outcome = Foreseen
		if last = lastRecord(r.Records); last == nil {
			return []Step{step}, nil
		}
		steps, err := w.tell(r, last, sections)
		return append(steps, step), err
	}
	return w.tell(r, last, sections)
}

// foreseen is Foreseen, and what is about no command of a run without records: none is at byte 0, where a sequence has its length.
func (r *Result) foreseen(entries []Entry) bool {
	return r.Foreseen || (r.Record != nil && r.Record.Offset == 0 && r.Record.Path == nil && len(r.Record.Manifest) == 0 && lastRecord(entries) == nil)
}

func lastRecord(entries []Entry) *Record {
	for _, e := range slices.Backward(entries) {
		if e.Record != nil {
			return e.Record
		}
	}
	return nil
}

// tell walks the sections up to last, the place where the run has ended; nil: to the end.
func (w *walker) tell(r *Report, last *Record, sections []manifest.Section) ([]Step, error) {
	for _, e := range r.Records {
		if e.Record != nil && len(w.known(e.Record.Manifest)) == len(e.Record.Manifest) {
			w.records = append(w.records, e.Record)
		}
	}
	if last != nil {
		known := w.known(last.Manifest)
		switch {
		case len(known) < len(last.Manifest): // the process-dependency is where it ended for the manifest above
			top := *last
			top.Manifest, top.Component, top.Path = known, last.Manifest[len(known)], nil
			w.dependency = &top
		case !r.Result.Foreseen:
			w.result = last
		default:
			w.stop = last
		}
	}
	err := w.sections(sections)
	switch {
	case err != nil && !errors.Is(err, errEnded):
		return w.steps, err
	case err == nil && last != nil:
		return w.steps, fmt.Errorf("%w: the run ended at byte %d of %v, which is not reached", ErrMismatch, last.Offset, last.Section)
	case len(w.records) > 0:
		return w.steps, fmt.Errorf("%w: record of byte %d of %v, which is not reached", ErrMismatch, w.records[0].Offset, w.records[0].Section)
	}
	return w.steps, nil
}

// Print writes steps for people, one a line.
func Print(w io.Writer, r *Report, steps []Step) error {
	var b strings.Builder
	if len(steps) == 1 && steps[0].Outcome == Foreseen {
		b.WriteString("nothing was run\n")
	}
	width := 24
	for _, s := range steps {
		width = max(width, len(s.where()))
	}
	for _, s := range steps {
		fmt.Fprintf(&b, "%-*s ", width, s.where())
		if len(s.Path) > 0 {
			fmt.Fprintf(&b, "byte %-5d %s", s.Path[len(s.Path)-1], strings.Repeat("  ", len(s.Path)/3))
		}
		if s.Command != 0 {
			b.WriteString(s.Command.String())
		} else if len(s.Path) > 0 {
			b.WriteString("a command that is not at hand")
		} else {
			b.WriteString("the section as such")
		}
		if s.Component >= 0 {
			fmt.Fprintf(&b, " on %v", s.ID)
		}
		switch s.Outcome {
		case Failed:
			b.WriteString(": did not hold")
		case Ended:
			fmt.Fprintf(&b, ": ended the run, %v", r.Result.Reason)
		case Foreseen:
			fmt.Fprintf(&b, ": ended the run before it came here, %v", r.Result.Reason)
		}
		b.WriteByte('\n')
	}
	if r.Result.OK() {
		b.WriteString("completed\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// where says in which sequence of which manifest s is.
func (s *Step) where() string {
	where := s.Section.String()
	if s.Shared {
		where = "before " + where
	}
	if len(s.Manifest) > 0 {
		where = fmt.Sprintf("dependency %v, %s", strings.Trim(fmt.Sprint(s.Manifest), "[]"), where)
	}
	return where
}
