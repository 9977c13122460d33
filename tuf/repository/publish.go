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
// All others stay as they are. Clients see all of it or none.
//
// Errors: tuf.ErrPath; ErrIncomplete; what a Signer or the storage returns. Power cut: the package comment.
func (r *Repository) Publish(ctx context.Context, targets map[string][]byte) error {
	for name := range targets {
		if err := tuf.CheckPath(name); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return r.locked(func() error {
		if err := r.publish(ctx, targets); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		return nil
	})
}

func (r *Repository) publish(ctx context.Context, targets map[string][]byte) error {
	p, err := r.dir.current()
	if err != nil {
		return err
	}
	d, err := r.draft(p)
	if err != nil {
		return err
	}
	for name, data := range targets {
		d.targets.Signed.Targets[name] = targetFile(data)
	}
	if err := d.build(ctx, tuf.RoleTargets); err != nil {
		return err
	}
	if err := d.check(*p.set, r.o.Now()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		file, err := targetPath(name, targets[name])
		if err != nil {
			return err
		}
		if err := r.dir.writeOnce(file, targets[name]); err != nil {
			return err
		}
	}
	return d.write(r.dir)
}

// Refresh signs the timestamp anew, and before it the snapshot and the targets metadata if less than half of their time
// is left. Call it regularly, more often than the timestamp expires. Errors: as Publish.
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
		switch {
		case r.due(tuf.RoleTargets, p.set.Targets().Expires()):
			from = tuf.RoleTargets
		case r.due(tuf.RoleSnapshot, p.set.Snapshot().Expires()):
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
	return expires.Sub(r.o.Now()) < r.o.Expiry[role]/2
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
