// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// published is what the directory says now, verified: as package tuf reads it, as go-tuf can edit it, and the bytes.
type published struct {
	set       *tuf.Set
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	data      map[tuf.Role][]byte
}

// current reads the chain of roots and what the timestamp leads to. Expired metadata is no obstacle: it is to be renewed.
func (d directory) current() (*published, error) {
	p, err := d.roots()
	if err != nil {
		return nil, err
	}
	if err := d.restore(p, tuf.RoleTimestamp, 0, p.set.RestoreTimestamp); err != nil {
		return nil, err
	}
	if err := d.restore(p, tuf.RoleSnapshot, p.set.Timestamp().Snapshot().Version, p.set.RestoreSnapshot); err != nil {
		return nil, err
	}
	listed, _ := p.set.Snapshot().Meta(tuf.RoleTargets.Filename())
	if err := d.restore(p, tuf.RoleTargets, listed.Version, p.set.RestoreTargets); err != nil {
		return nil, err
	}
	if !p.set.TargetsCurrent() {
		return nil, fmt.Errorf("read repository: %w", tuf.ErrMixAndMatch)
	}
	p.timestamp, err = metadata.Timestamp().FromBytes(p.data[tuf.RoleTimestamp])
	if err == nil {
		p.snapshot, err = metadata.Snapshot().FromBytes(p.data[tuf.RoleSnapshot])
	}
	if err == nil {
		p.targets, err = metadata.Targets().FromBytes(p.data[tuf.RoleTargets])
	}
	if err != nil {
		return nil, fmt.Errorf("read repository: %v", err)
	}
	return p, nil
}

// roots walks the chain from the oldest root there is.
func (d directory) roots() (*published, error) {
	p := &published{data: make(map[tuf.Role][]byte)}
	for version := int64(1); version < math.MaxInt64; version++ {
		data, err := d.read(tuf.RoleRoot, version)
		if errors.Is(err, fs.ErrNotExist) && p.set != nil {
			return p, nil
		}
		if err == nil && p.set == nil {
			p.set, err = tuf.NewSet(data)
		} else if err == nil {
			err = p.set.UpdateRoot(data)
		}
		if err == nil {
			p.root, err = metadata.Root().FromBytes(data)
		}
		if err != nil {
			return nil, fmt.Errorf("read repository: %w", err)
		}
	}
	return p, nil
}

func (d directory) restore(p *published, role tuf.Role, version int64, put func([]byte) error) error {
	data, err := d.read(role, version)
	if err == nil {
		err = put(data)
	}
	if err != nil {
		return fmt.Errorf("read repository: %w", err)
	}
	p.data[role] = data
	return nil
}
