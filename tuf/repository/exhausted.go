// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// ErrVersions means that a role has no version number left: somebody who had its key drove them up (fast-forward attack). A root
// that revokes a key of timestamp or snapshot makes clients forget the versions that they have seen; RotateRoot then begins again after the last that
// is below the end.
var ErrVersions = errors.New("no version numbers left")

// maxVersion is the highest version that is used. Beyond it programs that read numbers as IEEE doubles take two versions for one.
const maxVersion = 1<<53 - 1

// exhausted returns ErrVersions if a role cannot be followed by another version. Under a root that refuses what is published versions begin again.
func (p *published) exhausted() error {
	if p.broken != "" {
		return nil
	}
	for _, role := range roles[1:] {
		if version := p.version(role); version >= maxVersion {
			return fmt.Errorf("%w: %s has version %d: replace the key of whoever drove it up, and one of timestamp or snapshot", ErrVersions, role, version)
		}
	}
	return nil
}

// version is that of a published top-level role below the root.
func (p *published) version(role tuf.Role) int64 {
	switch role {
	case tuf.RoleTimestamp:
		return p.set.Timestamp().Version()
	case tuf.RoleSnapshot:
		return p.set.Snapshot().Version()
	}
	return p.set.Targets().Version()
}

// forgotten reports whether a client that follows from one root to the next forgets the versions that it has seen.
func forgotten(before, after *tuf.Root) bool {
	return slices.ContainsFunc([]tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot}, func(role tuf.Role) bool {
		var ids []verify.Digest
		for _, key := range before.Keys(role) {
			ids = append(ids, key.ID())
		}
		return after.Revoked(role, ids)
	})
}
