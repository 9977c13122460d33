// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// Accept takes the next metadata of a delegated role from a delegate who signs it alone. It must be signed as the delegation demands and be
// of a later version than the one before. target holds the files that it lists and that are not in the repository yet, by target path.
//
// Errors: what a client would refuse; tuf.ErrRollback for an older version; tuf.ErrLength and tuf.ErrHash for a file that is not as listed;
// tuf.ErrTargetUnknown for one that is not listed.
func (r *Repository) Accept(ctx context.Context, role tuf.Role, data []byte, targets map[string][]byte) error {
	return r.edit(ctx, "accept "+string(role), func(e *edit) error {
		if err := checkRole(role); err != nil {
			return err
		}
		if slices.Contains(roles, role) {
			return fmt.Errorf("%w: %s is a top-level role", tuf.ErrDelegation, role)
		}
		way, _, err := e.p.delegator(ctx, string(role))
		if err != nil {
			return err
		}
		t, err := way.Open(data)
		if err != nil {
			return err
		}
		if err := e.checkNewer(ctx, role, t.Version(), data); err != nil {
			return err
		}
		for name, content := range targets {
			listed, err := t.Target(name)
			if err == nil {
				err = errors.Join(tuf.CheckPath(name), listed.Verify(content))
			}
			if err != nil {
				return err
			}
			e.files[name] = file{content, listed.Digests}
		}
		e.d.next[role] = t.Version()
		e.d.list(role, data)
		return e.finish(ctx)
	})
}

// checkNewer compares the version of metadata that a delegate signed with what is published. A file of that version that was never published
// must be the same: this call, cut off before its end, left it, or another delegate did.
func (e *edit) checkNewer(ctx context.Context, role tuf.Role, version int64, data []byte) error {
	is := int64(0)
	if listed, err := e.p.set.DelegatedMeta(string(role)); err == nil {
		is = listed.Version
	}
	if version <= is {
		return fmt.Errorf("%w: version %d is there, %d seen", tuf.ErrRollback, is, version)
	}
	if version > e.d.last[role] {
		return nil
	}
	old, err := e.p.s.read(ctx, role, version)
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: another version %d is there already", ErrExists, version)
}
