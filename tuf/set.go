// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// Set is the trusted metadata of one repository and the rules by which a newer file replaces an older one. It knows
// bytes and the update start time, no files and no network. A call that returns an error leaves the Set as it was.
//
// An update walks UpdateRoot until there is no further root, then calls UpdateTimestamp, UpdateSnapshot if
// the held one is not current, UpdateTargets likewise, and Check. What an earlier run verified is put back with the
// Restore methods before UpdateTimestamp, so that older versions are recognised.
//
// A Set is not safe for concurrent use. A copy of the struct is an independent Set: what it points to never changes.
//
// TUF 1.0.34, section 5.
type Set struct {
	root      *Root
	timestamp *Timestamp
	snapshot  *Snapshot
	targets   *Targets

	// The listings that the held files were compared with, byte for byte: a file is current while its parent
	// lists just that.
	snapshotAs, targetsAs MetaFile

	floor Floor
}

// Floor is the lowest versions that a Set accepts, for a caller who keeps them apart from the metadata: they hold even when the
// files that carried them are lost or replaced by older ones. 0 is no floor.
type Floor struct {
	Timestamp, Snapshot, Targets int64
}

// errOrder is a caller's mistake, not an attack.
var errOrder = errors.New("update out of order")

// NewSet begins with the root metadata that the caller trusts. Errors: as OpenRoot.
func NewSet(root []byte) (*Set, error) { return NewSetUnder(root, Policy{}) }

// NewSetUnder is NewSet with a local policy, which the root must satisfy and everything after it. Errors: as OpenRoot; ErrThreshold also for signatures
// that the policy demands.
func NewSetUnder(root []byte, p Policy) (*Set, error) {
	r, err := openRoot(root, p.clone())
	if err != nil {
		return nil, err
	}
	return &Set{root: r}, nil
}

// Root is the trusted root, never nil.
func (s *Set) Root() *Root { return s.root }

// Timestamp is the trusted timestamp metadata, nil if there is none.
func (s *Set) Timestamp() *Timestamp { return s.timestamp }

// Snapshot is the trusted snapshot metadata, nil if there is none. It may be older than the timestamp: see SnapshotCurrent.
func (s *Set) Snapshot() *Snapshot { return s.snapshot }

// Targets is the trusted targets metadata, nil if there is none. It may be older than the snapshot: see TargetsCurrent.
func (s *Set) Targets() *Targets { return s.targets }

// SetFloor sets the lowest versions to accept. Call it after the last UpdateRoot and not at all if that root revoked a key of
// the timestamp or the snapshot role (Root.Revoked).
func (s *Set) SetFloor(f Floor) { s.floor = f }

// Floor is the versions below which an update would be a rollback now: those held, or those of SetFloor if higher.
func (s *Set) Floor() Floor {
	f := s.floor
	if s.timestamp != nil {
		f.Timestamp = max(f.Timestamp, s.timestamp.version)
		f.Snapshot = max(f.Snapshot, s.timestamp.snapshot.Version)
	}
	if s.snapshot != nil {
		f.Snapshot = max(f.Snapshot, s.snapshot.version)
		f.Targets = max(f.Targets, s.snapshot.meta[RoleTargets.Filename()].Version)
	}
	return f
}

// UpdateRoot replaces the root by the one that follows it. All other metadata leaves the Set, because it was verified
// with the keys of the old root: restore it. Errors: as Root.Next.
func (s *Set) UpdateRoot(data []byte) error {
	next, err := s.root.Next(data)
	if err != nil {
		return err
	}
	*s = Set{root: next}
	return nil
}

// UpdateTimestamp takes newer timestamp metadata, and reports whether it was newer. The same version again is no error and
// changes nothing. Either way the timestamp that is then trusted is valid at the time at, the start of the update.
//
// Errors: ErrMalformed, ErrThreshold, ErrRollback, ErrFreeze. Section 5.4.
func (s *Set) UpdateTimestamp(data []byte, at time.Time) (newer bool, err error) {
	t, err := s.openTimestamp(data)
	if err != nil {
		return false, err
	}
	if old := s.timestamp; old != nil && t.version == old.version {
		return false, fail(RoleTimestamp, old.version, old.CheckFresh(at))
	}
	if err := s.checkTimestampVersions(t); err != nil {
		return false, fail(RoleTimestamp, t.version, err)
	}
	if err := t.CheckFresh(at); err != nil {
		return false, fail(RoleTimestamp, t.version, err)
	}
	s.timestamp = t
	return true, nil
}

