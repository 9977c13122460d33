// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// decoder reads one manifest into m. What it makes refers to the bytes read. The parser is no part
// of it, so that both can stay on the stack.
type decoder struct {
	layers
	m         *Manifest
	o         *Options
	commands  int // seen so far
	textCount int // likewise
	slabs
}

// readManifest reads the manifest that p has been taken apart for, and the severable members that it
// has the digests of.
func (d *decoder) readManifest(p *cborstream.Parser) error {
	outer := p.Enter(d.manifest.content)
	n, err := p.Map()
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	var seen [manifestCommon + 1]bool
	for range n {
		at := p.Offset()
		key, err := p.Int()
		if err == nil {
			err = d.member(p, at, key)
		}
		if err != nil {
			return fmt.Errorf("manifest member %d: %w", key, err)
		}
		if 0 < key && key < int64(len(seen)) {
			seen[key] = true
		}
	}
	if !seen[manifestVersion] || !seen[manifestSequenceNumber] || !seen[manifestCommon] {
		return fmt.Errorf("manifest: %w", p.Refuse(0, ErrMalformed, "version, sequence number or common is missing"))
	}
	if err := p.Leave(outer); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	// Only members that the manifest gave a digest for have been taken out.
	for i, m := range d.members {
		if m.encoded != nil {
			return fmt.Errorf("envelope member %d: %w: the manifest has none for it", severables[i], ErrDigest)
		}
	}
	return checkFlow(d.m, d.o, d.payloads)
}

func (d *decoder) member(p *cborstream.Parser, at int, key int64) (err error) {
	switch key {
	case manifestVersion:
		v, err := p.Uint()
		if err == nil && v != version {
			err = p.Refuse(at, ErrUnsupported, "manifest version %d, expected %d", v, version)
		}
		return err
	case manifestSequenceNumber:
		d.m.SequenceNumber, err = p.Uint()
	case manifestCommon:
		err = d.common(p)
	case manifestReferenceURI:
		d.m.ReferenceURI, err = decodeURI(p)
	case manifestComponentID:
		d.m.ComponentID, err = d.componentID(p)
	case manifestSetVersion:
		d.m.SetVersion, err = decodeSetVersion(p)
	case int64(SectionValidate):
		d.m.Validate, err = d.wrappedSequence(p, top)
	case int64(SectionLoad):
		d.m.Load, err = d.wrappedSequence(p, top)
	case int64(SectionInvoke):
		d.m.Invoke, err = d.wrappedSequence(p, top)
	case int64(SectionUninstall):
		d.m.Uninstall, err = d.wrappedSequence(p, top)
	case int64(SectionDependencyResolution), int64(SectionPayloadFetch),
		int64(SectionCandidateVerification), int64(SectionInstall):
		err = d.severable(p, Section(key))
	case manifestCoSWID:
		err = d.coSWID(p)
	case manifestText:
		err = d.text(p)
	default:
		err = p.Refuse(at, ErrUnsupported, "manifest member")
	}
	return err
}

// common reads SUIT_Common. It comes before every section (key order), so the
// indices that there are are known when they are read.
func (d *decoder) common(p *cborstream.Parser) error {
	outer, err := enter(p)
	if err != nil {
		return err
	}
	n, err := p.Map()
	if err != nil {
		return err
	}
	for range n {
		at := p.Offset()
		key, err := p.Int()
		if err != nil {
			return err
		}
		switch key {
		case commonDependencies:
			err = d.dependencies(p)
		case commonComponents:
			err = d.components(p)
		case commonShared:
			if d.m.Components == nil && d.m.Dependencies == nil { // reported below
				_, err = p.Raw()
				break
			}
			d.m.Shared, err = d.wrappedSequence(p, top|shared)
		default:
			err = p.Refuse(at, ErrUnsupported, "common member %d", key)
		}
		if err != nil {
			return err
		}
	}
	if err := d.checkIdentifiers(p); err != nil {
		return err
	}
	return p.Leave(outer)
}

// checkIdentifiers makes sure that there is something to act on, and that every
// dependency has an identifier.
func (d *decoder) checkIdentifiers(p *cborstream.Parser) error {
	if len(d.m.Components)+len(d.m.Dependencies) == 0 {
		return p.Refuse(0, ErrComponent, "no components")
	}
	for _, dependency := range d.m.Dependencies {
		if dependency.Prefix == nil && dependency.Index >= uint64(len(d.m.Components)) {
			return p.Refuse(0, ErrComponent, "dependency %d is not a component and has no prefix", dependency.Index)
		}
	}
	return nil
}

