// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
)

// capable checks that the components can do what the sequence of section s asks
// of them, in alternatives that may never be reached too, and that it is not nested too
// deep. All else that can be told without running is told by manifest.Open.
func (p *Processor) capable(s manifest.Section) error {
	seq, _ := p.m.Section(s)
	return (&inspector{p: p, section: s}).sequence(seq, []int{0}, 0)
}

type inspector struct {
	p       *Processor
	section manifest.Section
	path    []int
}

// sequence inspects seq, run with each of the current components. Which those
// are is known without running, as an index never leaves its sequence.
func (in *inspector) sequence(seq manifest.Sequence, current []int, depth int) error {
	for i := range seq {
		cmd := &seq[i]
		if cmd.Code == manifest.DirectiveSetComponentIndex {
			list, err := cmd.Index.Resolve(len(in.p.components))
			if err != nil {
				return in.refuse(cmd, -1, err)
			}
			current = list
		}
		for _, c := range current {
			if !able(in.p.components[c], cmd.Code) {
				return in.refuse(cmd, c, fmt.Errorf("%w: cannot do it", manifest.ErrComponent))
			}
		}
		if len(cmd.Sequences) > 0 && depth == in.p.o.Limits.Depth {
			return in.refuse(cmd, -1, fmt.Errorf("%w: sequences nested deeper than %d", manifest.ErrBudget, depth))
		}
		for k, nested := range cmd.Sequences {
			in.path = append(in.path, cmd.Offset, current[0], k)
			if err := in.sequence(nested, current, depth+1); err != nil {
				return err
			}
			in.path = in.path[:len(in.path)-3]
		}
	}
	return nil
}

func (in *inspector) refuse(cmd *manifest.Command, c int, err error) error {
	e := &Error{Section: in.section, Shared: in.section == manifest.SectionShared,
		Path: append(in.path[:len(in.path):len(in.path)], cmd.Offset), Component: c, Command: cmd.Code, Err: err}
	if c >= 0 {
		e.Path, e.ID = append(e.Path, c), cloneID(in.p.m.Components[c])
	}
	return e
}

// able reports whether component c has the capability that a command needs.
func able(c Component, code manifest.Code) bool {
	ok := true
	switch code {
	case manifest.DirectiveFetch:
		_, ok = c.(Fetcher)
	case manifest.DirectiveInvoke:
		_, ok = c.(Invoker)
	case manifest.ConditionImageMatch:
		_, ok = c.(Matcher)
	case manifest.ConditionComponentSlot:
		_, ok = c.(Slotter)
	}
	return ok
}
