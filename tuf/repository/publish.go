// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"maps"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// Publish adds targets, by target path, or replaces those of the same path, and signs targets, snapshot and timestamp.
// All others stay as they are. Clients see all of it or none. If the top-level role delegates everything to bins, each target goes into
// its bin, and of the bins only those are signed. Without targets everything top-level is signed anew.
//
// Errors: tuf.ErrPath; ErrIncomplete; what a Signer or the storage returns. Power cut: the package comment.
func (r *Repository) Publish(ctx context.Context, targets map[string][]byte) error {
	return r.edit(ctx, "publish", func(e *edit) error {
		changes := map[tuf.Role]*Change{}
		for name, data := range targets {
			role := e.home(name)
			if changes[role] == nil {
				changes[role] = &Change{Role: role, Add: map[string][]byte{}}
			}
			changes[role].Add[name] = data
		}
		if len(changes) == 0 {
			changes[tuf.RoleTargets] = &Change{Role: tuf.RoleTargets}
		}
		for _, role := range slices.Sorted(maps.Keys(changes)) {
			if err := e.apply(ctx, *changes[role]); err != nil {
				return err
			}
		}
		return e.finish(ctx)
	})
}

// Withdraw removes targets from the roles that Publish put them into: clients learn nothing of them any more. The files stay where they are.
// Errors: tuf.ErrTargetUnknown; those of Publish.
func (r *Repository) Withdraw(ctx context.Context, names ...string) error {
	return r.edit(ctx, "withdraw", func(e *edit) error {
		changes := map[tuf.Role][]string{}
		for _, name := range names {
			changes[e.home(name)] = append(changes[e.home(name)], name)
		}
		for _, role := range slices.Sorted(maps.Keys(changes)) {
			if err := e.apply(ctx, Change{Role: role, Remove: changes[role]}); err != nil {
				return err
			}
		}
		return e.finish(ctx)
	})
}

// Apply makes all changes in one publication. Errors: those of Publish, and tuf.ErrDelegation for a role that nobody delegates to or
// whose name cannot be used, tuf.ErrTargetUnknown for a target to remove that is not there.
func (r *Repository) Apply(ctx context.Context, changes ...Change) error {
	return r.edit(ctx, "apply", func(e *edit) error {
		for _, c := range changes {
			if err := e.apply(ctx, c); err != nil {
				return err
			}
		}
		return e.finish(ctx)
	})
}

// Targets returns what the published top-level targets metadata says, verified. Errors: as Open.
func (r *Repository) Targets(ctx context.Context) (*tuf.Targets, error) {
	p, err := r.s.current(ctx)
	if err != nil {
		return nil, err
	}
	return p.set.Targets(), nil
}

// Root returns the newest root metadata, byte for byte, for provisioning devices. Errors: as Open.
func (r *Repository) Root(ctx context.Context) ([]byte, error) {
	p := &published{s: r.s}
	if _, err := p.roots(ctx); err != nil {
		return nil, err
	}
	return p.newestRoot(), nil
}

// Walk calls f for each role of targets that clients can come to: the top-level one first, then delegated roles by name. t is verified, and nil where
// err says why clients cannot use what is published for the role. It stops with f's error. Errors: as Open.
func (r *Repository) Walk(ctx context.Context, f func(role tuf.Role, t *tuf.Targets, err error) error) error {
	p, err := r.s.current(ctx)
	if err != nil {
		return err
	}
	if err := f(tuf.RoleTargets, p.set.Targets(), nil); err != nil {
		return err
	}
	for _, role := range p.delegated() {
		way, _, err := p.delegator(ctx, string(role))
		if err != nil {
			continue // nobody looks at it any more
		}
		t, err := p.openAs(ctx, way)
		if err := f(role, t, err); err != nil {
			return err
		}
	}
	return nil
}
