// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// Under strict-order false, commands run at the same time, and their records come in any order. Each record tells by its path
// which job it is of; those of one job are in order. Where one job fails, the others may have been cancelled or
// never begun: they are followed as far as their records go.
//
// draft-ietf-suit-manifest-37, section 6.7.

// job is one command on one component.
type job struct {
	cmd *manifest.Command
	c   int
}

var errCut = errors.New("cancelled, or not begun")

// batch returns how many commands at the start of seq may run together, as in a Processor.
func (f *scope) batch(seq manifest.Sequence) int {
	n := 1
	for f.lax && n < len(seq) && seq[0].Code == manifest.DirectiveRunSequence && seq[n].Code == manifest.DirectiveRunSequence {
		n++
	}
	return n
}

// together walks jobs that have run at the same time.
func (w *walker) together(f *scope, jobs []job) error {
	all := w.records
	mine, rest := w.divide(jobs)
	more := w.more
	w.more = more || !w.above(w.last(), rest)
	failing, failure := -1, error(nil)
	if !w.cut {
		failing, failure = w.failing(f, jobs, mine)
	}
	outer, end, left := w.cut, failure, 0
	cut := outer && w.above(&Record{Manifest: w.walk}, rest) // not if something has come after them
	for k, j := range jobs {
		w.records, w.cut = mine[k], cut || failing >= 0 && k != failing
		switch err := w.one(f, j); {
		case err == nil, k == failing:
		case w.cut && (errors.Is(err, errCut) || errors.Is(err, errFailed)):
			if outer {
				end = err
			}
		default:
			return err
		}
		mine[k] = w.records
		left += len(w.records)
	}
	// What is left comes after the jobs, as that an unlink uninstalls what they have processed; so it is all at the end.
	w.records, w.cut, w.more = all[len(all)-len(rest)-left:], outer, more
	for _, records := range mine {
		if len(records) > 0 && !slices.Contains(w.records, records[0]) {
			return fmt.Errorf("%w: record of byte %d of %v, which is not reached", ErrMismatch, records[0].Offset, records[0].Section)
		}
	}
	return end
}

// failing returns the job that has failed, if one has, by the records of each, and how.
func (w *walker) failing(f *scope, jobs []job, mine [][]*Record) (at int, failure error) {
	at = -1
	for k, j := range jobs {
		try := *w
		try.tale, try.records, try.steps = w.tale.clone(), mine[k], nil
		err := try.one(f.clone(), j)
		w.count = try.count
		if err != nil && (at < 0 || rank(err) > rank(failure)) {
			at, failure = k, err
		}
	}
	return at, failure
}

// rank orders what jobs end with by what it tells: that the run ended there, that a condition failed, or that
// a directive was cancelled.
func rank(err error) int {
	switch {
	case errors.Is(err, errEnded):
		return 2
	case errors.Is(err, errFailed):
		return 1
	}
	return 0
}

// divide gives each job the records that are its own, up to the first that is of none. Where several jobs process the same dependency, each
// has done the same: a record is given to one that has not had it yet, and first to one that must have run it.
func (w *walker) divide(jobs []job) (mine [][]*Record, rest []*Record) {
	mine, rest = make([][]*Record, len(jobs)), w.records
	for ; len(rest) > 0; rest = rest[1:] {
		to, best := -1, [2]int{}
		for k, j := range jobs {
			tries := w.within(rest[0], j)
			if tries < 0 {
				continue
			}
			had := 0
			for _, r := range mine[k] {
				if r.place(rest[0]) {
					had++
				}
			}
			if rank := [2]int{had, tries}; to < 0 || slices.Compare(rank[:], best[:]) < 0 {
				to, best = k, rank
			}
		}
		if to < 0 {
			break
		}
		mine[to] = append(mine[to], rest[0])
	}
	return mine, rest
}

// place reports whether r and o are of the same command on the same component.
func (r *Record) place(o *Record) bool {
	return r.Section == o.Section && r.Offset == o.Offset && r.Component == o.Component && slices.Equal(r.Manifest, o.Manifest) && slices.Equal(r.Path, o.Path)
}

// within returns a negative number unless rec is of j, or of what is in it: a sequence, or a dependency that it processes, after so many
// alternatives.
func (w *walker) within(rec *Record, j job) (tries int) {
	if n := len(w.walk); len(rec.Manifest) > n && slices.Equal(rec.Manifest[:n], w.walk) {
		return w.reaches(manifest.Sequence{*j.cmd}, []int{j.c}, rec.Manifest[n])
	}
	path := append(append([]int{rec.Offset}, rec.Path...), rec.Component)
	prefix := append(slices.Clone(w.path), j.cmd.Offset, j.c)
	if slices.Equal(rec.Manifest, w.walk) && rec.Section == w.key() && len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix) {
		return 0
	}
	return -1
}

// reaches returns in which alternative of the commands of seq, which begins with these components selected, the dependency at c is
// processed or unlinked; a negative number if it is in none.
func (w *walker) reaches(seq manifest.Sequence, current []int, c int) (tries int) {
	for i := range seq {
		cmd := &seq[i]
		if index, selects := selected(cmd); selects {
			current, _ = w.m.Resolve(index)
		}
		if slices.Contains(current, c) && (cmd.Code == manifest.DirectiveProcessDependency || cmd.Code == manifest.DirectiveUnlink) {
			return 0
		}
		for k, sub := range cmd.Sequences {
			if n := w.reaches(sub, current, c); n >= 0 {
				return n + k
			}
		}
	}
	return -1
}

// clone returns a tale of its own, for what may not have been.
func (t *tale) clone() *tale {
	c := *t
	c.written, c.unmatched, c.digests, c.opened = maps.Clone(t.written), maps.Clone(t.unmatched), maps.Clone(t.digests), maps.Clone(t.opened)
	return &c
}

func (f *scope) clone() *scope {
	if f == nil {
		return nil
	}
	c := *f
	c.parent = f.parent.clone()
	return &c
}
