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
	mine, rest := w.divide(jobs)
	more := w.more
	w.more = more || !w.above(w.last(), rest)
	failing, failure := -1, error(nil)
	if !w.cut {
		failing, failure = w.failing(f, jobs, mine)
	}
	outer, end := w.cut, failure
	for k, j := range jobs {
		w.records, w.cut = mine[k], outer || failing >= 0 && k != failing
		switch err := w.one(f, j); {
		case err == nil, k == failing:
		case w.cut && (errors.Is(err, errCut) || errors.Is(err, errFailed)):
			if outer {
				end = err
			}
		default:
			return err
		}
		if len(w.records) > 0 {
			return fmt.Errorf("%w: record of byte %d of %v, which is not reached", ErrMismatch, w.records[0].Offset, w.records[0].Section)
		}
	}
	w.records, w.cut, w.more = rest, outer, more
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

// divide gives each job the records that are its own, up to the first that is of none.
func (w *walker) divide(jobs []job) (mine [][]*Record, rest []*Record) {
	mine, rest = make([][]*Record, len(jobs)), w.records
	for len(rest) > 0 {
		k := slices.IndexFunc(jobs, func(j job) bool { return w.within(rest[0], j) })
		if k < 0 {
			break
		}
		mine[k] = append(mine[k], rest[0])
		rest = rest[1:]
	}
	return mine, rest
}

// within reports whether rec is of j, or of what is in it: a sequence, or a dependency that it processes.
func (w *walker) within(rec *Record, j job) bool {
	if n := len(w.walk); len(rec.Manifest) > n && slices.Equal(rec.Manifest[:n], w.walk) {
		c := j.c
		if len(j.cmd.Sequences) > 0 {
			if index, ok := selected(&j.cmd.Sequences[0][0]); ok {
				c = int(index.One)
			}
		}
		return rec.Manifest[n] == c
	}
	if !slices.Equal(rec.Manifest, w.walk) || rec.Section != w.key() {
		return false
	}
	path := append(append([]int{rec.Offset}, rec.Path...), rec.Component)
	prefix := append(slices.Clone(w.path), j.cmd.Offset, j.c)
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
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