// checkTimestampVersions is section 5.4.3. The held snapshot and the floor count by themselves too: the timestamp that
// listed them may have been lost with a damaged cache.
func (s *Set) checkTimestampVersions(t *Timestamp) error {
	floor := s.Floor()
	if t.version < floor.Timestamp {
		return fmt.Errorf("%w: version %d trusted", ErrRollback, floor.Timestamp)
	}
	if t.snapshot.Version < floor.Snapshot {
		return fmt.Errorf("%w: snapshot version %d trusted, %d listed", ErrRollback, floor.Snapshot, t.snapshot.Version)
	}
	return nil
}

// UpdateSnapshot takes the snapshot metadata that the trusted timestamp lists.
//
// Errors: ErrMixAndMatch, ErrMalformed, ErrThreshold, ErrRollback, ErrFreeze. Section 5.5.
func (s *Set) UpdateSnapshot(data []byte, at time.Time) error {
	if s.timestamp == nil {
		return errOrder
	}
	listed := s.timestamp.snapshot
	next, err := s.openSnapshot(data, listed)
	if err != nil {
		return err
	}
	if err := s.checkSnapshotVersions(next); err != nil {
		return fail(RoleSnapshot, next.version, err)
	}
	if err := next.CheckFresh(at); err != nil {
		return fail(RoleSnapshot, next.version, err)
	}
	s.snapshot, s.snapshotAs = next, listed
	return nil
}

// checkSnapshotVersions is section 5.5.5.
func (s *Set) checkSnapshotVersions(next *Snapshot) error {
	if is := next.meta[RoleTargets.Filename()].Version; is < s.floor.Targets {
		return fmt.Errorf("%w: targets version %d trusted, %d listed", ErrRollback, s.floor.Targets, is)
	}
	if s.snapshot == nil {
		return nil
	}
	return next.follows(s.snapshot)
}

// UpdateTargets takes the top-level targets metadata that the trusted snapshot lists. The snapshot must be current. It keeps data and reads
// from it.
//
// Errors: ErrMixAndMatch, ErrMalformed, ErrThreshold, ErrFreeze. Sections 5.6.1 to 5.6.5.
func (s *Set) UpdateTargets(data []byte, at time.Time) error {
	return s.UpdateTargetsFile(bytes.NewReader(data), int64(len(data)), at)
}

// UpdateTargetsFile is UpdateTargets for a file of any size that is not held in memory: the size bytes of r, which are read twice now, and in part
// whenever a target is looked up. Should r return other bytes then, the look-up fails with ErrCache.
func (s *Set) UpdateTargetsFile(r io.ReaderAt, size int64, at time.Time) error {
	if !s.SnapshotCurrent() {
		return errOrder
	}
	listed := s.listedTargets()
	next, err := openTargets(s.root.roles[RoleTargets], RoleTargets, r, size, listed, true)
	if err != nil {
		return err
	}
	if err := next.CheckFresh(at); err != nil {
		return fail(RoleTargets, next.version, err)
	}
	s.targets, s.targetsAs = next, listed
	return nil
}

// SnapshotCurrent reports whether the held snapshot is the one that the held timestamp lists.
func (s *Set) SnapshotCurrent() bool {
	return s.timestamp != nil && s.snapshot != nil && s.snapshotAs.equal(s.timestamp.snapshot)
}

// TargetsCurrent reports whether the held targets metadata is the one that the current snapshot lists.
func (s *Set) TargetsCurrent() bool {
	return s.SnapshotCurrent() && s.targets != nil && s.targetsAs.equal(s.snapshot.meta[RoleTargets.Filename()])
}

// Check returns nil if the Set answers for the repository at the time at: every role is there, current and not expired.
// Errors: ErrFreeze.
func (s *Set) Check(at time.Time) error {
	if !s.TargetsCurrent() {
		return errOrder
	}
	return errors.Join(
		fail(RoleRoot, s.root.version, s.root.CheckFresh(at)),
		fail(RoleTimestamp, s.timestamp.version, s.timestamp.CheckFresh(at)),
		fail(RoleSnapshot, s.snapshot.version, s.snapshot.CheckFresh(at)),
		fail(RoleTargets, s.targets.version, s.targets.CheckFresh(at)),
	)
}

// fail puts the role around an error and leaves nil alone.
func fail(role Role, version int64, err error) error {
	if err == nil {
		return nil
	}
	return &RoleError{Role: role, Version: version, Err: err}
}
