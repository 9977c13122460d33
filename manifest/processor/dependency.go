// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Dependencies open the manifests that others depend on.
type Dependencies struct {
	// Open verifies an envelope, as manifest.OpenBytes does with the keys and the policy
	// for dependencies. Required.
	Open func(envelope []byte) (*manifest.Verified, error)

	// Floor returns the highest sequence number ever accepted of a dependency whose envelope is kept in
	// the component id. Zero if none was. Required.
	//
	// The dependency's own manifest-component-id says nothing here: what its signers put into it must not raise
	// the floor of another manifest (trust-domains-12, section 5.2.1).
	Floor func(ctx context.Context, id manifest.ComponentID) (uint64, error)
}

// Processed is a dependency that a Run has processed. Once the whole
// update is accepted, Sequence is the new floor under ID: see Dependencies.
type Processed struct {
	ID       manifest.ComponentID // of the component its envelope is kept in
	Sequence uint64
	Digest   verify.Digest
}

// Processed returns the dependencies that the last Run has processed, in order, each once.
func (p *Processor) Processed() []Processed { return slices.Clone(p.processed) }

// isDependency tells dependencies from components.
//
// draft-ietf-suit-trust-domains-12, section 5.6.3.
func (m *machine) isDependency(c int) error {
	if _, ok := m.u.m.Dependency(c); !ok {
		return fmt.Errorf("%w: component %d is no dependency", manifest.ErrCondition, c)
	}
	return nil
}

// integrity opens the dependency at c. Whatever it finds wrong aborts: it is no condition
// that an alternative could be meant for.
//
// draft-ietf-suit-trust-domains-12, section 5.6.4.
func (m *machine) integrity(ctx context.Context, c int) error {
	d, ok := m.u.m.Dependency(c)
	if !ok {
		return fmt.Errorf("%w: component %d is no dependency", manifest.ErrCommand, c)
	}
	want := m.at(c).params.ImageDigest
	if want == nil {
		return fmt.Errorf("%w: dependency without image digest", ErrParameter)
	}
	t := m.u.targets[c]
	if m.u.ancestor(t) {
		return fmt.Errorf("%w: %v is kept where a manifest above it is", ErrCycle, t.id)
	}
	m.kept[t] = *want
	v, size, err := m.openEnvelope(ctx, t, *want)
	if err != nil {
		if errors.Is(err, errUnseen) {
			m.of(t).assumed, m.guessed[t] = true, true // it will be there, and all is rehearsed again then
			return nil
		}
		return err
	}
	e := edge{m.u, t}
	if was := m.opened[e]; was != nil && was.v.Digest() == v.Digest() {
		return nil // the same as it was checked before
	}
	delete(m.opened, e)
	total := size
	for _, other := range m.opened {
		total += other.size
	}
	if limit := m.o.Limits.Envelopes; total > limit {
		return fmt.Errorf("%w: dependencies of more than %d bytes open at once", manifest.ErrBudget, limit)
	}
	u, err := m.dependency(ctx, v, d, t, c)
	if err != nil {
		return err
	}
	u.size = size
	m.opened[e] = u
	return nil
}

// errUnseen: a rehearsal cannot know what will be there.
var errUnseen = errors.New("not there yet")

// openEnvelope verifies the envelope in t, or the one that a rehearsal has not stored there, and returns its size in bytes, too.
func (m *machine) openEnvelope(ctx context.Context, t *target, want verify.Digest) (v *manifest.Verified, size int64, err error) {
	var data []byte
	if m.mode == rehearsal {
		have := m.stores(t)
		if data = slices.Clone(have.bytes); data == nil {
			if t = m.where(have); t == nil {
				return nil, 0, errUnseen
			}
		}
	}
	if data == nil {
		if data, err = m.readAll(ctx, t, manifest.MaxEnvelopeSize); err != nil {
			err = fmt.Errorf("dependency: %w", err)
		}
	}
	if err == nil {
		v, err = m.opens(data, want)
	}
	if err != nil && m.of(t).unseen < m.unseen {
		err = errUnseen // another dependency will bring it
	}
	return v, int64(len(data)), err
}

// opens verifies an envelope, which must hold the manifest want, and gives it away.
func (m *machine) opens(envelope []byte, want verify.Digest) (*manifest.Verified, error) {
	v, err := m.o.Dependencies.Open(envelope)
	if err != nil {
		return nil, fmt.Errorf("dependency: %w", err)
	}
	if v.Digest() != want {
		return nil, fmt.Errorf("%w: dependency: expected %v, seen %v", manifest.ErrDigest, want, v.Digest())
	}
	return v, nil
}

