// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Expiry says when the published metadata of a role expires. Due is true if it is to be signed anew (a root by RotateRoot or a
// ceremony), Signable if Refresh can do so with the signers at hand.
type Expiry struct {
	Role     tuf.Role
	Version  int64
	Expires  time.Time
	Due      bool
	Signable bool
}

// Expiries returns what expires when, the next first. Errors: as Open.
func (r *Repository) Expiries(ctx context.Context) ([]Expiry, error) {
	p, err := r.s.current(ctx)
	if err != nil {
		return nil, err
	}
	var list []Expiry
	o, held := r.options(), p.client()
	add := func(role tuf.Role, m versioned, signable bool) {
		list = append(list, Expiry{Role: role, Version: m.Version(), Expires: m.Expires(), Due: o.due(role, m), Signable: signable})
	}
	add(tuf.RoleRoot, held.Root(), false)
	for role, m := range map[tuf.Role]versioned{tuf.RoleTimestamp: p.set.Timestamp(), tuf.RoleSnapshot: p.set.Snapshot(), tuf.RoleTargets: p.set.Targets()} {
		add(role, m, enough(held.Root(), role, o.signersOf(role)) == nil)
	}
	err = p.eachDelegated(ctx, func(role tuf.Role, t *tuf.Targets, way tuf.Delegation) error {
		add(role, t, o.canSign(way))
		return nil
	})
	slices.SortStableFunc(list, func(a, b Expiry) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Role, b.Role))
	})
	return list, err
}

type versioned interface {
	Version() int64
	Expires() time.Time
}

// eachDelegated calls f for each delegated role that the snapshot lists and somebody delegates to, by name.
func (p *published) eachDelegated(ctx context.Context, f func(tuf.Role, *tuf.Targets, tuf.Delegation) error) error {
	for _, role := range p.delegated() {
		t, way, err := p.open(ctx, string(role))
		if errors.Is(err, tuf.ErrDelegation) {
			continue // nobody looks at it any more
		}
		if err == nil {
			err = f(role, t, way)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
