// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// decoder reads one manifest, in one of two ways. Checking, it makes nothing of the commands, parameters and
// texts it reads: an envelope that has been found good is kept as its bytes. Building, it puts them into m,
// which shares no memory with the input. It has no pointer to the parser or to what belongs to it, so that all of
// it stays on the stack.
type decoder struct {
	layers
	m *Manifest // nil if none is built
	o *Options

	sequenceNumber uint64
	components     int // that there are
	dependencies   []Dependency
	commands       int // seen so far
	at             int // of the command of a section that is being read: its offset plus 1, 0 for none
	textCount      int // likewise
}

// read reads all of p's data.
func (d *decoder) read(p *cborstream.Parser) error {
	if err := d.takeApart(p, d.o.Compat); err != nil {
		return err
	}
	return d.readAuthentic(p)
}

// readAuthentic reads what readers of the outer layer leave: the manifest, and the severable members that it
// has the digests of.
func (d *decoder) readAuthentic(p *cborstream.Parser) error {
	p.Resume(d.manifest.content)
	if err := d.readManifest(p); err != nil {
		return err
	}
	if err := d.readMembers(p); err != nil {
		return err
	}
	if d.m != nil || len(d.payloads)+len(d.dependencies) == 0 {
		return nil
	}
	var m Manifest
	model(&m, d.raw, d.o)
	return checkFlow(&m, d.o.Compat, d.payloads)
}

// model makes the manifest in an envelope that has been checked with o.
func model(m *Manifest, envelope []byte, o *Options) layers {
	d := decoder{o: o, m: m}
	d.authentic = true
	if err := d.read(cborstream.New(envelope, o.limits())); err != nil {
		panic(fmt.Sprintf("manifest: an envelope that was good is not any more: %v", err))
	}
	m.SequenceNumber = d.sequenceNumber
	return d.layers
}

// keep returns a pointer to v for the model, nil if none is built.
func keep[T any](d *decoder, v T) *T {
	if d.m == nil {
		return nil
	}
	return new(v)
}

// keepBytes is keep for a part of the input, with which the model shares no memory.
func (d *decoder) keepBytes(b []byte) []byte {
	if d.m == nil {
		return nil
	}
	return slices.Clone(b)
}

// keepText is keepBytes for a text.
func (d *decoder) keepText(b []byte) string {
	if d.m == nil {
		return ""
	}
	return string(b)
}

// readManifest reads the part that p is at.
func (d *decoder) readManifest(p *cborstream.Parser) error {
	members, err := p.Map()
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	next := int64(manifestVersion) // of those that every manifest has: they come first, in this order
	for {
		small, ok := members.NextSmall(p)
		key := int64(small)
		if !ok {
			if key, ok = members.NextInt(p); !ok {
				break
			}
		}
		if key == next {
			next++
		}
		switch key {
		case manifestVersion:
			var v uint64
			if v, err = p.Uint(); err == nil && v != version {
				err = p.Refuse(members.Key(p), ErrUnsupported, "manifest version %d, expected %d", v, version)
			}
		case manifestSequenceNumber:
			d.sequenceNumber, err = p.Uint()
		case manifestCommon:
			err = d.common(p)
		case manifestReferenceURI:
			var uri []byte
			if uri, err = decodeURI(p); d.m != nil {
				d.m.ReferenceURI = string(uri)
			}
		case manifestComponentID:
			var id ComponentID
			if id, err = d.componentID(p, false); d.m != nil {
				d.m.ComponentID = id
			}
		case manifestSetVersion:
			var version []int64
			if version, err = decodeSetVersion(p); d.m != nil {
				d.m.SetVersion = version
			}
		case int64(SectionValidate), int64(SectionLoad), int64(SectionInvoke), int64(SectionUninstall):
			err = d.section(p, Section(key), top)
		default:
			if severableIndex(key) >= 0 {
				err = d.severable(p, key)
			} else {
				err = p.Refuse(members.Key(p), ErrUnsupported, "manifest member")
			}
		}
		if err != nil {
			return d.inMember(key, err)
		}
	}
	if next <= manifestCommon {
		return fmt.Errorf("manifest: %w", p.Refuse(0, ErrMalformed, "version, sequence number or common is missing"))
	}
	if err := p.Done(); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return nil
}

// readMembers reads the severable members that the envelope has.
func (d *decoder) readMembers(p *cborstream.Parser) error {
	if !d.hasMembers {
		return nil
	}
	for i := range d.members {
		m := &d.members[i]
		if !m.present {
			continue
		}
		key := severables[i]
		if !m.authentic {
			return fmt.Errorf("envelope member %d: %w: the manifest has none for it", key, ErrDigest)
		}
		p.Resume(m.content)
		var err error
		if key == manifestCoSWID {
			err = d.coswid(p, 0, p.Content())
		} else if err = d.content(p, key); err == nil {
			err = p.Done()
		}
		if err != nil {
			return d.inMember(key, err)
		}
	}
	return nil
}

// inMember says where err is.
func (d *decoder) inMember(key int64, err error) error {
	if d.at == 0 {
		return fmt.Errorf("manifest member %d: %w", key, err)
	}
	if key == manifestCommon {
		key = int64(SectionShared)
	}
	return &PlaceError{Section(key), d.at - 1, err}
}

