// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Builder collects what a manifest is made of: components and dependencies first, then
// sequences, by the templates of the specifications (the methods in templates.go) or command
// by command (Add). Build puts them together.
//
// A Builder that has been used wrongly keeps the first error for Build, so that calls need no
// checks one by one. The zero Builder is empty and ready. The order of calls is the
// order of commands.
type Builder struct {
	// SequenceNumber, as in AB.
	SequenceNumber uint64

	ReferenceURI string
	ComponentID  manifest.ComponentID
	SetVersion   []int64
	Texts        []manifest.Text
	CoSWID       []byte

	// Severable are the members that the manifest has by digest only.
	Severable []manifest.Section

	// Hash is that of the manifest digest and of severable members. Zero means verify.SHA256.
	Hash verify.Hash

	// Options are what the manifest makes use of.
	Options manifest.Options

	components   []manifest.ComponentID
	dependencies []manifest.Dependency
	sections     map[manifest.Section]manifest.Sequence
	payloads     []manifest.Payload
	err          error
}

// Index selects a component or dependency of a Builder.
type Index uint64

// Component adds a component and returns its index. All components come before all
// dependencies.
func (b *Builder) Component(id manifest.ComponentID) Index {
	if len(b.dependencies) > 0 {
		b.fail(fmt.Errorf("%w: component %v after a dependency", manifest.ErrComponent, id))
	}
	b.components = append(b.components, id)
	return Index(len(b.components) - 1)
}

// Dependency adds a dependency that is not one of the components, with its prefix, and
// returns its index, which follows those of the components.
func (b *Builder) Dependency(prefix manifest.ComponentID) Index {
	index := uint64(len(b.components) + len(b.dependencies))
	b.dependencies = append(b.dependencies, manifest.Dependency{Index: index, Prefix: prefix})
	return Index(index)
}

// Add appends commands about one component or dependency to a section. The command that
// selects it is added where it is needed.
func (b *Builder) Add(s manifest.Section, at Index, commands ...manifest.Command) {
	b.add(s, &manifest.ComponentIndex{One: uint64(at)}, commands)
}

// AddTo is Add for several components in the order given, or for all without any.
func (b *Builder) AddTo(s manifest.Section, at []Index, commands ...manifest.Command) {
	index := &manifest.ComponentIndex{All: len(at) == 0}
	for _, i := range at {
		index.List = append(index.List, uint64(i))
	}
	b.add(s, index, commands)
}

func (b *Builder) add(s manifest.Section, index *manifest.ComponentIndex, commands []manifest.Command) {
	if b.sections == nil {
		b.sections = make(map[manifest.Section]manifest.Sequence)
	}
	seq := b.sections[s]
	if !sameIndex(lastIndex(seq), index) {
		seq = append(seq, manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: index})
	}
	b.sections[s] = append(seq, commands...)
}

// lastIndex returns what the end of seq is about, nil if that is not certain.
func lastIndex(seq manifest.Sequence) *manifest.ComponentIndex {
	for _, c := range slices.Backward(seq) {
		switch c.Code {
		case manifest.DirectiveSetComponentIndex:
			return c.Index
		case manifest.DirectiveOverrideMultiple:
			return nil
		}
	}
	return nil
}

func sameIndex(x, y *manifest.ComponentIndex) bool {
	return x != nil && x.All == y.All && x.One == y.One && slices.Equal(x.List, y.List)
}

// Payload puts data into the envelope, under a URI that a fetch names. It is not signed,
// but its digest is, if the component has one.
func (b *Builder) Payload(uri string, data []byte) {
	b.payloads = append(b.payloads, manifest.Payload{Key: uri, Data: slices.Clone(data)})
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Build returns the envelope, unsigned. Equal builders return equal envelopes.
//
// Errors: the first of the methods called before; manifest.ErrUnsupported for a section that there is
// not; manifest.ErrComponent for a text about a component that is none of the manifest's; those of manifest.Manifest.MakeSeverable and
// manifest.Envelope.Encode, which refuses whatever Open would.
func (b *Builder) Build() (*manifest.Envelope, error) {
	e, err := b.build()
	if err != nil {
		return nil, fmt.Errorf("build manifest: %w", err)
	}
	return e, nil
}

func (b *Builder) build() (*manifest.Envelope, error) {
	if b.err != nil {
		return nil, b.err
	}
	if err := checkSequenceNumber(b.SequenceNumber); err != nil {
		return nil, err
	}
	e := &manifest.Envelope{Hash: b.Hash, Payloads: b.payloads, Options: b.Options, Manifest: manifest.Manifest{
		SequenceNumber: b.SequenceNumber,
		ReferenceURI:   b.ReferenceURI,
		ComponentID:    b.ComponentID,
		SetVersion:     b.SetVersion,
		Components:     b.components,
		Dependencies:   b.dependencies,
		CoSWID:         manifest.SeverableCoSWID{Raw: b.CoSWID},
		Text:           manifest.SeverableText{Texts: b.Texts},
	}}
	for s, seq := range b.sections {
		if err := place(&e.Manifest, s, b.short(seq)); err != nil {
			return nil, err
		}
	}
	hash := b.Hash
	if hash == 0 {
		hash = verify.SHA256
	}
	if err := e.Manifest.MakeSeverable(hash, b.Severable...); err != nil {
		return nil, err
	}
	return normal(e)
}

// normal returns e as it is read back: independent of the caller's memory, with offsets, and
// refused here if a device would refuse it, or if no author may write it.
func normal(e *manifest.Envelope) (*manifest.Envelope, error) {
	if err := checkTexts(&e.Manifest); err != nil {
		return nil, err
	}
	encoded, err := e.Encode()
	if err != nil {
		return nil, err
	}
	u, err := e.Options.InspectBytes(encoded)
	if err != nil {
		return nil, err
	}
	return u.Envelope(), nil
}

// short leaves out the first selection if there is nothing to select from.
func (b *Builder) short(seq manifest.Sequence) manifest.Sequence {
	if len(b.components)+len(b.dependencies) == 1 && len(seq) > 1 && seq[0].Code == manifest.DirectiveSetComponentIndex {
		return seq[1:]
	}
	return seq
}

// place puts seq into its section.
func place(m *manifest.Manifest, s manifest.Section, seq manifest.Sequence) error {
	switch s {
	case manifest.SectionShared:
		m.Shared = seq
	case manifest.SectionValidate:
		m.Validate = seq
	case manifest.SectionLoad:
		m.Load = seq
	case manifest.SectionInvoke:
		m.Invoke = seq
	case manifest.SectionUninstall:
		m.Uninstall = seq
	case manifest.SectionDependencyResolution:
		m.DependencyResolution.Sequence = seq
	case manifest.SectionPayloadFetch:
		m.PayloadFetch.Sequence = seq
	case manifest.SectionCandidateVerification:
		m.CandidateVerification.Sequence = seq
	case manifest.SectionInstall:
		m.Install.Sequence = seq
	default:
		return fmt.Errorf("%w: %v", manifest.ErrUnsupported, s)
	}
	return nil
}
