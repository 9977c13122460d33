// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
)

// capable checks that the device can do what the sequence of section s asks of
// it and that who signed it may, in alternatives that may never be reached too, and
// that it is not nested too deep. All else that can be told without running is
// told by manifest.Open.
func (u *unit) capable(s manifest.Section) error {
	seq, _ := u.m.Section(s)
	current := []int{}
	if all := u.m.Indices(); len(all) == 1 {
		current = all
	}
	return (&inspector{u: u, section: s}).sequence(seq, current, 0)
}

type inspector struct {
	u       *unit
	section manifest.Section
	path    []int
}

// sequence inspects seq, run with each of the current components. Which those
// are is known without running, as an index never leaves its sequence.
func (in *inspector) sequence(seq manifest.Sequence, current []int, depth int) error {
	for i := range seq {
		cmd := &seq[i]
		list, err := in.selection(cmd, current)
		if err != nil {
			return in.refuse(cmd, -1, err)
		}
		current = list
		for _, c := range current {
			if err := in.command(cmd, c); err != nil {
				return in.refuse(cmd, c, err)
			}
		}
		if len(cmd.Sequences) > 0 && depth == in.u.p.o.Limits.Depth {
			return in.refuse(cmd, -1, fmt.Errorf("%w: sequences nested deeper than %d", manifest.ErrBudget, depth))
		}
		if len(cmd.Sequences) > 0 && len(current) == 0 {
			return in.refuse(cmd, -1, fmt.Errorf("%w: no component selected", manifest.ErrCommand))
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

// selection returns the components that are selected from cmd on, and checks what
// override-multiple sets.
func (in *inspector) selection(cmd *manifest.Command, current []int) ([]int, error) {
	if cmd.Code == manifest.DirectiveSetComponentIndex {
		return in.u.m.Resolve(*cmd.Index)
	}
	for i := range cmd.Overrides {
		o := &cmd.Overrides[i]
		list, err := in.u.m.Resolve(manifest.ComponentIndex{One: o.Index})
		if err != nil {
			return nil, err
		}
		if err := in.u.allow(list[0], cmd.Code, keys(o.Parameters), false); err != nil {
			return nil, err
		}
		current = list
	}
	return current, nil
}

// command checks that cmd can be run on component c, and may.
func (in *inspector) command(cmd *manifest.Command, c int) error {
	if !in.u.able(c, cmd.Code) {
		return lacks(cmd.Code)
	}
	switch cmd.Code {
	case manifest.DirectiveSetComponentIndex, manifest.DirectiveOverrideMultiple, manifest.DirectiveTryEach, manifest.DirectiveRunSequence:
		return nil // what they contain is checked
	case manifest.DirectiveCopyParams:
		for _, from := range cmd.Copies {
			list, err := in.u.m.Resolve(manifest.ComponentIndex{One: from.Source})
			if err == nil {
				err = in.u.allow(list[0], cmd.Code, from.Keys, true)
			}
			if err == nil {
				err = in.u.allow(c, cmd.Code, from.Keys, false)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if cmd.Parameters != nil {
		return in.u.allow(c, cmd.Code, keys(cmd.Parameters), false)
	}
	return in.u.allow(c, cmd.Code, nil, false)
}

func (in *inspector) refuse(cmd *manifest.Command, c int, err error) error {
	e := &Error{Section: in.section, Shared: in.section == manifest.SectionShared, Manifest: in.u.walk, Kept: in.u.kept(),
		Path: append(in.path[:len(in.path):len(in.path)], cmd.Offset), Component: c, Command: cmd.Code, Err: err}
	if c >= 0 {
		e.Path, e.ID = append(e.Path, c), cloneID(in.u.targets[c].id)
	}
	return e
}

// lacks is the refusal of a command that is not able: it is the command that is unsupported. No component is to blame for what the
// device as a whole does not have.
func lacks(code manifest.Code) error {
	switch code {
	case manifest.ConditionUseBefore, manifest.ConditionMinimumBattery, manifest.ConditionUpdateAuthorized, manifest.DirectiveWait:
		return fmt.Errorf("%w: the device cannot do it", manifest.ErrUnsupported)
	}
	return fmt.Errorf("%w: cannot do it", errLacks)
}

// errLacks: the command is unsupported, because the component cannot do what it asks.
var errLacks = fmt.Errorf("%w: %w", manifest.ErrUnsupported, manifest.ErrComponent)

// able reports whether the device, or component index of it, has the capability that a command
// needs.
func (u *unit) able(index int, code manifest.Code) bool {
	c, platform := u.targets[index].c, u.p.o.Platform
	_, dependency := u.m.Dependency(index)
	ok := true
	switch code {
	case manifest.DirectiveFetch:
		_, ok = c.(Fetcher)
	case manifest.DirectiveWrite, manifest.DirectiveCopy:
		_, ok = c.(Writer)
	case manifest.DirectiveSwap:
		_, ok = c.(Swapper)
	case manifest.DirectiveUnlink:
		_, ok = c.(Linker)
	case manifest.DirectiveInvoke:
		_, ok = c.(Invoker)
	case manifest.ConditionImageMatch, manifest.ConditionImageNotMatch:
		if dependency {
			_, ok = c.(Reader)
		} else {
			_, ok = c.(Matcher)
		}
	case manifest.ConditionDependencyIntegrity, manifest.DirectiveProcessDependency:
		if dependency {
			_, ok = c.(Reader)
		}
	case manifest.ConditionCheckContent:
		_, ok = c.(Reader)
	case manifest.ConditionVersion:
		_, ok = c.(Versioner)
	case manifest.ConditionComponentSlot:
		_, ok = c.(Slotter)
	case manifest.ConditionUseBefore:
		_, ok = platform.(Clock)
	case manifest.ConditionMinimumBattery:
		_, ok = platform.(Battery)
	case manifest.ConditionUpdateAuthorized:
		_, ok = platform.(Authorizer)
	case manifest.DirectiveWait:
		_, ok = platform.(Waiter)
	default:
		if code <= manifest.MaxCustom {
			ok = commands(c, code)
		}
	}
	return ok
}
