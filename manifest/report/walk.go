// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

var (
	errEnded  = errors.New("the run ended here")
	errFailed = errors.New("a condition failed here")
)

// walker follows the records through a manifest.
type walker struct {
	*tale
	v       *manifest.Verified
	m       *manifest.Manifest
	walk    []int                // from the root to m
	prefix  manifest.ComponentID // of the identifiers of m
	records []*Record            // still to be met, in order
	more    bool                 // there are others after them
	cut     bool                 // what has no record any more may not have been run
	steps   []Step
	section manifest.Section
	shared  bool
	path    []int
}

// tale is what the walkers of all manifests share.
type tale struct {
	dependencies Dependencies
	result       *Record // the command that ended the run
	stop         *Record // or the last that was run
	dependency   *Record // or the command for the dependency that is not at hand and in which it was
	reason       Reason
	count        int
	stopped      bool // stop was a failure, and is reached

	// By identifier; opened by manifest.
	written   map[string]bool          // changed by this run
	unmatched map[string]bool          // by an image-match before boot that did not hold
	digests   map[string]verify.Digest // image digests in force
	opened    map[string]verify.Digest // with which the integrity of dependencies was checked
}

// scope is a sequence being walked.
type scope struct {
	parent  *scope
	current []int
	soft    bool
	lax     bool // strict-order is false
	effects bool // it has changed something
}

// maxSteps bounds a walk; a Processor runs no more commands by default.
const maxSteps = 16384

func (w *walker) sections(sections []manifest.Section) error {
	for _, s := range sections {
		if seq, ok := w.m.Section(s); ok {
			w.section = s
			if err := w.both(nil, seq); err != nil {
				if errors.Is(err, errFailed) {
					err = fmt.Errorf("%w: a condition of %v failed and the run went on", ErrMismatch, s)
				}
				return err
			}
		}
		if len(w.unmatched) > 0 {
			return fmt.Errorf("%w: an image-match of %v did not hold and the run went on", ErrMismatch, s)
		}
	}
	return nil
}

// both walks the shared sequence and seq of the current manifest.
func (w *walker) both(parent *scope, seq manifest.Sequence) error {
	for _, part := range []struct {
		shared bool
		seq    manifest.Sequence
	}{{true, w.m.Shared}, {false, seq}} {
		w.shared = part.shared
		f := scope{parent: parent}
		if all := w.m.Indices(); len(all) == 1 {
			f.current = all
		}
		if err := w.sequence(&f, part.seq); err != nil {
			return err
		}
	}
	return nil
}

// below walks what the command cmd on c does with the dependency at c, if it is at hand.
func (w *walker) below(f *scope, cmd *manifest.Command, c int) error {
	walk := append(slices.Clone(w.walk), c)
	v, section := w.at(walk), w.section
	if cmd.Code == manifest.DirectiveUnlink {
		if section = manifest.SectionUninstall; !w.shows(walk) {
			return nil
		}
	}
	if v == nil {
		return nil
	}
	want, ok := w.opened[fmt.Sprint(walk)]
	if !ok {
		want, ok = w.digests[w.id(c).String()]
	}
	if ok && v.Digest() != want {
		return fmt.Errorf("%w: dependency %v is %v, the manifest asks for %v", ErrMismatch, walk, v.Digest(), want)
	}
	seq, ok := v.Section(section)
	if !ok {
		return nil
	}
	m := v.Manifest()
	inner := *w
	inner.v, inner.m, inner.walk, inner.prefix, inner.section, inner.path = v, &m, walk, below(w.m, w.prefix, c), section, nil
	err := inner.both(f, seq)
	w.records, w.steps = inner.records, inner.steps
	if err == nil || (errors.Is(err, errEnded) && w.stop != nil) {
		return err // at the last command that was run, what is around it is not at its end
	}
	if rec := w.next(c); rec != nil || !errors.Is(err, errCut) && !errors.Is(err, ErrMismatch) {
		w.step(cmd, c, map[bool]Outcome{true: Ended, false: Failed}[errors.Is(err, errEnded)], nil)
	}
	return err
}