// dependencies reads SUIT_Dependencies, which come before the components.
func (d *decoder) dependencies(p *cborstream.Parser) error {
	at := p.Offset()
	n, err := p.Map()
	if err != nil {
		return err
	}
	if n == 0 {
		return p.Refuse(at, ErrMalformed, "no dependencies")
	}
	if n > MaxDependencies {
		return p.Refuse(at, ErrLimit, "%d dependencies, limit %d", n, MaxDependencies)
	}
	for range n {
		at := p.Offset()
		var dependency Dependency
		if dependency.Index, err = p.Uint(); err != nil {
			return err
		}
		if dependency.Index > MaxIndex {
			return p.Refuse(at, ErrLimit, "dependency index %d, limit %d", dependency.Index, MaxIndex)
		}
		members, err := p.Map()
		if err != nil {
			return err
		}
		for range members {
			at := p.Offset()
			key, err := p.Int()
			if err != nil {
				return err
			}
			if key != dependencyPrefix {
				return p.Refuse(at, ErrUnsupported, "dependency member %d", key)
			}
			if dependency.Prefix, err = d.componentID(p); err != nil {
				return err
			}
		}
		d.m.Dependencies = append(d.m.Dependencies, dependency)
	}
	return nil
}

func (d *decoder) components(p *cborstream.Parser) error {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return err
	}
	if n == 0 {
		return p.Refuse(at, ErrComponent, "no components")
	}
	if n > MaxComponents {
		return p.Refuse(at, ErrLimit, "%d components, limit %d", n, MaxComponents)
	}
	ids := d.idSlab.take(n)[:0]
	for range n {
		at := p.Offset()
		id, err := d.componentID(p)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ids, id.Equal) {
			return p.Refuse(at, ErrComponent, "component %v listed twice", id)
		}
		ids = append(ids, id)
	}
	d.m.Components = ids
	return nil
}

func (d *decoder) componentID(p *cborstream.Parser) (ComponentID, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrComponent, "component identifier without parts")
	}
	if n > MaxComponentParts {
		return nil, p.Refuse(at, ErrLimit, "component identifier of %d parts, limit %d", n, MaxComponentParts)
	}
	id := ComponentID(d.partSlab.take(n))
	for i := range id {
		at := p.Offset()
		if id[i], err = p.Bytes(); err != nil {
			return nil, err
		}
		if len(id[i]) > MaxComponentPartLength {
			return nil, p.Refuse(at, ErrLimit, "component identifier part of %d bytes, limit %d", len(id[i]), MaxComponentPartLength)
		}
	}
	return id, nil
}

// severable reads a member that is a byte string, or a digest of one that the
// envelope may have.
func (d *decoder) severable(p *cborstream.Parser, key Section) error {
	s := d.m.severable(key)
	outer, here, err := d.inlineOrSevered(p, int64(key), &s.Digest)
	if err != nil || !here {
		return err
	}
	if s.Sequence, err = d.wholeSequence(p, top); err != nil {
		return err
	}
	return p.Leave(outer)
}

func (d *decoder) text(p *cborstream.Parser) error {
	outer, here, err := d.inlineOrSevered(p, manifestText, &d.m.Text.Digest)
	if err != nil || !here {
		return err
	}
	if d.m.Text.Texts, err = d.texts(p); err != nil {
		return err
	}
	return p.Leave(outer)
}

func (d *decoder) coSWID(p *cborstream.Parser) error {
	outer, here, err := d.inlineOrSevered(p, manifestCoSWID, &d.m.CoSWID.Digest)
	if err != nil || !here {
		return err
	}
	if d.m.CoSWID.Raw, err = p.Foreign(); err != nil {
		return err
	}
	return p.Leave(outer)
}

// inlineOrSevered enters the content of a severable member, wherever that is, if it is here,
// and reads the digest if the member has one.
func (d *decoder) inlineOrSevered(p *cborstream.Parser, key int64, digest **verify.Digest) (outer cborstream.Outer, here bool, err error) {
	at := p.Offset()
	if kind, err := p.Peek(); err != nil || kind != cborstream.Array {
		outer, err = enter(p)
		return outer, err == nil, err
	}
	if key == int64(SectionCandidateVerification) && !d.o.Compat.Has(CompatSeveredCandidateVerification) {
		return outer, false, p.Refuse(at, ErrUnsupported, "severed candidate-verification")
	}
	if *digest, err = d.digestSlab.put(decodeDigest(p)); err != nil {
		return outer, false, err
	}
	m := &d.members[severableIndex(key)]
	if m.encoded == nil {
		return outer, false, nil
	}
	err = m.matches(**digest)
	m.encoded = nil
	return p.Within(m.content), err == nil, err
}