// common reads SUIT_Common. It comes before every section (key order), so the
// indices that there are are known when they are read.
func (d *decoder) common(p *cborstream.Parser) error {
	outer, err := p.Enter()
	if err != nil {
		return err
	}
	members, err := p.Map()
	if err != nil {
		return err
	}
	for {
		small, ok := members.NextSmall(p)
		key := int64(small)
		if !ok {
			if key, ok = members.NextInt(p); !ok {
				break
			}
		}
		switch key {
		case commonDependencies:
			err = d.readDependencies(p)
		case commonComponents:
			err = d.readComponents(p)
		case commonShared:
			if d.components+len(d.dependencies) == 0 { // reported below
				_, err = p.Raw()
				break
			}
			err = d.section(p, SectionShared, top|shared)
		default:
			err = p.Refuse(members.Key(p), ErrUnsupported, "common member %d", key)
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
	if d.components+len(d.dependencies) == 0 {
		return p.Refuse(0, ErrComponent, "no components")
	}
	for _, dependency := range d.dependencies {
		if dependency.Prefix == nil && dependency.Index >= uint64(d.components) {
			return p.Refuse(0, ErrComponent, "dependency %d is not a component and has no prefix", dependency.Index)
		}
	}
	return nil
}

// readDependencies reads SUIT_Dependencies, which come before the components.
func (d *decoder) readDependencies(p *cborstream.Parser) error {
	at := p.Offset()
	entries, err := p.Map()
	if err != nil {
		return err
	}
	n := entries.Len()
	if n == 0 {
		return p.Refuse(at, ErrMalformed, "no dependencies")
	}
	if n > MaxDependencies {
		return p.Refuse(at, ErrLimit, "%d dependencies, limit %d", n, MaxDependencies)
	}
	for entries.Next(p) {
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
		for members.Next(p) {
			at := p.Offset()
			key, err := p.Int()
			if err != nil {
				return err
			}
			if key != dependencyPrefix {
				return p.Refuse(at, ErrUnsupported, "dependency member %d", key)
			}
			if dependency.Prefix, err = d.componentID(p, true); err != nil {
				return err
			}
		}
		d.dependencies = append(d.dependencies, dependency)
	}
	if d.m != nil {
		d.m.Dependencies = d.dependencies
	}
	return nil
}

func (d *decoder) readComponents(p *cborstream.Parser) error {
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
	d.components = n
	var ids []ComponentID
	if d.m != nil || n > 1 {
		ids = make([]ComponentID, 0, n)
	}
	for range n {
		at := p.Offset()
		id, err := d.componentID(p, n > 1)
		if err != nil {
			return err
		}
		if ids == nil {
			continue
		}
		if slices.ContainsFunc(ids, id.Equal) {
			return p.Refuse(at, ErrComponent, "component %v listed twice", id)
		}
		ids = append(ids, id)
	}
	p.End()
	if d.m != nil {
		d.m.Components = ids
	}
	return nil
}

// componentID returns an identifier if it is needed, or if a model is built.
func (d *decoder) componentID(p *cborstream.Parser, needed bool) (ComponentID, error) {
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
	var id ComponentID
	if needed || d.m != nil {
		id = make(ComponentID, 0, n)
	}
	for range n {
		at := p.Offset()
		part, err := p.Bytes()
		if err != nil {
			return nil, err
		}
		if len(part) > MaxComponentPartLength {
			return nil, p.Refuse(at, ErrLimit, "component identifier part of %d bytes, limit %d", len(part), MaxComponentPartLength)
		}
		if d.m != nil {
			part = slices.Clone(part)
		}
		if id != nil {
			id = append(id, part)
		}
	}
	p.End()
	return id, nil
}

// severable reads a member that is a byte string, or a digest of one that the
// envelope may have, which is then read when the manifest has been.
func (d *decoder) severable(p *cborstream.Parser, key int64) error {
	at := p.Offset()
	if !p.Is(cborstream.Array) {
		if key == manifestCoSWID {
			raw, err := p.Bytes()
			if err != nil {
				return err
			}
			return d.coswid(p, at, raw)
		}
		outer, err := p.Enter()
		if err != nil {
			return err
		}
		if err := d.content(p, key); err != nil {
			return err
		}
		return p.Leave(outer)
	}
	if key == int64(SectionCandidateVerification) && !d.o.Compat.Has(CompatSeveredCandidateVerification) {
		return p.Refuse(at, ErrUnsupported, "severed candidate-verification")
	}
	want, err := decodeDigest(p)
	if err != nil {
		return err
	}
	if d.m != nil {
		d.m.setSeverableDigest(Section(key), want.value())
	}
	m := &d.members[severableIndex(key)]
	if m.present {
		m.authentic = true
		return d.matches(m, want)
	}
	return nil
}

// coswid takes suit-coswid, about which SUIT says no more than that it be well-formed: a map, or one with a tag (RFC 9393, section 8).
func (d *decoder) coswid(p *cborstream.Parser, at int, raw []byte) error {
	err := wellFormed(raw, true)
	if err == nil && raw[0]>>5 != majorMap && raw[0]>>5 != majorTag {
		err = ErrMalformed
	}
	if err != nil {
		return p.Refuse(at, err, "coswid: not a well-formed map, or tag on one")
	}
	if d.m != nil {
		d.m.CoSWID.Raw = slices.Clone(raw)
	}
	return nil
}

// content reads the content of another severable member.
func (d *decoder) content(p *cborstream.Parser, key int64) (err error) {
	switch key {
	case manifestText:
		var texts []Text
		if texts, err = d.texts(p); d.m != nil {
			d.m.Text.Texts = texts
		}
	default:
		var into *Sequence
		if d.m != nil {
			into = d.m.section(Section(key))
		}
		err = d.wholeSequence(p, into, top)
	}
	return err
}
