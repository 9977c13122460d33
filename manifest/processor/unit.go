// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// unit is one manifest of the tree: the root, or a dependency that has been opened.
type unit struct {
	p       *Processor
	v       *manifest.Verified
	m       manifest.Manifest // own copy, never changed
	parent  *unit
	walk    []int                // suit-record-manifest-id: indices from the root to here
	store   *target              // where its envelope is; nil for the root
	size    int64                // of its envelope, in bytes
	prefix  manifest.ComponentID // before the identifiers of its components
	targets map[int]*target      // by component index
}

// target is a component of the device. Units that name the same identifier share it, and
// with it its parameters.
type target struct {
	n  int // its number, in the order of discovery
	id manifest.ComponentID
	c  Component
}

// newUnit looks up the components of v. What is refused here is refused before
// any command of v is run.
//
// draft-ietf-suit-manifest-37, sections 6.1 and 6.2.
func (p *Processor) newUnit(v *manifest.Verified, floor uint64) (*unit, error) {
	u := &unit{p: p, v: v, m: v.Manifest(), targets: map[int]*target{}}
	if err := p.checkSequence(v, floor); err != nil {
		return nil, err
	}
	if len(u.m.Dependencies) > 0 && p.o.Dependencies == nil {
		return nil, fmt.Errorf("%w: dependencies", manifest.ErrUnsupported)
	}
	return u, nil
}

// findTargets asks the platform for the components.
func (u *unit) findTargets() error {
	for _, i := range u.m.Indices() {
		id, _ := u.m.Identifier(i)
		id = slices.Concat(u.prefix, cloneID(id))
		t, err := u.p.target(id)
		if err != nil {
			return &Error{Section: manifest.SectionShared, Manifest: u.walk, Kept: u.kept(), Component: i, ID: id, Err: err}
		}
		u.targets[i] = t
	}
	return nil
}

// target returns the component that id names.
func (p *Processor) target(id manifest.ComponentID) (*target, error) {
	for _, t := range p.targets {
		if t.id.Equal(id) {
			return t, nil
		}
	}
	c, err := p.o.Platform.Component(cloneID(id))
	if err == nil && c == nil {
		err = manifest.ErrComponent
	}
	if err != nil {
		return nil, err
	}
	t := &target{n: len(p.targets), id: id, c: c}
	p.targets = append(p.targets, t)
	return t, nil
}

// kept returns the identifier of the component that the envelope of u is in, nil for the root.
func (u *unit) kept() manifest.ComponentID {
	if u.store == nil {
		return nil
	}
	return cloneID(u.store.id)
}

// ancestor reports whether u or a unit above it is kept in t: the root where its manifest-component-id says, if it has one.
func (u *unit) ancestor(t *target) bool {
	for ; u != nil; u = u.parent {
		if u.store == t || (u.parent == nil && u.m.ComponentID != nil && u.m.ComponentID.Equal(t.id)) {
			return true
		}
	}
	return false
}

// cloneID is, as at and of in machine.go, called in so many places that its copies would take several KB of a small agent.
//
//go:noinline
func cloneID(id manifest.ComponentID) manifest.ComponentID {
	c := make(manifest.ComponentID, len(id))
	for i, part := range id {
		c[i] = slices.Clone(part)
	}
	return c
}
