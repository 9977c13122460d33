// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// published is what the storage says now, verified: as package tuf reads it, as go-tuf can edit it, and the bytes.
type published struct {
	s         store
	chain     [][]byte // the roots, from version 1
	set       *tuf.Set // all roles, under the newest root that they are good for
	broken    tuf.Role // the first role that is not good under the newest root: a rotation was cut off; "" if all are
	tag       Tag      // of timestamp.json
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	data      map[tuf.Role][]byte
}

// current reads the chain of roots and what the timestamp leads to. Expired metadata is no obstacle: it is to be renewed.
func (s store) current(ctx context.Context) (*published, error) {
	for {
		p, err := s.read1(ctx)
		if !errors.Is(err, fs.ErrNotExist) || p.tag == "" {
			return p, err
		}
		// Garbage collection may have overtaken us: what the new timestamp leads to is there.
		if _, tag, gone := s.Get(ctx, metadataPath(tuf.RoleTimestamp, 0), MaxMetadata); gone != nil || tag == p.tag {
			return nil, err
		}
	}
}

// read1 reads the timestamp before the roots. A rotation signs the timestamp once more after its root is in place (see install), so whoever
// builds on that timestamp knows the root; whoever builds on one before it loses.
func (s store) read1(ctx context.Context) (p *published, err error) {
	p = &published{s: s, data: make(map[tuf.Role][]byte)}
	if p.data[tuf.RoleTimestamp], p.tag, err = s.Get(ctx, metadataPath(tuf.RoleTimestamp, 0), MaxMetadata); err != nil {
		return p, fmt.Errorf("read repository: %w", err)
	}
	top, err := p.roots(ctx)
	if err != nil {
		return p, err
	}
	p.set = top
	err = p.restore(ctx)
	for i := len(p.chain) - 2; i >= 0 && errors.Is(err, tuf.ErrThreshold); i-- {
		if p.set, err = tuf.NewSet(p.chain[i]); err == nil {
			err = p.restore(ctx)
		}
	}
	if err != nil {
		return p, fmt.Errorf("read repository: %w", err)
	}
	if p.set != top {
		p.broken = p.firstBroken(top)
	}
	p.timestamp, err = parse(metadata.Timestamp(), p.data[tuf.RoleTimestamp])
	if err == nil {
		p.snapshot, err = parse(metadata.Snapshot(), p.data[tuf.RoleSnapshot])
	}
	if err == nil {
		p.targets, err = parse(metadata.Targets(), p.data[tuf.RoleTargets])
	}
	if err != nil {
		return p, fmt.Errorf("read repository: %w", err)
	}
	return p, nil
}

// roots walks the chain from the first root and returns what it leads to.
func (p *published) roots(ctx context.Context) (set *tuf.Set, err error) {
	for version := int64(1); version < math.MaxInt64; version++ {
		data, err := p.s.read(ctx, tuf.RoleRoot, version)
		if errors.Is(err, fs.ErrNotExist) && set != nil {
			break
		}
		if err == nil && set == nil {
			set, err = tuf.NewSet(data)
		} else if err == nil {
			err = set.UpdateRoot(data)
		}
		if err != nil {
			return nil, fmt.Errorf("read repository: %w", err)
		}
		p.chain = append(p.chain, data)
	}
	if p.root, err = parse(metadata.Root(), p.newestRoot()); err != nil {
		return nil, fmt.Errorf("read repository: %w", err)
	}
	return set, nil
}

func (p *published) newestRoot() []byte { return p.chain[len(p.chain)-1] }

// client is what a client holds who follows the repository.
func (p *published) client() tuf.Set {
	if p.broken == "" {
		return *p.set
	}
	set, err := tuf.NewSet(p.newestRoot())
	if err != nil {
		panic(err) // it was read by roots
	}
	return *set
}

// restore puts timestamp, snapshot and targets into the set, if they are good under its root.
func (p *published) restore(ctx context.Context) error {
	if err := p.set.RestoreTimestamp(p.data[tuf.RoleTimestamp]); err != nil {
		return err
	}
	if err := p.load(ctx, tuf.RoleSnapshot, p.set.Timestamp().Snapshot().Version); err != nil {
		return err
	}
	if err := p.set.RestoreSnapshot(p.data[tuf.RoleSnapshot]); err != nil {
		return err
	}
	listed, _ := p.set.Snapshot().Meta(tuf.RoleTargets.Filename())
	if err := p.load(ctx, tuf.RoleTargets, listed.Version); err != nil {
		return err
	}
	if err := p.set.RestoreTargets(p.data[tuf.RoleTargets]); err != nil {
		return err
	}
	if !p.set.TargetsCurrent() {
		return tuf.ErrMixAndMatch
	}
	return nil
}

func (p *published) load(ctx context.Context, role tuf.Role, version int64) (err error) {
	if p.data[role] == nil {
		p.data[role], err = p.s.read(ctx, role, version)
	}
	return err
}

// firstBroken returns the first role whose published metadata is not good under the root of set, in the order in which they are signed.
func (p *published) firstBroken(set *tuf.Set) tuf.Role {
	fresh := *set
	for i, put := range []func([]byte) error{fresh.RestoreTargets, fresh.RestoreSnapshot, fresh.RestoreTimestamp} {
		if put(p.data[roles[i+1]]) != nil {
			return roles[i+1]
		}
	}
	return ""
}

// open returns the published metadata of a delegated role, verified as its first delegator demands, and that delegation.
func (p *published) open(ctx context.Context, role string) (*tuf.Targets, tuf.Delegation, error) {
	d, _, err := p.delegator(ctx, role)
	if err != nil {
		return nil, d, err
	}
	t, err := p.openAs(ctx, d)
	return t, d, err
}

// delegator is the first delegation to a published role, and who delegates.
func (p *published) delegator(ctx context.Context, role string) (tuf.Delegation, tuf.Role, error) {
	return delegator(p.set, p.set.Targets(), role, func(d tuf.Delegation) (*tuf.Targets, error) { return p.openAs(ctx, d) })
}

func (p *published) openAs(ctx context.Context, d tuf.Delegation) (*tuf.Targets, error) {
	listed, err := p.set.DelegatedMeta(d.Name())
	if err != nil {
		return nil, err
	}
	data, err := p.s.read(ctx, tuf.Role(d.Name()), listed.Version)
	if err != nil {
		return nil, err
	}
	return p.set.OpenDelegated(d, data, beginning) // expired metadata is to be renewed
}
