// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// edit is one publication in the making.
type edit struct {
	r       *Repository
	p       *published
	d       *draft
	files   map[string][]byte // target files to write, by target path
	changed bool              // the top-level targets metadata
}

// edit runs f on what is published now, with the directory locked.
func (r *Repository) edit(what string, f func(*edit) error) error {
	return r.locked(func() error {
		p, err := r.dir.current()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		d, err := r.draft(p)
		if err == nil {
			err = f(&edit{r: r, p: p, d: d, files: map[string][]byte{}})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
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

// isBin reports whether a role is called like a bin.
func isBin(role string) bool {
	i := strings.LastIndexByte(role, '-')
	return i > 0 && i < len(role)-1 && strings.Trim(role[i+1:], "0123456789abcdef") == ""
}

func (e *edit) apply(ctx context.Context, c Change) error {
	if c.Role == "" {
		c.Role = tuf.RoleTargets
	}
	m, err := e.load(c.Role)
	if err != nil {
		return err
	}
	if err := e.change(m, c); err != nil {
		return err
	}
	fresh, err := e.delegate(m, c)
	if err != nil {
		return err
	}
	for _, role := range fresh {
		if err := e.create(ctx, role); err != nil {
			return err
		}
	}
	if c.Role == tuf.RoleTargets {
		e.changed = true
		return nil
	}
	return e.d.buildDelegated(ctx, e.r, c.Role, m)
}

// change adds and removes targets, and sets what they say of themselves.
func (e *edit) change(m *metadata.Metadata[metadata.TargetsType], c Change) error {
	for name, data := range c.Add {
		if err := tuf.CheckPath(name); err != nil {
			return err
		}
		m.Signed.Targets[name] = targetFile(data)
		e.files[name] = data
	}
	for _, name := range c.Remove {
		if m.Signed.Targets[name] == nil {
			return fmt.Errorf("%w: %.200q in role %s", tuf.ErrTargetUnknown, name, c.Role)
		}
		delete(m.Signed.Targets, name)
	}
	for name, custom := range c.Custom {
		file := m.Signed.Targets[name]
		if file == nil {
			return fmt.Errorf("%w: %.200q in role %s, to have a custom object", tuf.ErrTargetUnknown, name, c.Role)
		}
		if file.Custom = nil; custom != nil {
			file.Custom = &custom
		}
	}
	return nil
}

// delegate changes the delegations of m and returns the roles that are new and can be signed here.
func (e *edit) delegate(m *metadata.Metadata[metadata.TargetsType], c Change) (fresh []tuf.Role, err error) {
	if c.Bins != nil {
		if len(c.Delegate) > 0 {
			return nil, fmt.Errorf("%w: %s: either bins or delegations expected", tuf.ErrDelegation, c.Role)
		}
		if m.Signed.Delegations, fresh, err = setBins(*c.Bins); err != nil {
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
			fresh = append(fresh, want.Role)
		}
		pruneDelegations(d)
	}
	return slices.DeleteFunc(fresh, func(role tuf.Role) bool {
		_, listed := e.d.snapshot.Signed.Meta[role.Filename()]
		return listed || c.Bins == nil && e.r.o.Signers[role] == nil
	}), nil
}

// create makes the first, empty metadata of a delegated role. Roles whose names differ in case only cannot be told apart on every system.
func (e *edit) create(ctx context.Context, role tuf.Role) error {
	if e.d.folded == nil {
		e.d.folded = map[string]string{}
		for name := range e.d.snapshot.Signed.Meta {
			e.d.folded[strings.ToLower(name)] = name
		}
	}
	name := role.Filename()
	if other, ok := e.d.folded[strings.ToLower(name)]; ok && other != name {
		return fmt.Errorf("%w: role %s: %s is there already", tuf.ErrDelegation, role, other)
	}
	e.d.folded[strings.ToLower(name)] = name
	return e.d.buildDelegated(ctx, e.r, role, metadata.Targets())
}

// load returns the metadata of a role to be changed: as it is in the draft, or as it is published.
func (e *edit) load(role tuf.Role) (*metadata.Metadata[metadata.TargetsType], error) {
	if role == tuf.RoleTargets {
		return e.d.targets, nil
	}
	data := e.d.data[role]
	if data == nil {
		listed, err := e.p.set.DelegatedMeta(string(role))
		if err != nil {
			return nil, err
		}
		if data, err = e.r.dir.read(role, listed.Version); err != nil {
			return nil, err
		}
		if _, _, err := e.p.open(e.r.dir, string(role)); err != nil {
			return nil, err
		}
	}
	m, err := metadata.Targets().FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %v", role, err)
	}
	return m, nil
}

// finish signs what remains, looks at it as a client does and writes it.
func (e *edit) finish(ctx context.Context) error {
	from := tuf.RoleSnapshot
	if e.changed {
		from = tuf.RoleTargets
	}
	if err := e.d.build(ctx, from); err != nil {
		return err
	}
	if err := e.d.check(*e.p.set, e.r.o.Now()); err != nil {
		return err
	}
	if err := e.writeFiles(); err != nil {
		return err
	}
	return e.d.write(e.r.dir)
}

// writeFiles makes the target files durable. Their names carry their digests, so nobody sees them before metadata lists them.
func (e *edit) writeFiles() error {
	for _, name := range slices.Sorted(maps.Keys(e.files)) {
		file, err := targetPath(name, e.files[name])
		if err != nil {
			return err
		}
		if err := e.r.dir.writeOnce(file, e.files[name]); err != nil {
			return err
		}
	}
	return nil
}

// signersOf is who signs for a role: its own signers, or those of the bins that it is one of.
func (r *Repository) signersOf(role tuf.Role) []verify.Signer {
	if list := r.o.Signers[role]; list != nil {
		return list
	}
	if isBin(string(role)) {
		return r.o.Signers[role[:strings.LastIndexByte(string(role), '-')]]
	}
	return nil
}

// canSign reports whether the signers at hand reach the threshold of a delegation.
func (r *Repository) canSign(d tuf.Delegation) bool {
	keys, threshold := d.Keys()
	have := 0
	for _, key := range keys {
		if slices.ContainsFunc(r.signersOf(tuf.Role(d.Name())), func(s verify.Signer) bool { return keyOf(s) == key }) {
			have++
		}
	}
	return have >= threshold
}

// open returns the published metadata of a delegated role, verified as its first delegator demands, and that delegation.
func (p *published) open(dir directory, role string) (*tuf.Targets, tuf.Delegation, error) {
	d, err := delegator(p.set, p.set.Targets(), role, func(d tuf.Delegation) (*tuf.Targets, error) { return p.read(dir, d) })
	if err != nil {
		return nil, d, err
	}
	t, err := p.read(dir, d)
	return t, d, err
}

func (p *published) read(dir directory, d tuf.Delegation) (*tuf.Targets, error) {
	listed, err := p.set.DelegatedMeta(d.Name())
	if err != nil {
		return nil, err
	}
	data, err := dir.read(tuf.Role(d.Name()), listed.Version)
	if err != nil {
		return nil, err
	}
	return p.set.OpenDelegated(d, data, beginning) // expired metadata is to be renewed
}

// delegator returns the first delegation to role, breadth first. Roles below which nothing can be read are passed over.
func delegator(set *tuf.Set, top *tuf.Targets, role string, open func(tuf.Delegation) (*tuf.Targets, error)) (tuf.Delegation, error) {
	visited := map[string]bool{}
	for todo := []*tuf.Targets{top}; len(todo) > 0; todo = todo[1:] {
		if d, ok := todo[0].Delegation(role); ok {
			return d, nil
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
				todo = append(todo, next)
			}
		}
	}
	return tuf.Delegation{}, fmt.Errorf("%w: nobody delegates to %.60q", tuf.ErrDelegation, role)
}