// shows reports whether what comes next in the report is of the dependency at walk.
func (w *walker) shows(walk []int) bool {
	rec := w.result
	if len(w.records) > 0 {
		rec = w.records[0]
	}
	return rec != nil && len(rec.Manifest) >= len(walk) && slices.Equal(rec.Manifest[:len(walk)], walk)
}

func (w *walker) sequence(f *scope, seq manifest.Sequence) error {
	for len(seq) > 0 {
		if w.cut && w.over() {
			return errCut
		}
		n := f.batch(seq)
		jobs, err := w.jobs(f, seq[:n])
		if err == nil && f.lax && len(jobs) > 1 {
			err = w.together(f, jobs)
		} else if err == nil {
			err = w.each(f, jobs)
		}
		if err != nil {
			return err
		}
		seq = seq[n:]
	}
	return nil
}

// jobs returns what is to be run of commands that a Processor runs together; of one that selects, nothing.
func (w *walker) jobs(f *scope, cmds manifest.Sequence) (jobs []job, err error) {
	for i := range cmds {
		cmd := &cmds[i]
		if index, selects := selected(cmd); selects {
			return nil, w.selects(f, cmd, index)
		}
		for _, c := range f.current {
			jobs = append(jobs, job{cmd, c})
		}
	}
	return jobs, nil
}

func (w *walker) selects(f *scope, cmd *manifest.Command, index manifest.ComponentIndex) (err error) {
	w.path = append(w.path, cmd.Offset)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	if w.ends(-1) {
		return w.end(cmd, -1, nil)
	}
	for _, o := range cmd.Overrides {
		f.set(o.Parameters)
		w.override(int(o.Index), o.Parameters, true)
	}
	f.current, err = w.m.Resolve(index)
	w.step(cmd, -1, Succeeded, nil)
	return err
}

