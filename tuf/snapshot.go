// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"fmt"
	"iter"
	"maps"
	"strings"
)

// Snapshot is verified snapshot metadata: the versions of all targets metadata that belong together. It is immutable.
//
// TUF 1.0.34, section 4.4.
type Snapshot struct {
	header
	meta map[string]MetaFile
}

// Meta returns what the snapshot lists under a METAPATH such as "targets.json".
func (s *Snapshot) Meta(path string) (MetaFile, bool) {
	m, ok := s.meta[path]
	return m, ok
}

// All iterates the METAPATHs that the snapshot lists, in no particular order.
func (s *Snapshot) All() iter.Seq2[string, MetaFile] { return maps.All(s.meta) }

// follows checks that no targets metadata that old listed has vanished or gone back (section 5.5.5).
func (s *Snapshot) follows(old *Snapshot) error {
	for path, was := range old.meta {
		is, listed := s.meta[path]
		if !listed {
			return fmt.Errorf("%w: %.60q was listed and is no longer", ErrRollback, path)
		}
		if is.Version < was.Version {
			return fmt.Errorf("%w: %.60q version %d trusted, %d listed", ErrRollback, path, was.Version, is.Version)
		}
	}
	return nil
}

func parseSnapshot(signed value) (*Snapshot, error) {
	s := &Snapshot{meta: make(map[string]MetaFile)}
	var err error
	s.header, err = parseHeader(signed, RoleSnapshot, func(name string, v value) error {
		if name != "meta" {
			return nil
		}
		if err := v.object("meta"); err != nil {
			return err
		}
		for path, v := range v.members() {
			if !strings.HasSuffix(path, ".json") {
				return malformed("meta: file name in .json expected, seen %.60q", path)
			}
			m, err := parseMetaFile(v)
			if err != nil {
				return err
			}
			s.meta[path] = m
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, ok := s.meta[RoleTargets.Filename()]; !ok {
		return nil, malformed("meta: %s missing", RoleTargets.Filename())
	}
	return s, nil
}