// dependency makes a unit of v, which is kept in t.
func (m *machine) dependency(ctx context.Context, v *manifest.Verified, d manifest.Dependency, t *target, c int) (*unit, error) {
	for u := m.u; u != nil; u = u.parent {
		if u.v.Digest() == v.Digest() {
			return nil, ErrCycle
		}
	}
	floor, err := m.o.Dependencies.Floor(ctx, cloneID(t.id))
	if err != nil {
		return nil, platformError("sequence floor", err)
	}
	u, err := m.newUnit(v, floor)
	if err != nil {
		return nil, err
	}
	u.parent, u.store, u.walk = m.u, t, append(slices.Clone(m.u.walk), c)
	u.prefix = m.u.prefix
	if c < len(m.u.m.Components) {
		// Beyond the components, the prefix is the dependency's own identifier.
		u.prefix = slices.Concat(m.u.prefix, d.Prefix)
	}
	if err := u.findTargets(); err != nil {
		return nil, err
	}
	for _, s := range append(slices.Clone(procedure), manifest.SectionShared) {
		if err := u.capable(s); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// processDependency runs the shared sequence and the current section of the
// dependency at c. Its failure is the dependency's failure.
//
// draft-ietf-suit-trust-domains-12, sections 5.4 and 5.6.2.
func (m *machine) processDependency(ctx context.Context, f *frame, c int) error {
	if _, ok := m.u.m.Dependency(c); !ok {
		return fmt.Errorf("%w: component %d is no dependency", manifest.ErrCommand, c)
	}
	if m.shared {
		return fmt.Errorf("%w: in the shared sequence", manifest.ErrCommand)
	}
	t := m.u.targets[c]
	e := edge{m.u, t}
	if m.opened[e] == nil && m.u.v.Options().Compat.Has(manifest.CompatUncheckedDependency) {
		if err := m.integrity(ctx, c); err != nil {
			return err
		}
	}
	u := m.opened[e]
	switch {
	case u == nil && m.of(t).assumed:
		m.acted = true // not there yet
		m.unseen++
		return nil
	case u == nil:
		return fmt.Errorf("%w: no dependency-integrity before it", manifest.ErrCommand)
	case len(u.walk) > m.o.Limits.Dependencies:
		return fmt.Errorf("%w: dependencies deeper than %d", manifest.ErrBudget, m.o.Limits.Dependencies)
	}
	if err := m.runUnit(ctx, f, u, m.section); err != nil {
		return err
	}
	key := checked{e, u.v.Digest()}
	if m.done[key] == nil {
		m.done[key] = sections{}
	}
	m.done[key][m.section] = true
	if !slices.ContainsFunc(m.processed, func(p Processed) bool { return p.Digest == u.v.Digest() && p.ID.Equal(t.id) }) {
		m.processed = append(m.processed, Processed{cloneID(t.id), u.m.SequenceNumber, u.v.Digest()})
	}
	return nil
}

// runUnit runs the shared sequence and section s of u, as sequences 0 and 1 of the command
// at m.path.
func (m *machine) runUnit(ctx context.Context, f *frame, u *unit, s manifest.Section) error {
	if u.m.Severed(s) {
		return ErrSevered
	}
	if _, ok := u.m.Section(s); !ok {
		return nil
	}
	if m.depth >= m.o.Limits.Depth {
		return fmt.Errorf("%w: sequences nested deeper than %d", manifest.ErrBudget, m.depth)
	}
	inner := *m
	inner.u, inner.depth = u, m.depth+1
	for k, shared := range []bool{true, false} {
		inner.section, inner.shared = s, shared
		inner.path = append(slices.Clone(m.path), k)
		inner.base = len(inner.path)
		key := s
		if shared {
			key = manifest.SectionShared
		}
		seq, _ := u.m.Section(key)
		sub := &frame{parent: f, strict: true, indices: -1}
		if all := u.m.Indices(); len(all) == 1 {
			sub.current = all
		}
		if err := inner.sequence(ctx, sub, seq); err != nil {
			return err
		}
	}
	return inner.lockstep(ctx, s)
}

// lockstep fails if a dependency of the current manifest that is there has section s, and it was not processed. One
// that has not been opened is there if what its component holds opens as the manifest that its image digest names.
//
// draft-ietf-suit-trust-domains-12, section 5.1, second list, 2.
func (m *machine) lockstep(ctx context.Context, s manifest.Section) error {
	if s == manifest.SectionUninstall {
		return nil
	}
	for _, i := range m.u.m.Indices() {
		if _, ok := m.u.m.Dependency(i); !ok {
			continue
		}
		if d, has := m.there(ctx, i); has[s] && !m.done[d][s] {
			return &Error{Section: s, Manifest: m.u.walk, Kept: m.u.kept(), Component: i, ID: m.id(i),
				Err: fmt.Errorf("%w: the section ends without %v of this dependency, which has it", manifest.ErrCommand, manifest.DirectiveProcessDependency)}
		}
	}
	return nil
}

// there returns the dependency at c, and the sections that it has; none if it is not there.
func (m *machine) there(ctx context.Context, c int) (checked, sections) {
	s, e := m.at(c), edge{m.u, m.u.targets[c]}
	if u := m.opened[e]; u != nil {
		return checked{e, u.v.Digest()}, sectionsOf(&u.m)
	}
	if s.params.ImageDigest == nil || s.assumed || m.o.Compat.has(CompatUnprocessedDependency) {
		return checked{}, nil
	}
	if m.ahead(e.t) || (m.mode == rehearsal && len(m.replayed.started) > 0) {
		return checked{}, nil // what is there now may have come after this section
	}
	d := checked{e, *s.params.ImageDigest}
	if _, known := m.unopened[d]; !known {
		m.unopened[d] = nil
		if v, _, err := m.openEnvelope(ctx, e.t, d.digest); err == nil {
			inside := v.Manifest()
			m.unopened[d] = sectionsOf(&inside)
		}
	}
	return d, m.unopened[d]
}

func sectionsOf(m *manifest.Manifest) sections {
	has := sections{}
	for _, s := range procedure {
		_, ok := m.Section(s)
		has[s] = ok || m.Severed(s)
	}
	return has
}

// unlink gives up the use that the current manifest makes of component c, if it makes any: it counts once. Of a dependency that
// nobody else uses, the uninstall section is run first: trust-domains-12 has it both before the
// count goes down and when it has come to zero, which is the same here. Where the journal has that it was run, it is gone through again, for
// what it has changed, unless the envelope has gone with its last user.
//
// draft-ietf-suit-trust-domains-12, section 5.6.5.
func (m *machine) unlink(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	t := m.u.targets[c]
	key := m.key(m.path)
	number, begun := m.replayed.started[key]
	others, used := uint64(0), false
	if !m.replayed.done[key] {
		if others, used, err = m.users(ctx, t); err != nil || (!used && !begun) {
			return false, err
		}
	}
	if _, ok := m.u.m.Dependency(c); ok && used && others == 0 {
		number = uninstalls
	}
	if number == uninstalls {
		if err := m.uninstall(ctx, f, c, used); err != nil {
			return false, err
		}
	}
	if s := m.of(t); used && m.mode == rehearsal {
		s.unlinked = append(s.unlinked, m.u)
	}
	return m.numbered(ctx, f, number, nil, func() error {
		if !used {
			return nil // it was done when the power failed
		}
		if err := t.c.(Linker).Unlink(ctx, m.u.v.Digest()); err != nil {
			return fmt.Errorf("unlink: %w", err)
		}
		return nil
	})
}

// uninstalls is the value of StepStarted for an unlink before which the uninstall section was run.
const uninstalls = 1

// users returns how many manifests other than the current one use t, and whether it does; in a rehearsal, after what that
// has had unlinked.
func (m *machine) users(ctx context.Context, t *target) (others uint64, used bool, err error) {
	l, ok := t.c.(Linker)
	if !ok {
		return 0, false, nil
	}
	if others, used, err = l.References(ctx, m.u.v.Digest()); err != nil {
		return 0, false, platformError("references", err)
	}
	for _, u := range m.of(t).unlinked {
		if u.v.Digest() == m.u.v.Digest() {
			used = false
		} else if others > 0 {
			others--
		}
	}
	return others, used, nil
}

// uninstall runs the uninstall section of the dependency at c, if it is there; it must be if it is used.
func (m *machine) uninstall(ctx context.Context, f *frame, c int, used bool) error {
	e := edge{m.u, m.u.targets[c]}
	if m.opened[e] == nil {
		if err := m.integrity(ctx, c); err != nil && used {
			return err
		}
	}
	if u := m.opened[e]; u != nil {
		return m.runUnit(ctx, f, u, manifest.SectionUninstall)
	}
	if m.at(c).assumed {
		m.unseen++
	}
	return nil
}

// readAll reads the content of t, at most limit bytes.
func (m *machine) readAll(ctx context.Context, t *target, limit int64) (data []byte, err error) {
	r, ok := t.c.(Reader)
	if !ok {
		return nil, manifest.ErrComponent
	}
	err = m.call(func() (err error) {
		content, size, err := r.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, content.Close()) }()
		if size > limit {
			return fmt.Errorf("%w: %d bytes, limit %d", manifest.ErrLimit, size, limit)
		}
		if data, err = io.ReadAll(io.LimitReader(content, size+1)); err == nil && int64(len(data)) != size {
			err = fmt.Errorf("content of %d bytes: %w", size, io.ErrUnexpectedEOF)
		}
		return err
	})
	return data, err
}