// each walks the jobs one after the other.
func (w *walker) each(f *scope, jobs []job) error {
	for _, j := range jobs {
		if err := w.one(f, j); err != nil {
			return err
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

func (w *walker) command(f *scope, cmd *manifest.Command, c int) error {
	_, dependency := w.m.Dependency(c)
	switch {
	case cmd.Code == manifest.DirectiveTryEach:
		return w.tryEach(f, cmd, c)
	case cmd.Code == manifest.DirectiveRunSequence:
		sub := scope{parent: f, current: []int{c}}
		if err := w.nested(&sub, cmd.Sequences[0], c, 0); !errors.Is(err, errFailed) || !sub.softens() {
			return w.closed(c, err)
		}
		if w.stopped {
			return errEnded
		}
		return w.closed(c, nil)
	case cmd.Code == manifest.DirectiveProcessDependency && !dependency:
		return nil // true selects the dependencies only
	case dependency && (cmd.Code == manifest.DirectiveProcessDependency || cmd.Code == manifest.DirectiveUnlink):
		if err := w.below(f, cmd, c); err != nil {
			return err
		}
	}
	ends := w.ends(c)
	rec := w.next(c)
	switch {
	case rec != nil && rec.Success:
		w.step(cmd, c, Succeeded, &rec.Properties)
		w.succeeded(f, cmd, c)
		if rec == w.stop {
			return errEnded
		}
		return nil
	case rec == nil && w.cut && w.over():
		return errCut
	case (rec == nil && ends) || (rec != nil && w.ends(c)):
		if rec == nil {
			rec = w.result
		}
		return w.end(cmd, c, &rec.Properties)
	case w.inDependency(cmd, c):
		w.step(cmd, c, Ended, nil)
		return errEnded
	case rec != nil:
		w.step(cmd, c, Failed, &rec.Properties)
		w.stopped = rec == w.stop
		if w.cut && w.over() {
			return errCut
		}
		return w.failed(cmd, c)
	case cmd.Policy&manifest.RecordOnSuccess != 0: // there is no such record
		w.step(cmd, c, Failed, nil)
		return w.failed(cmd, c)
	}
	w.step(cmd, c, Succeeded, nil)
	w.succeeded(f, cmd, c)
	return nil
}

func (w *walker) tryEach(f *scope, cmd *manifest.Command, c int) error {
	for k, seq := range cmd.Sequences {
		sub := scope{parent: f, current: []int{c}, soft: true, lax: f.lax}
		err := w.nested(&sub, seq, c, k)
		if !errors.Is(err, errFailed) || !sub.softens() {
			return w.closed(c, err)
		}
		if w.stopped && (k+1 < len(cmd.Sequences) || cmd.Nil) {
			return errEnded
		}
	}
	if cmd.Nil {
		return w.closed(c, nil)
	}
	if w.ends(c) {
		return w.end(cmd, c, nil)
	}
	return fmt.Errorf("%w: no alternative of the try-each at %v held and the run went on", ErrMismatch, w.path)
}

func (w *walker) nested(f *scope, seq manifest.Sequence, c, k int) error {
	w.path = append(w.path, c, k)
	err := w.sequence(f, seq)
	w.path = w.path[:len(w.path)-2]
	return err
}

// closed is the end of a try-each or run-sequence on c, which has a record of its own only if it was the last to be run.
func (w *walker) closed(c int, err error) error {
	if err != nil || len(w.records) == 0 || w.records[0] != w.stop || !w.is(w.stop, c) {
		return err
	}
	w.next(c)
	return errEnded
}

// next takes the next record if it is of the command at w.path on component c.
func (w *walker) next(c int) *Record {
	if len(w.records) == 0 || !w.is(w.records[0], c) {
		return nil
	}
	rec := w.records[0]
	w.records = w.records[1:]
	return rec
}

// is reports whether rec is of the command at w.path on component c, or if that is -1 on any.
func (w *walker) is(rec *Record, c int) bool {
	if rec == nil || !slices.Equal(rec.Manifest, w.walk) || (c >= 0 && rec.Component != c) || rec.Offset != w.path[0] || rec.Section != w.key() {
		return false
	}
	return slices.Equal(rec.Path, w.path[1:])
}

// last is the command that ended the run, nil if that is not looked for.
func (w *walker) last() *Record {
	if w.dependency != nil {
		return w.dependency
	}
	return w.result
}

// ends reports whether the run has ended at the command at w.path on component c.
func (w *walker) ends(c int) bool {
	return w.is(w.result, c) && !w.more && w.above(w.result, w.records)
}

// inDependency reports whether it has ended in the dependency that cmd on c processes, which is not at hand.
func (w *walker) inDependency(cmd *manifest.Command, c int) bool {
	d := w.dependency
	return d != nil && (cmd.Code == manifest.DirectiveProcessDependency || cmd.Code == manifest.DirectiveUnlink) && d.Component == c &&
		slices.Equal(d.Manifest, w.walk) && !w.more && w.above(d, w.records)
}

// over reports whether there are no more records of what is being walked, but of what has failed around it.
func (w *walker) over() bool { return w.above(&Record{Manifest: w.walk}, w.records) }

// above reports whether records are only of those commands that have failed because a dependency below them has, at rec.
func (w *walker) above(rec *Record, records []*Record) bool {
	return rec == nil || !slices.ContainsFunc(records, func(r *Record) bool {
		n := len(r.Manifest)
		return r.Success || n >= len(rec.Manifest) || !slices.Equal(r.Manifest, rec.Manifest[:n]) || r.Component != rec.Manifest[n]
	})
}

func (w *walker) key() manifest.Section {
	if w.shared {
		return manifest.SectionShared
	}
	return w.section
}

func (w *walker) id(c int) manifest.ComponentID {
	id, _ := w.m.Identifier(c)
	return slices.Concat(w.prefix, id)
}

func (w *walker) step(cmd *manifest.Command, c int, outcome Outcome, seen *manifest.Parameters) {
	s := Step{Manifest: slices.Clone(w.walk), Section: w.section, Shared: w.shared, Path: slices.Clone(w.path), Component: c, Command: cmd.Code, Outcome: outcome, Seen: seen}
	if c >= 0 {
		s.ID = w.id(c)
	}
	w.steps = append(w.steps, s)
}
