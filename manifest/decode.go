// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// manifestDecoder reads one manifest. What it returns refers to the bytes read.
type manifestDecoder struct {
	m        Manifest
	severed  map[int64]member
	commands int // seen so far
}

// decodeManifest reads the manifest of l, and the severable members that it
// has the digests of.
func decodeManifest(l *layers) (Manifest, error) {
	d := &manifestDecoder{severed: l.severed}
	p := l.manifest.content
	n, err := p.Map()
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	var seen [manifestCommon + 1]bool
	for range n {
		at := p.Offset()
		key, err := p.Int()
		if err == nil {
			err = d.member(p, at, key)
		}
		if err != nil {
			return Manifest{}, fmt.Errorf("manifest member %d: %w", key, err)
		}
		if 0 < key && key < int64(len(seen)) {
			seen[key] = true
		}
	}
	if !seen[manifestVersion] || !seen[manifestSequenceNumber] || !seen[manifestCommon] {
		return Manifest{}, fmt.Errorf("manifest: %w", p.Refuse(0, ErrMalformed, "version, sequence number or common is missing"))
	}
	if err := p.Done(); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	// Only members that the manifest gave a digest for have been taken out.
	for key := range d.severed {
		return Manifest{}, fmt.Errorf("envelope member %d: %w: the manifest has none for it", key, ErrDigest)
	}
	return d.m, nil
}

func (d *manifestDecoder) member(p *cborstream.Parser, at int, key int64) (err error) {
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
	case int64(SectionValidate):
		d.m.Validate, err = d.wrappedSequence(p, top)
	case int64(SectionLoad):
		d.m.Load, err = d.wrappedSequence(p, top)
	case int64(SectionInvoke):
		d.m.Invoke, err = d.wrappedSequence(p, top)
	case int64(SectionPayloadFetch):
		d.m.PayloadFetch, err = d.severable(p, key)
	case int64(SectionInstall):
		d.m.Install, err = d.severable(p, key)
	case manifestText:
		d.m.Text, err = d.text(p)
	default:
		err = p.Refuse(at, ErrUnsupported, "manifest member")
	}
	return err
}

// common reads SUIT_Common. It comes before every section (key order), so the
// number of components is known when indices are read.
func (d *manifestDecoder) common(outer *cborstream.Parser) error {
	p, err := outer.Wrapped()
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
		switch {
		case key == commonComponents:
			d.m.Components, err = decodeComponents(p)
		case key == commonShared && d.m.Components != nil:
			d.m.Shared, err = d.wrappedSequence(p, top|shared)
		case key == commonShared: // without components, reported below
			_, err = p.Raw()
		default:
			err = p.Refuse(at, ErrUnsupported, "common member %d", key)
		}
		if err != nil {
			return err
		}
	}
	if d.m.Components == nil {
		return p.Refuse(0, ErrComponent, "no components")
	}
	return p.Done()
}

func decodeComponents(p *cborstream.Parser) ([]ComponentID, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrComponent, "no components")
	}
	if n > MaxComponents {
		return nil, p.Refuse(at, ErrLimit, "%d components, limit %d", n, MaxComponents)
	}
	ids := make([]ComponentID, 0, n)
	for range n {
		at := p.Offset()
		id, err := decodeComponentID(p)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(ids, id.Equal) {
			return nil, p.Refuse(at, ErrComponent, "component %v listed twice", id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func decodeComponentID(p *cborstream.Parser) (ComponentID, error) {
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
	id := make(ComponentID, n)
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
func (d *manifestDecoder) severable(p *cborstream.Parser, key int64) (s SeverableSequence, err error) {
	if kind, err := p.Peek(); err != nil || kind != cborstream.Array {
		s.Sequence, err = d.wrappedSequence(p, top)
		return s, err
	}
	content, digest, err := d.fromEnvelope(p, key)
	if err != nil || content == nil {
		return SeverableSequence{Digest: digest}, err
	}
	s.Digest = digest
	s.Sequence, err = d.wholeSequence(content, top)
	return s, err
}

func (d *manifestDecoder) text(p *cborstream.Parser) (t SeverableText, err error) {
	var content *cborstream.Parser
	if kind, err := p.Peek(); err != nil || kind != cborstream.Array {
		content, err = p.Wrapped()
		if err != nil {
			return t, err
		}
	} else if content, t.Digest, err = d.fromEnvelope(p, manifestText); err != nil || content == nil {
		return t, err
	}
	t.Texts, err = decodeTexts(content)
	return t, err
}

// fromEnvelope reads the digest of a severable member and returns the member
// of the envelope that has it, nil if it is severed.
func (d *manifestDecoder) fromEnvelope(p *cborstream.Parser, key int64) (*cborstream.Parser, verify.Digest, error) {
	digest, err := decodeDigest(p)
	if err != nil {
		return nil, digest, err
	}
	m, ok := d.severed[key]
	if !ok {
		return nil, digest, nil
	}
	delete(d.severed, key)
	return m.content, digest, m.matches(digest)
}
