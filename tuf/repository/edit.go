// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// edit is one publication in the making.
type edit struct {
	r       *Repository
	o       Options
	p       *published
	d       *draft
	files   map[string]file // target files to write, by target path
	stored  []string        // target files that are there already and must stay
	changed bool            // the top-level targets metadata

	delegators map[string][]trust // who delegates to a role by name, as is published; nil until somebody asks
}

// trust is a delegation and who delegates.
type trust struct {
	from tuf.Role
	way  tuf.Delegation
}

// maxTries bounds how often one publication begins anew.
const maxTries = 1000

// edit runs f on what is published now, and again if somebody else published meanwhile: what f changes is then changed in what they
// made of it. Goroutines take turns, so that they do not make each other begin anew.
func (r *Repository) edit(ctx context.Context, what string, f func(*edit) error) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	if err := r.again(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// again runs f until nobody is faster. Each time somebody was, they have published: someone always gets on.
func (r *Repository) again(ctx context.Context, f func(*edit) error) error {
	for range maxTries {
		if err := r.try(ctx, f); !errors.Is(err, ErrConflict) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return ErrConflict
}

func (r *Repository) try(ctx context.Context, f func(*edit) error) error {
	p, err := r.s.current(ctx)
	if err != nil {
		return err
	}
	d, err := r.newDraft(ctx, p)
	if err != nil {
		return err
	}
	return f(&edit{r: r, o: d.o, p: p, d: d, files: map[string]file{}})
}

// home is the role that Publish puts a target into: the top-level one, or its bin.
func (e *edit) home(name string) tuf.Role {
	top, d := e.p.set.Targets(), e.d.targets.Signed.Delegations
	if _, err := top.Target(name); err == nil || d == nil {
		return tuf.RoleTargets
	}
	for _, way := range top.Delegations(name) {
		classic := slices.ContainsFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == way.Name() && len(r.PathHashPrefixes) > 0 })
		if d.SuccinctRoles != nil || classic {
			return tuf.Role(way.Name())
		}
	}
	return tuf.RoleTargets
}

func (e *edit) apply(ctx context.Context, c Change) error {
	if c.Role == "" {
		c.Role = tuf.RoleTargets
	}
	m, err := e.load(ctx, c.Role)
	if err != nil {
		return err
	}
	if err := e.change(m, c); err != nil {
		return err
	}
	was := cloneDelegations(m.Signed.Delegations)
	trusted, err := e.delegate(m, c)
	if err != nil {
		return err
	}
	e.d.edited[c.Role] = m.Signed.Delegations
	for _, role := range trusted {
		if err := e.follow(ctx, role, was, c); err != nil {
			return err
		}
	}
	if c.Role == tuf.RoleTargets {
		e.changed = true
		return nil
	}
	return e.d.buildDelegated(ctx, c.Role, m)
}

// change adds and removes targets, and sets what they say of themselves.
func (e *edit) change(m *metadata.Metadata[metadata.TargetsType], c Change) error {
	for name, data := range c.Add {
		if err := tuf.CheckPath(name); err != nil {
			return err
		}
		f := newFile(data)
		m.Signed.Targets[name] = f.entry()
		e.files[name] = f
	}
	for _, name := range c.Remove {
		if m.Signed.Targets[name] == nil {
			return fmt.Errorf("%w: %.200q in role %s", tuf.ErrTargetUnknown, name, c.Role)
		}
		delete(m.Signed.Targets, name)
	}
	for name, custom := range c.Custom {
		if err := setCustom(m, name, custom); err != nil {
			return err
		}
	}
	return nil
}

// delegate changes the delegations of m and returns the roles that they are to.
func (e *edit) delegate(m *metadata.Metadata[metadata.TargetsType], c Change) (trusted []tuf.Role, err error) {
	if c.Bins != nil {
		if len(c.Delegate) > 0 {
			return nil, fmt.Errorf("%w: %s: either bins or delegations expected", tuf.ErrDelegation, c.Role)
		}
		if m.Signed.Delegations, trusted, err = setBins(*c.Bins); err != nil {
			return nil, err
		}
	} else if len(c.Delegate) > 0 || len(c.Revoke) > 0 {
		d := m.Signed.Delegations
		if d == nil {
			d = &metadata.Delegations{Keys: map[string]*metadata.Key{}}
			m.Signed.Delegations = d
		}
		if d.SuccinctRoles != nil {
			return nil, fmt.Errorf("%w: %s delegates to bins", tuf.ErrDelegation, c.Role)
		}
		for _, role := range c.Revoke {
			d.Roles = slices.DeleteFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == string(role) })
		}
		for _, want := range c.Delegate {
			if err := setDelegation(d, want); err != nil {
				return nil, err
			}
			trusted = append(trusted, want.Role)
		}
		pruneDelegations(d)
	}
	return trusted, nil
}

// follow gives a new delegated role its first metadata, and signs one anew of which the delegation now demands other signatures, so that no client finds it as
// was demanded before. It does so if enough signers are at hand; otherwise there is nothing that clients can use until it is signed elsewhere. A role that
// others trust, too, is signed as they all demand, since which of them a client comes by depends on what it looks for; and it is left alone if some of them
// could no longer use it.
func (e *edit) follow(ctx context.Context, role tuf.Role, was *metadata.Delegations, c Change) error {
	now, _ := inDelegations(role, e.d.edited[c.Role])
	_, listed := e.d.snapshot.Signed.Meta[role.Filename()]
	if listed {
		if then, _ := inDelegations(role, was); now.same(then) || e.d.atHand(role, now) < now.threshold {
			return nil
		}
	} else if c.Bins == nil && e.o.Signers[role] == nil && e.d.atHand(role, now) == 0 {
		return nil
	}
	others, err := e.others(ctx, role, c.Role)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(l listing) bool { return e.d.atHand(role, l) < l.threshold }) {
		return nil
	}
	if !listed {
		m, err := e.first(role)
		if err != nil {
			return err
		}
		return e.d.buildDelegated(ctx, role, m, others...)
	}
	m, err := e.load(ctx, role)
	if err != nil {
		return nil // it was not good before, either
	}
	return e.d.buildDelegated(ctx, role, m, others...)
}

