// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// use is what commands have done with a component under strict-order false.
type use struct{ target, source bool }

// batch is what the jobs that run together have used so far.
type batch map[*target][]used

type used struct {
	use
	job int
}

// place is a job of a batch.
type place struct {
	batch batch
	job   int
}

// job is one command on one component.
type job struct {
	cmd *manifest.Command
	c   int
}

// batch returns how many commands at the start of seq may run together:
// one, or under strict-order false all run-sequences up to the next other command.
//
// draft-ietf-suit-manifest-37, section 6.7.
func (f *frame) batch(seq manifest.Sequence) int {
	n := 1
	if f.strict || seq[0].Code != manifest.DirectiveRunSequence {
		return n
	}
	for n < len(seq) && seq[n].Code == manifest.DirectiveRunSequence {
		n++
	}
	return n
}

// setStrict starts or ends the time in which a component may not be both
// target and source.
func (f *frame) setStrict(strict bool) {
	if f.strict = strict; strict {
		f.uses = nil
	}
}

// parallel runs the jobs, at most Limits.Parallel at a time; one after the other in a rehearsal, and as long as a
// failure of one could be softened: otherwise it would depend on which is faster whether another has had an effect by then.
// After a failure no more are begun and the others are cancelled.
// The error is that of the first job, in the manifest's order, that has failed by itself.
func (m *machine) parallel(ctx context.Context, f *frame, jobs []job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs, together := make([]error, len(jobs)), batch{}
	finished := make(chan struct{}, len(jobs))
	running, cause := 0, error(nil) // why no more are begun
	for i, j := range jobs {
		limit := m.o.Limits.Parallel
		if m.mode == rehearsal || f.softened() {
			limit = 1
		}
		for running >= limit {
			m.wake(finished)
			running--
		}
		if cause != nil {
			break
		}
		strand := m.strand(place{together, i})
		running++
		run := func() {
			if errs[i] = strand.command(ctx, f, j.cmd, j.c); errs[i] != nil && cause == nil {
				cause = errs[i]
				cancel(cause)
			}
			finished <- struct{}{}
		}
		if m.mode == rehearsal {
			run()
			continue
		}
		go func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			run()
		}()
	}
	for range running {
		m.wake(finished)
	}
	return first(errs, cause)
}

// wake waits for a job without keeping the others from running.
func (m *machine) wake(finished <-chan struct{}) {
	m.mu.Unlock()
	<-finished
	m.mu.Lock()
}

// strand returns a machine for the job at p, at the place of m.
func (m *machine) strand(p place) *machine {
	s := *m
	s.path = slices.Clone(m.path)
	s.jobs = append(slices.Clone(m.jobs), p)
	return &s
}

// first returns the first error that is not just the consequence of cause, by way of the context.
func first(errs []error, cause error) error {
	var any error
	for _, err := range errs {
		switch {
		case err == nil:
		case err == cause || !errors.Is(err, cause) && !errors.Is(err, context.Canceled):
			return err
		case any == nil:
			any = err
		}
	}
	return any
}

// touches notes that cmd uses component c, and whether it sets its parameters: what another job of a batch would find
// in them must not depend on which is faster.
func (m *machine) touches(cmd *manifest.Command, c int) error {
	switch cmd.Code {
	case manifest.DirectiveTryEach, manifest.DirectiveRunSequence:
		return nil // what they contain does
	case manifest.DirectiveCopyParams:
		for _, from := range cmd.Copies {
			list, err := m.u.m.Resolve(manifest.ComponentIndex{One: from.Source})
			if err == nil {
				err = m.uses(nil, m.u.targets[list[0]], use{})
			}
			if err != nil {
				return err
			}
		}
		return m.uses(nil, m.u.targets[c], use{target: true})
	}
	return m.uses(nil, m.u.targets[c], use{target: cmd.Parameters != nil && ofComponent(cmd.Parameters)})
}

// uses notes that a command in f changes or reads t, and refuses what would be a race:
// under strict-order false, a component that is both target and source, or that two
// jobs of a batch use and one of them changes.
//
// draft-ietf-suit-manifest-37, section 6.7.
func (m *machine) uses(f *frame, t *target, as use) error {
	for ; f != nil; f = f.parent {
		if f.strict {
			continue
		}
		was := f.uses[t]
		if (was.target && as.source) || (was.source && as.target) {
			return fmt.Errorf("%w: component %v is both target and source under strict-order false", manifest.ErrCommand, t.id)
		}
		if f.uses == nil {
			f.uses = map[*target]use{}
		}
		f.uses[t] = use{was.target || as.target, was.source || as.source}
	}
	for _, p := range m.jobs {
		for _, was := range p.batch[t] {
			if was.job != p.job && (was.target || as.target) {
				return fmt.Errorf("%w: component %v is changed by one command while another uses it, under strict-order false", manifest.ErrCommand, t.id)
			}
		}
		p.batch[t] = append(p.batch[t], used{as, p.job})
	}
	return nil
}
