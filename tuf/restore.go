// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"fmt"
	"io"
)

// RestoreTimestamp puts back timestamp metadata that an earlier update accepted. It is verified with the keys of the
// trusted root; it may have expired, it then still tells which versions are older.
// Errors: ErrMalformed, ErrThreshold, ErrRollback below the floor.
func (s *Set) RestoreTimestamp(data []byte) error {
	t, err := s.openTimestamp(data)
	if err != nil {
		return err
	}
	if t.version < s.floor.Timestamp {
		return fail(RoleTimestamp, t.version, fmt.Errorf("%w: version %d trusted", ErrRollback, s.floor.Timestamp))
	}
	s.timestamp = t
	return nil
}

// RestoreSnapshot puts back snapshot metadata that an earlier update accepted, after RestoreTimestamp. It may be expired
// or older than what the timestamp lists. Errors: ErrMalformed, ErrThreshold.
func (s *Set) RestoreSnapshot(data []byte) error {
	old, err := s.openSnapshot(data, MetaFile{})
	if err != nil {
		return err
	}
	s.snapshot, s.snapshotAs = old, MetaFile{}
	if s.timestamp != nil && s.timestamp.snapshot.Version == old.version && s.timestamp.snapshot.check(data) == nil {
		s.snapshotAs = s.timestamp.snapshot
	}
	return nil
}

// RestoreTargets puts back targets metadata that an earlier update accepted, after RestoreSnapshot. It may be expired
// or older than what the snapshot lists. It keeps data and reads from it. Errors: ErrMalformed, ErrThreshold.
func (s *Set) RestoreTargets(data []byte) error {
	return s.RestoreTargetsFile(bytes.NewReader(data), int64(len(data)))
}

// RestoreTargetsFile is RestoreTargets for a file that is not held in memory; see UpdateTargetsFile.
func (s *Set) RestoreTargetsFile(r io.ReaderAt, size int64) error {
	old, err := openTargets(s.root.roles[RoleTargets], RoleTargets, r, size, s.listedTargets(), false)
	if err == nil {
		s.restoreTargets(old)
	}
	return err
}

func (s *Set) restoreTargets(old *Targets) {
	s.targets, s.targetsAs = old, MetaFile{}
	if listed := s.listedTargets(); old.is(listed) {
		s.targetsAs = listed
	}
}

// listedTargets is what the held snapshot lists for the top-level targets metadata.
func (s *Set) listedTargets() MetaFile {
	if s.snapshot == nil {
		return MetaFile{}
	}
	return s.snapshot.meta[RoleTargets.Filename()]
}

func (s *Set) openTimestamp(data []byte) (*Timestamp, error) {
	return open(s.root.roles[RoleTimestamp], RoleTimestamp, data, MetaFile{}, parseTimestamp)
}

func (s *Set) openSnapshot(data []byte, listed MetaFile) (*Snapshot, error) {
	return open(s.root.roles[RoleSnapshot], RoleSnapshot, data, listed, parseSnapshot)
}

// open compares a file with its listing (the zero MetaFile lists nothing), verifies it with the keys that its parent gives the role and only
// then reads what it says.
func open[T interface{ Version() int64 }](signers *roleKeys, role Role, data []byte, listed MetaFile, parse func(value) (T, error)) (T, error) {
	var none T
	if err := listed.check(data); err != nil {
		return none, fail(role, listed.Version, err)
	}
	e, err := openEnvelope(data)
	if err != nil {
		return none, fail(role, listed.Version, err)
	}
	if err := e.verify(signers); err != nil {
		return none, fail(role, listed.Version, err)
	}
	m, err := parse(e.signed)
	if err != nil {
		return none, fail(role, listed.Version, err)
	}
	if listed.Version > 0 && m.Version() != listed.Version {
		return none, fail(role, m.Version(), fmt.Errorf("%w: version %d listed", ErrMixAndMatch, listed.Version))
	}
	return m, nil
}