// others is how a role is listed by others who delegate to it and, if it is published, can use it.
func (e *edit) others(ctx context.Context, role, but tuf.Role) (list []listing, err error) {
	if e.delegators == nil {
		e.delegators = map[string][]trust{}
		open := func(d tuf.Delegation) (*tuf.Targets, error) { return e.p.openAs(ctx, d) }
		for from, t := range breadthFirst(e.p.set, e.p.set.Targets(), open) {
			for _, name := range t.DelegatedRoles() {
				way, _ := t.Delegation(name)
				e.delegators[name] = append(e.delegators[name], trust{from, way})
			}
		}
	}
	_, err = e.p.set.DelegatedMeta(string(role))
	published := err == nil
	for _, other := range e.delegators[string(role)] {
		if other.from == but {
			continue
		}
		if _, err := e.p.openAs(ctx, other.way); published && err != nil {
			continue
		}
		l, err := e.d.listingBy(ctx, role, other.from)
		if err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// first is the metadata of a delegated role that has none. Roles whose names differ in case only cannot be told apart on every system.
func (e *edit) first(role tuf.Role) (*metadata.Metadata[metadata.TargetsType], error) {
	if e.d.folded == nil {
		e.d.folded = map[string]string{}
		for name := range e.d.snapshot.Signed.Meta {
			e.d.folded[strings.ToLower(name)] = name
		}
	}
	name := role.Filename()
	if other, ok := e.d.folded[strings.ToLower(name)]; ok && other != name {
		return nil, fmt.Errorf("%w: role %s: %s is there already", tuf.ErrDelegation, role, other)
	}
	e.d.folded[strings.ToLower(name)] = name
	return metadata.Targets(), nil
}

// load returns the metadata of a role to be changed: as it is in the draft, or as it is published.
func (e *edit) load(ctx context.Context, role tuf.Role) (*metadata.Metadata[metadata.TargetsType], error) {
	if role == tuf.RoleTargets {
		return e.d.targets, nil
	}
	data := e.d.data[role]
	if data == nil {
		if err := checkRole(role); err != nil {
			return nil, err
		}
		if _, known := e.p.snapshot.Signed.Meta[role.Filename()]; !known {
			if _, _, err := e.p.delegator(ctx, string(role)); err != nil {
				return nil, err
			}
			return e.first(role)
		}
		listed, err := e.p.set.DelegatedMeta(string(role))
		if err != nil {
			return nil, err
		}
		if data, err = e.p.s.read(ctx, role, listed.Version); err != nil {
			return nil, err
		}
		if _, _, err := e.p.open(ctx, string(role)); err != nil {
			return nil, err
		}
	}
	m, err := parse(metadata.Targets(), data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", role, err)
	}
	return m, nil
}

// finish signs what remains, looks at it as a client does and writes it.
func (e *edit) finish(ctx context.Context) error {
	from := tuf.RoleSnapshot
	if e.changed {
		from = tuf.RoleTargets
	}
	return e.publish(ctx, from)
}

// publish signs the given role and those that list it, looks at all as a client does and writes it.
func (e *edit) publish(ctx context.Context, from tuf.Role) error {
	if err := e.p.exhausted(); err != nil {
		return err
	}
	if err := e.d.build(ctx, from); err != nil {
		return err
	}
	if err := e.d.check(ctx, e.p.client(), e.o.Now()); err != nil {
		return err
	}
	return e.d.write(ctx, func() error { return e.writeFiles(ctx) })
}

// delegator returns the first delegation to role, breadth first, and the role that delegates.
func delegator(set *tuf.Set, top *tuf.Targets, role string, open func(tuf.Delegation) (*tuf.Targets, error)) (tuf.Delegation, tuf.Role, error) {
	for from, t := range breadthFirst(set, top, open) {
		if d, ok := t.Delegation(role); ok {
			return d, from, nil
		}
	}
	return tuf.Delegation{}, "", fmt.Errorf("%w: nobody delegates to %.60q", tuf.ErrDelegation, role)
}

// breadthFirst iterates the roles of targets. Roles below which nothing can be read are passed over.
func breadthFirst(set *tuf.Set, top *tuf.Targets, open func(tuf.Delegation) (*tuf.Targets, error)) iter.Seq2[tuf.Role, *tuf.Targets] {
	type node struct {
		role tuf.Role
		*tuf.Targets
	}
	return func(yield func(tuf.Role, *tuf.Targets) bool) {
		visited := map[string]bool{}
		for todo := []node{{tuf.RoleTargets, top}}; len(todo) > 0; todo = todo[1:] {
			if !yield(todo[0].role, todo[0].Targets) {
				return
			}
			for _, name := range todo[0].DelegatedRoles() {
				if visited[name] {
					continue
				}
				visited[name] = true
				d, _ := todo[0].Delegation(name)
				if _, err := set.DelegatedMeta(name); err != nil {
					continue
				}
				if next, err := open(d); err == nil {
					todo = append(todo, node{tuf.Role(name), next})
				}
			}
		}
	}
}
