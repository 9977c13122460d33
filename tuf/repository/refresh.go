// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// Refresh signs anew what is due and whose signers are at hand, delegated roles included, and returns which roles it signed. A role is due when less than
// half of its time is left, or Options.Jitter less than that. What lists a role that was signed is signed with it. If nothing
// is due nothing is written, so it can be run as often as one likes: at least twice as often as the timestamp expires. Errors: as Publish.
func (r *Repository) Refresh(ctx context.Context) (signed []tuf.Role, err error) {
	err = r.edit(ctx, "refresh", func(e *edit) error {
		signed = nil
		held := e.p.client()
		var fresh []tuf.Role
		err := e.p.eachDelegated(ctx, func(role tuf.Role, t *tuf.Targets, way tuf.Delegation) error {
			if !e.o.due(role, t) || !e.o.canSign(way) {
				return nil
			}
			m, err := e.load(ctx, role)
			if err != nil {
				return err
			}
			fresh = append(fresh, role)
			return e.d.buildDelegated(ctx, role, m)
		})
		if err != nil {
			return err
		}
		from := tuf.Role("")
		switch {
		case e.p.broken == tuf.RoleTargets,
			e.o.due(tuf.RoleTargets, e.p.set.Targets()) && enough(held.Root(), tuf.RoleTargets, e.o.signersOf(tuf.RoleTargets)) == nil:
			from = tuf.RoleTargets
		case e.p.broken == tuf.RoleSnapshot, len(fresh) > 0, e.o.due(tuf.RoleSnapshot, e.p.set.Snapshot()):
			from = tuf.RoleSnapshot
		case e.p.broken == tuf.RoleTimestamp, e.o.due(tuf.RoleTimestamp, e.p.set.Timestamp()):
			from = tuf.RoleTimestamp
		default:
			return nil
		}
		signed = append(fresh, roles[slices.Index(roles, from):]...)
		return e.publish(ctx, from)
	})
	if err != nil {
		return nil, err
	}
	return signed, nil
}

// due reports whether a role is to be signed anew.
func (o Options) due(role tuf.Role, m versioned) bool {
	left := m.Expires().Sub(o.Now())
	if o.Jitter != nil {
		left -= o.Jitter(role)
	}
	return left < o.validity(role)/2
}
