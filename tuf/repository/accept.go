// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// ErrFileMissing means that metadata lists a target whose file is neither there nor handed in.
var ErrFileMissing = errors.New("target file missing")

// MaxAccepted is the highest version that Accept takes: as many again are left, so that a delegate cannot use up those of a role that others share.
const MaxAccepted = maxVersion / 2

// Accept takes the next metadata of a delegated role from a delegate who signs it alone. It must be signed as the delegation demands and be
// of a later version than the one before. targets holds the files that it lists and that are not in the repository yet, by target path; what
// it lists as the version before did is taken to be there. After an error nothing is published, and the delegate can hand in the same version, corrected.
//
// Errors: what a client would refuse; tuf.ErrRollback for an older version; tuf.ErrLength and tuf.ErrHash for a file that is not as listed;
// ErrVersions for a version above MaxAccepted; ErrFileMissing and tuf.ErrPath for one that clients could not get; tuf.ErrTargetUnknown for one that is not listed.
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
		if err := e.checkFiles(ctx, way, t, targets); err != nil {
			return err
		}
		e.d.next[role] = t.Version()
		e.d.list(role, data)
		return e.finish(ctx)
	})
}

// checkFiles compares what is handed in with what t lists, and what is stored with whatever t lists besides, but for what the published version lists too.
func (e *edit) checkFiles(ctx context.Context, way tuf.Delegation, t *tuf.Targets, targets map[string][]byte) error {
	for name := range targets {
		if _, err := t.Target(name); err != nil {
			return err
		}
	}
	before, err := e.p.openAs(ctx, way)
	if err != nil {
		before = nil // there is none, or none that this delegation accepts
	}
	var missing []string
	for listed, err := range t.All() {
		if err != nil {
			return err
		}
		content, given := targets[listed.Path]
		switch {
		case given:
			e.files[listed.Path] = file{content, listed.Digests}
			err = errors.Join(tuf.CheckPath(listed.Path), listed.Verify(content))
		case before != nil && lists(before, listed):
		default:
			err = e.checkStored(ctx, listed)
		}
		if errors.Is(err, ErrFileMissing) {
			missing = append(missing, listed.Path)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %.200q is listed, not handed in and not stored (%d such)", ErrFileMissing, missing[0], len(missing))
	}
	return nil
}

func lists(t *tuf.Targets, want tuf.TargetFile) bool {
	is, err := t.Target(want.Path)
	return err == nil && is.Length == want.Length && slices.Equal(is.Digests, want.Digests)
}

// checkStored reads a target's file under each of the names that a client may ask for.
func (e *edit) checkStored(ctx context.Context, listed tuf.TargetFile) error {
	paths, err := targetPaths(listed.Path, listed.Digests)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("target %.200q: %w: no digest of a kind that clients know", listed.Path, tuf.ErrHash)
	}
	if err != nil {
		return err
	}
	for _, at := range paths {
		f, err := e.p.s.Open(ctx, at)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s", ErrFileMissing, at)
		}
		if err == nil {
			err = errors.Join(listed.Copy(io.Discard, f), f.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	e.stored = append(e.stored, paths...)
	return nil
}

// checkNewer compares the version of metadata that a delegate signed with what is published. A file of that version that was never published
// must be the same: this call, cut off before its end, left it, or another delegate did.
func (e *edit) checkNewer(ctx context.Context, role tuf.Role, version int64, data []byte) error {
	is := int64(0)
	if listed, err := e.p.set.DelegatedMeta(string(role)); err == nil {
		is = listed.Version
	}
	if version > MaxAccepted {
		return fmt.Errorf("%w: version %d leaves too few to follow it, at most %d", ErrVersions, version, int64(MaxAccepted))
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
