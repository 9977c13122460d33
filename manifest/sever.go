// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Severable members that are not command sequences, to be named like Sections in
// MakeSeverable, Sever and Attach.
const (
	MemberCoSWID Section = manifestCoSWID
	MemberText   Section = manifestText
)

// severablePart reports whether a member is here, and where its digest is. What only reads links no encoder.
func (m *Manifest) severablePart(member Section) (here bool, digest **verify.Digest, err error) {
	switch member {
	case MemberCoSWID:
		return m.CoSWID.Raw != nil, &m.CoSWID.Digest, nil
	case MemberText:
		return m.Text.Texts != nil, &m.Text.Digest, nil
	}
	s := m.severable(member)
	if s == nil {
		return false, nil, fmt.Errorf("%w: %v cannot be severed", ErrUnsupported, member)
	}
	return s.Sequence != nil, &s.Digest, nil
}

// severableContent returns the encoding of a member, nil if it is not here, and where
// its digest is.
func (m *Manifest) severableContent(member Section) (content []byte, digest **verify.Digest, err error) {
	here, digest, err := m.severablePart(member)
	if err != nil || !here {
		return nil, digest, err
	}
	switch member {
	case MemberCoSWID:
		content = m.CoSWID.Raw
	case MemberText:
		content = appendTexts(nil, m.Text.Texts)
	default:
		content, err = m.severable(member).Sequence.encode()
	}
	return content, digest, err
}

// setSeverableDigest sets the digest of a severable member.
func (m *Manifest) setSeverableDigest(member Section, d verify.Digest) {
	switch member {
	case MemberCoSWID:
		m.CoSWID.Digest = &d
	case MemberText:
		m.Text.Digest = &d
	default:
		m.severable(member).Digest = &d
	}
}

// SeverableDigest returns the digest that m has of a severable member, the zero Digest if it has
// none: the member is in the manifest itself, absent, or not severable.
func (m *Manifest) SeverableDigest(member Section) verify.Digest {
	var digest *verify.Digest
	switch member {
	case MemberCoSWID:
		digest = m.CoSWID.Digest
	case MemberText:
		digest = m.Text.Digest
	default:
		if s := m.severable(member); s != nil {
			digest = s.Digest
		}
	}
	if digest == nil {
		return verify.Digest{}
	}
	return *digest
}

// MakeSeverable keeps members out of the manifest: it will have their digests by h, and the
// envelope their content until Sever. It is for before signing, as it changes what is signed.
//
// Errors: ErrComponent if a member is not here, ErrUnsupported if it can not be severed,
// verify.ErrAlgorithm for h.
func (m *Manifest) MakeSeverable(h verify.Hash, members ...Section) error {
	if !h.Valid() {
		return fmt.Errorf("make severable: %w", verify.ErrAlgorithm)
	}
	for _, member := range members {
		content, digest, err := m.severableContent(member)
		if err == nil && content == nil {
			err = fmt.Errorf("%w: it is not here", ErrComponent)
		}
		if err != nil {
			return fmt.Errorf("make %v severable: %w", member, err)
		}
		sum := verify.Sum(h, cborstream.AppendBytes(nil, content))
		*digest = &sum
	}
	return nil
}

// Sever drops the content of members, which MakeSeverable must have prepared, and returns it, in the
// same order, for Attach. What is signed does not change. Errors as MakeSeverable; ErrDigest if
// a member has no digest in the manifest. On an error m is as it was.
func (m *Manifest) Sever(members ...Section) ([][]byte, error) {
	severed := make([][]byte, len(members))
	for i, member := range members {
		content, digest, err := m.severableContent(member)
		switch {
		case err != nil:
		case content == nil:
			err = fmt.Errorf("%w: it is not here", ErrComponent)
		case *digest == nil:
			err = fmt.Errorf("%w: the manifest has none for it", ErrDigest)
		}
		if err != nil {
			return nil, fmt.Errorf("sever %v: %w", member, err)
		}
		severed[i] = slices.Clone(content)
	}
	for _, member := range members {
		switch member {
		case MemberCoSWID:
			m.CoSWID.Raw = nil
		case MemberText:
			m.Text.Texts = nil
		default:
			m.severable(member).Sequence = nil
		}
	}
	return severed, nil
}

// Attach returns v with a severed member, whose content has been fetched from somewhere
// else. The content is authentic if it has the digest that is in the manifest.
//
// Errors: ErrDigest if it has not, or if the manifest has no digest for it; ErrComponent if it is here
// already; those of Open for what is in it. v does not change.
func (v *Verified) Attach(member Section, content []byte) (*Verified, error) {
	m := v.Manifest()
	if err := m.Attach(member, content, *v.options); err != nil {
		return nil, err
	}
	if err := checkFlow(&m, v.options.Compat, v.payloads); err != nil {
		return nil, fmt.Errorf("attach %v: %w", member, err)
	}
	a := *v
	a.attached = append(slices.Clone(v.attached), attached{member, slices.Clone(content)})
	return &a, nil
}

// Attach puts a severed member back: the reverse of Sever, under the rules of o. Errors as
// Verified.Attach; on an error m is as it was.
func (m *Manifest) Attach(member Section, content []byte, o Options) error {
	if err := m.attach(member, content, o); err != nil {
		return fmt.Errorf("attach %v: %w", member, err)
	}
	return nil
}

func (m *Manifest) attach(member Section, content []byte, o Options) error {
	here, want, err := m.severablePart(member)
	if err != nil {
		return err
	}
	if here {
		return fmt.Errorf("%w: it is here already", ErrComponent)
	}
	if len(content) > MaxEnvelopeSize {
		return fmt.Errorf("%w: %d bytes", ErrLimit, len(content))
	}
	if *want == nil {
		return fmt.Errorf("%w: the manifest has none for it", ErrDigest)
	}
	if seen := verify.Sum((*want).Hash(), cborstream.AppendBytes(nil, content)); seen != **want {
		return fmt.Errorf("%w: expected %v, seen %v", ErrDigest, **want, seen)
	}
	// As deep as the member is in an envelope.
	p := cborstream.New(content, cborstream.Limits{Size: MaxEnvelopeSize, Depth: MaxDepth - memberDepth, Items: maxItems})
	own := *m
	d := decoder{m: &own, o: &o, components: len(m.Components), dependencies: m.Dependencies, commands: m.commandCount()}
	if err = d.content(p, int64(member)); err == nil {
		err = p.Done()
	}
	if err != nil {
		return err
	}
	*m = own
	return nil
}

// memberDepth is the nesting around a member's content in the envelope: a tag and a map.
const memberDepth = 2

// commandCount returns the commands of all sequences, nested ones included.
func (m *Manifest) commandCount() int {
	n := 0
	for s := SectionShared; s <= SectionUninstall; s++ {
		seq, _ := m.Section(s)
		n += seq.count()
	}
	return n
}

func (s Sequence) count() int {
	n := len(s)
	for i := range s {
		for _, nested := range s[i].Sequences {
			n += nested.count()
		}
	}
	return n
}
