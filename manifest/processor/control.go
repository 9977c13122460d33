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

// setIndex selects the components of the commands that follow in f. More than one
// of them in one command count as one.
//
// draft-ietf-suit-manifest-37, sections 6.5, 6.7 and 8.4.10.1.
func (m *machine) setIndex(f *frame, index manifest.ComponentIndex, more bool) error {
	if f.indices == 0 && !more {
		return fmt.Errorf("%w: in a run-sequence under strict-order false", manifest.ErrCommand)
	}
	if f.indices > 0 && !more {
		f.indices--
	}
	list, err := m.u.m.Resolve(index)
	if err != nil {
		return err
	}
	f.current, f.several, f.all = list, index.All || index.List != nil, index.All
	return nil
}

// tryEach runs one alternative after the other until one succeeds.
//
// draft-ietf-suit-manifest-37, sections 8.4.8.15 and 8.4.10.2.
func (m *machine) tryEach(ctx context.Context, f *frame, cmd *manifest.Command, c int) error {
	var failed []error
	vendor, class := m.vendor, m.class
	for k, seq := range cmd.Sequences {
		alt := &frame{parent: f, current: []int{c}, nested: true, soft: true, strict: f.strict, indices: -1,
			try: &try{path: slices.Clone(m.path), choice: k}}
		err := m.nested(ctx, alt, seq, k)
		if err == nil {
			return m.choose(alt.try)
		}
		if !alt.softens(err) {
			return hard(err)
		}
		failed = append(failed, err)
		m.vendor, m.class = vendor, class // what it has checked binds nobody
	}
	if cmd.Nil {
		return m.choose(&try{path: slices.Clone(m.path), choice: len(cmd.Sequences)})
	}
	return fmt.Errorf("%w: no alternative holds: %w", manifest.ErrCondition, errors.Join(failed...))
}

// runSequence runs one sequence.
//
// draft-ietf-suit-manifest-37, sections 6.7, 8.4.8.15 and 8.4.10.8.
func (m *machine) runSequence(ctx context.Context, f *frame, cmd *manifest.Command, c int) error {
	seq := cmd.Sequences[0]
	sub := &frame{parent: f, current: []int{c}, nested: true, strict: true, indices: -1}
	if !f.strict {
		sub.indices = 0
		if !f.several {
			sub.indices = 1
			if seq[0].Code != manifest.DirectiveSetComponentIndex {
				return fmt.Errorf("%w: under strict-order false its sequence begins with %v",
					manifest.ErrCommand, manifest.DirectiveSetComponentIndex)
			}
		}
	}
	vendor, class := m.vendor, m.class
	err := m.nested(ctx, sub, seq, 0)
	if err != nil && sub.softens(err) {
		m.vendor, m.class = vendor, class
		return nil
	}
	return err
}

// nested runs the k-th sequence of the command at m.path in f.
func (m *machine) nested(ctx context.Context, f *frame, seq manifest.Sequence, k int) error {
	if m.depth >= m.o.Limits.Depth {
		return fmt.Errorf("%w: sequences nested deeper than %d", manifest.ErrBudget, m.depth)
	}
	m.path = append(m.path, k)
	m.depth++
	err := m.sequence(ctx, f, seq)
	m.depth--
	m.path = m.path[:len(m.path)-1]
	return err
}

// softens reports whether err, which ended f, is a failed condition that ends
// no more than f. Once f has had an effect, none is.
func (f *frame) softens(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e == err && e.soft && f.soft && !f.effects
}

// hard makes a failed condition one that nothing softens any more.
func hard(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		e.soft = false
	}
	return err
}
