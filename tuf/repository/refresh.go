// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Refresh signs anew what is due and whose signers are at hand, delegated roles included, and returns which roles it signed. A role is due when less than
// half of its time is left, or Options.Jitter less than that. What lists a role that was signed is signed with it. If nothing
// is due nothing is written that clients read, so it can be run as often as one likes: at least twice as often as the timestamp expires.
//
// A delegated role that clients cannot use, or cannot be given a next version that they could, holds up nobody else: what remains is signed and returned, and
// the error says which role that is and why. Other errors: as Publish.
func (r *Repository) Refresh(ctx context.Context) (signed []tuf.Role, err error) {
	var broken []error
	err = r.edit(ctx, "refresh", func(e *edit) (err error) {
		signed, broken = nil, nil
		var fresh []tuf.Role
		if fresh, broken, err = e.refreshDelegated(ctx); err != nil {
			return err
		}
		held, from := e.p.client(), tuf.Role("")
		switch {
		case e.p.broken == tuf.RoleTargets,
			e.o.due(tuf.RoleTargets, e.p.set.Targets().Expires()) && enough(held.Root(), tuf.RoleTargets, e.o.signersOf(tuf.RoleTargets)) == nil:
			from = tuf.RoleTargets
		case e.p.broken == tuf.RoleSnapshot, len(fresh) > 0, e.o.due(tuf.RoleSnapshot, e.p.set.Snapshot().Expires()):
			from = tuf.RoleSnapshot
		case e.p.broken == tuf.RoleTimestamp, e.o.due(tuf.RoleTimestamp, e.p.set.Timestamp().Expires()):
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
	if len(broken) > 0 {
		return signed, fmt.Errorf("refresh: passed over: %w", errors.Join(broken...))
	}
	return signed, nil
}

// refreshDelegated signs the delegated roles that are due, and says why it passed over others.
func (e *edit) refreshDelegated(ctx context.Context) (fresh []tuf.Role, broken []error, err error) {
	err = e.p.lifetimes(ctx, func(role tuf.Role, l lifetime, way tuf.Delegation) error {
		if l.err == nil && (!e.o.due(role, l.expires) || !e.o.canSign(way)) {
			return nil
		}
		err := l.err
		if err == nil {
			err = e.refreshRole(ctx, role, way)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			broken = append(broken, err)
		} else {
			fresh = append(fresh, role)
		}
		return nil
	})
	return fresh, broken, err
}

// refreshRole puts the next version of a delegated role into the draft, if clients would take it.
func (e *edit) refreshRole(ctx context.Context, role tuf.Role, way tuf.Delegation) error {
	m, err := e.load(ctx, role)
	if err != nil {
		return err
	}
	version, data, err := e.d.signDelegated(ctx, role, m)
	if err != nil {
		return err
	}
	t, err := way.Open(data)
	if err == nil {
		err = t.CheckFresh(e.o.Now())
	}
	if err != nil {
		return fmt.Errorf("%s: a client would refuse: %w", role, err)
	}
	e.d.next[role] = version
	e.d.list(role, data)
	return nil
}

// due reports whether a role that expires then is to be signed anew.
func (o Options) due(role tuf.Role, expires time.Time) bool {
	left := expires.Sub(o.Now())
	if o.Jitter != nil {
		left -= o.Jitter(role)
	}
	return left < o.validity(role)/2
}
