// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// Expiry says when the published metadata of a role expires. Signable is true if Refresh can renew it with the signers at hand.
type Expiry struct {
	Role     tuf.Role
	Version  int64
	Expires  time.Time
	Signable bool
}

// Expiries returns what expires when, the next first. Errors: as Open.
func (r *Repository) Expiries() ([]Expiry, error) {
	var list []Expiry
	err := r.locked(func() error {
		p, err := r.dir.current()
		if err != nil {
			return err
		}
		add := func(role tuf.Role, m interface {
			Version() int64
			Expires() time.Time
		}) {
			signable := role != tuf.RoleRoot && (!slices.Contains(roles, role) || enough(p.set.Root(), role, r.o.Signers[role]) == nil)
			list = append(list, Expiry{Role: role, Version: m.Version(), Expires: m.Expires(), Signable: signable})
		}
		add(tuf.RoleRoot, p.set.Root())
		add(tuf.RoleTimestamp, p.set.Timestamp())
		add(tuf.RoleSnapshot, p.set.Snapshot())
		add(tuf.RoleTargets, p.set.Targets())
		for _, role := range p.delegated() {
			t, way, err := p.open(r.dir, string(role))
			if errors.Is(err, tuf.ErrDelegation) {
				continue // nobody looks at it any more
			}
			if err != nil {
				return err
			}
			add(role, t)
			list[len(list)-1].Signable = r.canSign(way)
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Expiry) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Role, b.Role))
	})
	return list, err
}

// delegated is the delegated roles that the snapshot lists, in the order of their names.
func (p *published) delegated() []tuf.Role {
	var list []tuf.Role
	for _, path := range slices.Sorted(maps.Keys(maps.Collect(p.set.Snapshot().All()))) {
		if role := tuf.Role(strings.TrimSuffix(path, ".json")); role != tuf.RoleTargets {
			list = append(list, role)
		}
	}
	return list
}

// dueDelegated signs anew the delegated roles that are due and whose signers are at hand.
func (r *Repository) dueDelegated(ctx context.Context, p *published, d *draft) (due bool, err error) {
	for _, role := range p.delegated() {
		if len(r.signersOf(role)) == 0 {
			continue
		}
		t, way, err := p.open(r.dir, string(role))
		if errors.Is(err, tuf.ErrDelegation) {
			continue
		}
		if err != nil {
			return false, err
		}
		if !r.due(role, t.Expires()) || !r.canSign(way) {
			continue
		}
		data, err := r.dir.read(role, t.Version())
		if err != nil {
			return false, err
		}
		m, err := metadata.Targets().FromBytes(data)
		if err != nil {
			return false, fmt.Errorf("read %s: %v", role, err)
		}
		if err := d.buildDelegated(ctx, r, role, m); err != nil {
			return false, err
		}
		due = true
	}
	return due, nil
}

// Accept takes the next metadata of a delegated role from a delegate who signs it alone. It must be signed as the delegation demands and be
// of a later version than the one before. target holds the files that it lists and that are not in the repository yet, by target path.
//
// Errors: what a client would refuse; tuf.ErrRollback for an older version; tuf.ErrLength and tuf.ErrHash for a file that is not as listed;
// tuf.ErrTargetUnknown for one that is not listed.
func (r *Repository) Accept(ctx context.Context, role tuf.Role, data []byte, targets map[string][]byte) error {
	return r.edit("accept "+string(role), func(e *edit) error {
		if err := checkRole(role); err != nil {
			return err
		}
		if slices.Contains(roles, role) {
			return fmt.Errorf("%w: %s is a top-level role", tuf.ErrDelegation, role)
		}
		set := e.p.set
		way, err := delegator(set, set.Targets(), string(role), func(d tuf.Delegation) (*tuf.Targets, error) { return e.p.read(r.dir, d) })
		if err != nil {
			return err
		}
		t, err := way.Open(data)
		if err != nil {
			return err
		}
		last, err := r.dir.lastVersions()
		if err != nil {
			return err
		}
		if t.Version() <= last[role] {
			return fmt.Errorf("%w: version %d is there, %d seen", tuf.ErrRollback, last[role], t.Version())
		}
		for name, file := range targets {
			listed, err := t.Target(name)
			if err == nil {
				err = errors.Join(tuf.CheckPath(name), listed.Verify(file))
			}
			if err != nil {
				return err
			}
		}
		e.d.next[role] = t.Version()
		e.d.list(role, data)
		e.files = targets
		return e.finish(ctx)
	})
}
