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

// Commander is a component that has custom commands of its own.
type Commander interface {
	// Commands returns the custom commands that the component has. It has no effects.
	Commands() []manifest.Code

	// Command runs one. A condition (manifest.Registry says which is one) that does not hold returns manifest.ErrCondition; a condition has no
	// effects and may be asked before others have had theirs. A directive is
	// durable when it returns nil, and may be run again after a power cut.
	Command(ctx context.Context, r CustomRequest) error
}

// CustomRequest is a custom command with the custom parameters of its component.
//
// draft-ietf-suit-manifest-37, section 8.4.11.
type CustomRequest struct {
	Component  manifest.ComponentID
	Code       manifest.Code
	Argument   manifest.Value
	Parameters []manifest.CustomParameter
	Manifest   manifest.Parameters // the others, read-only
}

// custom runs a custom command on component c.
func (m *machine) custom(ctx context.Context, f *frame, cmd *manifest.Command, c int) (replayed bool, err error) {
	t, p := m.u.targets[c], m.at(c).params
	r := CustomRequest{Component: m.id(c), Code: cmd.Code, Argument: cmd.Custom, Parameters: slices.Clone(p.Custom), Manifest: p}
	run := func() error {
		if err := t.c.(Commander).Command(ctx, r); err != nil {
			return fmt.Errorf("%v: %w", cmd.Code, err)
		}
		return nil
	}
	if !m.u.condition(cmd.Code) {
		if err := m.changes(ctx, f, t); err != nil {
			return false, err
		}
		m.acted = true
		replayed, err = m.act(ctx, f, nil, run)
		if err == nil {
			m.changed(t, nil)
		}
		return replayed, err
	}
	return m.observe(ctx, f, c, question{ask: func(at *target) error {
		if at != t {
			return manifest.ErrComponent // only t has the command
		}
		err := m.call(run)
		if err == nil || errors.Is(err, manifest.ErrCondition) {
			return err
		}
		return platformError("condition", err)
	}})
}

// condition reports whether code is a condition: of a specification, or of the registry that
// the manifest was opened with.
func (u *unit) condition(code manifest.Code) bool {
	if code > manifest.MaxCustom {
		return code.IsCondition()
	}
	k, ok := u.v.Options().Registry.Command(code)
	return ok && k.Condition
}

func commands(c Component, code manifest.Code) bool {
	commander, ok := c.(Commander)
	return ok && slices.Contains(commander.Commands(), code)
}
