// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// mode says whether a machine has effects.
type mode bool

const (
	rehearsal   mode = false
	performance mode = true
)

// machine is the abstract machine of section 6.4 in one Run or rehearsal.
type machine struct {
	*Processor
	mode     mode
	section  manifest.Section
	shared   bool
	path     []int
	state    []componentState
	replayed *replay
	pending  []Step // choices that no effect has depended on yet

	commands      int
	bytes         int64
	vendor, class bool // has a condition on it held?
}

// componentState is what a machine knows of one component.
type componentState struct {
	params  manifest.Parameters
	written bool          // fetched into in this Run
	matched verify.Digest // that the content was last found to have, in this Run
	failed  error         // an image-match that was softened and is not made good
}

// frame is one sequence being run.
type frame struct {
	parent  *frame
	current []int // components that a command applies to, in order; nil: none selected yet
	several bool  // current was selected by true or a list
	nested  bool
	soft    bool // suit-parameter-soft-failure
	strict  bool // suit-parameter-strict-order
	indices int  // set-component-index commands still allowed, -1: any number
	effects bool // has a command in it, nested ones included, had an effect?
	try     *try // if it is an alternative
}

// try is the try-each of an alternative: its own path and the alternative's number.
type try struct {
	path   []int
	choice int
}

func (p *Processor) machine(r *replay, mode mode) *machine {
	if r == nil {
		r = newReplay()
	}
	return &machine{Processor: p, mode: mode, replayed: r.reuse(), state: make([]componentState, len(p.components))}
}

// top runs the shared sequence ahead of section s, or the sequence of s itself.
func (m *machine) top(ctx context.Context, s manifest.Section, shared bool) error {
	m.section, m.shared = s, shared
	if shared {
		s = manifest.SectionShared
	}
	seq, _ := m.m.Section(s)
	f := frame{strict: true, indices: -1}
	if len(m.components) == 1 {
		f.current = []int{0}
	}
	return m.sequence(ctx, &f, seq)
}

// sequence runs seq in f. A failed condition is an *Error with soft set.
func (m *machine) sequence(ctx context.Context, f *frame, seq manifest.Sequence) error {
	for i := range seq {
		cmd := &seq[i]
		m.path = append(m.path, cmd.Offset)
		err := m.command(ctx, f, cmd)
		m.path = m.path[:len(m.path)-1]
		if err != nil {
			return err
		}
	}
	return nil
}

// command runs cmd on each current component.
func (m *machine) command(ctx context.Context, f *frame, cmd *manifest.Command) error {
	if cmd.Code == manifest.DirectiveSetComponentIndex {
		err := m.spend(ctx)
		if err == nil {
			err = m.setIndex(f, cmd)
		}
		if err != nil {
			err = m.fail(cmd, -1, err)
		}
		m.tell(cmd, -1, err, false)
		return err
	}
	if f.current == nil {
		return m.fail(cmd, -1, fmt.Errorf("%w: no component selected", manifest.ErrCommand))
	}
	for _, c := range f.current {
		if err := m.spend(ctx); err != nil {
			return m.fail(cmd, c, err)
		}
		m.path = append(m.path, c)
		replayed, err := m.apply(ctx, f, cmd, c)
		if err != nil {
			err = m.fail(cmd, c, err)
		}
		m.tell(cmd, c, err, replayed)
		m.path = m.path[:len(m.path)-1]
		if err != nil {
			return err
		}
	}
	return nil
}

// apply runs cmd on component c. It is replayed if the journal had its outcome.
func (m *machine) apply(ctx context.Context, f *frame, cmd *manifest.Command, c int) (replayed bool, err error) {
	switch cmd.Code {
	case manifest.ConditionVendorID, manifest.ConditionClassID, manifest.ConditionDeviceID:
		return false, m.identity(cmd.Code, c)
	case manifest.ConditionImageMatch:
		return m.imageMatch(ctx, f, c)
	case manifest.ConditionComponentSlot:
		return false, m.slot(ctx, c)
	case manifest.ConditionAbort:
		return false, fmt.Errorf("%w: abort", manifest.ErrCondition)
	case manifest.DirectiveOverrideParameters:
		m.override(f, cmd.Parameters, c)
		return false, nil
	case manifest.DirectiveTryEach:
		return false, m.tryEach(ctx, f, cmd, c)
	case manifest.DirectiveRunSequence:
		return false, m.runSequence(ctx, f, cmd, c)
	case manifest.DirectiveFetch:
		return m.fetch(ctx, f, c)
	case manifest.DirectiveInvoke:
		return m.invoke(ctx, f, c)
	}
	return false, manifest.ErrUnsupported
}

// spend takes one command from the budget.
func (m *machine) spend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.commands++
	if limit := m.o.Limits.Commands; m.commands > limit {
		return fmt.Errorf("%w: more than %d commands", manifest.ErrBudget, limit)
	}
	return nil
}

// spendBytes takes an image of n bytes from the budget.
func (m *machine) spendBytes(n int64) error {
	if limit := m.o.Limits.Bytes; n > limit-m.bytes {
		return fmt.Errorf("%w: images of more than %d bytes", manifest.ErrBudget, limit)
	}
	m.bytes += n
	return nil
}

// fail puts err in its place, once. A failed condition stays soft as long as it only ends sequences.
func (m *machine) fail(cmd *manifest.Command, c int, err error) error {
	if placed, ok := errors.AsType[*Error](err); ok && placed == err {
		return placed
	}
	e := &Error{Section: m.section, Shared: m.shared, Path: slices.Clone(m.path), Component: c, Command: cmd.Code, Err: err}
	if c >= 0 {
		e.ID = cloneID(m.m.Components[c])
	}
	e.soft = cmd.Code.IsCondition() && errors.Is(err, manifest.ErrCondition)
	return e
}

func (m *machine) tell(cmd *manifest.Command, c int, err error, replayed bool) {
	if m.mode != performance || m.o.OnEvent == nil {
		return
	}
	m.o.OnEvent(Event{Section: m.section, Shared: m.shared, Path: slices.Clone(m.path), Component: c,
		Command: cmd.Code, Policy: cmd.Policy, Err: err, Replayed: replayed})
}

// settled fails if an image-match before boot was softened and not made good.
func (m *machine) settled() error {
	for i := range m.state {
		if err := m.state[i].failed; err != nil {
			return err
		}
	}
	return nil
}

// boots reports whether the section decides about booting, so that a failed
// image-match must not be hidden in it.
func (m *machine) boots() bool {
	switch m.section {
	case manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke:
		return true
	}
	return false
}
