// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Expiry says when the published metadata of a role expires. Due is true if it is to be signed anew (a root by RotateRoot or a
// ceremony), Signable if Refresh can do so with the signers at hand. Err is not nil if clients cannot use what is published for a delegated role: it is not
// signed as the delegation demands now, or is damaged. Expires is zero then.
type Expiry struct {
	Role     tuf.Role
	Version  int64
	Expires  time.Time
	Due      bool
	Signable bool
	Err      error
}

// Expiries returns what expires when, the next first. Of very many delegated roles it reads those that neither it nor Refresh has read before.
// Errors: as Open.
func (r *Repository) Expiries(ctx context.Context) ([]Expiry, error) {
	p, err := r.s.current(ctx)
	if err != nil {
		return nil, err
	}
	var list []Expiry
	o, held := r.options(), p.client()
	add := func(role tuf.Role, m versioned, signable bool) {
		list = append(list, Expiry{Role: role, Version: m.Version(), Expires: m.Expires(), Due: o.due(role, m.Expires()), Signable: signable})
	}
	add(tuf.RoleRoot, held.Root(), false)
	for role, m := range map[tuf.Role]versioned{tuf.RoleTimestamp: p.set.Timestamp(), tuf.RoleSnapshot: p.set.Snapshot(), tuf.RoleTargets: p.set.Targets()} {
		add(role, m, enough(held.Root(), role, o.signersOf(role)) == nil)
	}
	err = p.lifetimes(ctx, func(role tuf.Role, l lifetime, way tuf.Delegation) error {
		list = append(list, Expiry{role, l.version, l.expires, l.err == nil && o.due(role, l.expires), o.canSign(way), l.err})
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
