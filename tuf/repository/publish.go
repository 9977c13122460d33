// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Publish adds targets, by target path, or replaces those of the same path, and signs targets, snapshot and timestamp.
// All others stay as they are. Clients see all of it or none. If the top-level role delegates everything to bins, each target goes into
// its bin, and of the bins only those are signed.
//
// Errors: tuf.ErrPath; ErrIncomplete; what a Signer or the storage returns. Power cut: the package comment.
func (r *Repository) Publish(ctx context.Context, targets map[string][]byte) error {
	return r.edit("publish", func(e *edit) error {
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
	return r.edit("withdraw", func(e *edit) error {
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
	return r.edit("apply", func(e *edit) error {
		for _, c := range changes {
			if err := e.apply(ctx, c); err != nil {
				return err
			}
		}
		return e.finish(ctx)
	})
}

// Refresh signs the timestamp anew, and before it the snapshot, the targets metadata and the delegated roles whose signers are at hand, each if less
// than half of its time is left. Call it regularly, more often than the timestamp expires. Errors: as Publish.
func (r *Repository) Refresh(ctx context.Context) error {
	return r.locked(func() error {
		p, err := r.dir.current()
		if err != nil {
			return err
		}
		d, err := r.draft(p)
		if err != nil {
			return err
		}
		from := tuf.RoleTimestamp
		due, err := r.dueDelegated(ctx, p, d)
		if err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		switch {
		case r.due(tuf.RoleTargets, p.set.Targets().Expires()):
			from = tuf.RoleTargets
		case due || r.due(tuf.RoleSnapshot, p.set.Snapshot().Expires()):
			from = tuf.RoleSnapshot
		}
		if err := d.build(ctx, from); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		if err := d.check(*p.set, r.o.Now()); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		return d.write(r.dir)
	})
}

func (r *Repository) due(role tuf.Role, expires time.Time) bool {
	return expires.Sub(r.o.Now()) < r.o.validity(role)/2
}

// Targets returns what the published targets metadata says, verified. Errors: as Open.
func (r *Repository) Targets() (*tuf.Targets, error) {
	var targets *tuf.Targets
	err := r.locked(func() error {
		p, err := r.dir.current()
		if err == nil {
			targets = p.set.Targets()
		}
		return err
	})
	return targets, err
}

// Root returns the newest root metadata, byte for byte, for provisioning devices. Errors: as Open.
func (r *Repository) Root() ([]byte, error) {
	var data []byte
	err := r.locked(func() error {
		p, err := r.dir.roots()
		if err == nil {
			data, err = r.dir.read(tuf.RoleRoot, p.set.Root().Version())
		}
		return err
	})
	return data, err
}
