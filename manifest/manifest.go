// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/firmament-dev/firmament/verify"
)

// Manifest is SUIT_Manifest, typed. It has no reference to the bytes it was
// read from: encoding it gives those bytes back.
//
// Manifest version 1 is the only one there is and has no field.
//
// draft-ietf-suit-manifest-37, section 8.4; draft-ietf-suit-trust-domains-12, section
// 5.2; draft-ietf-suit-update-management-14, section 3.
type Manifest struct {
	// SequenceNumber only grows from release to release (rollback protection).
	SequenceNumber uint64

	// ReferenceURI is where a full copy of the manifest can be found; printable
	// ASCII, at most MaxURILength bytes, "" if absent.
	ReferenceURI string

	// ComponentID is where a root manifest is stored: its sequence number is compared
	// with that of the one before it there. Nil if absent; ignored in a dependency.
	ComponentID ComponentID

	// SetVersion is the semantic version of all components together, as in
	// VersionMatch. Nil if absent.
	SetVersion []int64

	// Components are what commands act on, selected by index. At most MaxComponents,
	// no two equal; at least one if there are no Dependencies.
	Components []ComponentID

	// Dependencies are the manifests that this one processes, by ascending
	// Index; at most MaxDependencies.
	Dependencies []Dependency

	// Shared runs before every other sequence. Nil if absent, as for the others.
	Shared Sequence

	Validate Sequence
	Load     Sequence
	Invoke   Sequence

	// Uninstall removes what the manifest has installed. It is never severed.
	Uninstall Sequence

	// These may have been severed from the manifest.
	DependencyResolution  SeverableSequence
	PayloadFetch          SeverableSequence
	CandidateVerification SeverableSequence
	Install               SeverableSequence

	// CoSWID names the software that the manifest installs. It is signed, but not
	// interpreted.
	CoSWID SeverableCoSWID

	// Text describes the release to people. It is signed, but not interpreted.
	Text SeverableText
}

// Dependency is another manifest that commands of this one fetch and process.
//
// The specification's text has Index select one of the manifest's Components; its
// examples use an index beyond them, with the prefix as identifier. Both are
// accepted: an index beyond the components needs a prefix.
//
// draft-ietf-suit-trust-domains-12, section 5.2.2.
type Dependency struct {
	Index  uint64
	Prefix ComponentID // nil if absent
}

// SeverableSequence is a command sequence that may be kept out of the signed
// manifest, with only its digest inside:
//
//   - absent: both nil,
//   - in the manifest: only Sequence,
//   - in the envelope, authenticated by the manifest's digest: both,
//   - severed, to be had elsewhere: only Digest.
//
// draft-ietf-suit-manifest-37, section 8.5.
type SeverableSequence struct {
	Sequence Sequence
	Digest   *verify.Digest
}

// Severed reports whether the sequence exists but is not here.
func (s SeverableSequence) Severed() bool { return s.Sequence == nil && s.Digest != nil }

// SeverableCoSWID is suit-coswid: a Concise Software Identification Tag (RFC 9393) as
// the bytes of one CBOR item, a map or a tag. They are checked to be well-formed, in any encoding, without repeated map keys,
// and nested at most 32 deep; Digest is as in SeverableSequence.
//
// draft-ietf-suit-update-management-14, section 3.2.
type SeverableCoSWID struct {
	Raw    []byte
	Digest *verify.Digest
}

// Section returns the command sequence of s. It is false if the manifest has
// none or if it is severed and not here (see Severed).
func (m *Manifest) Section(s Section) (Sequence, bool) {
	seq := m.section(s)
	if seq == nil || *seq == nil {
		return nil, false
	}
	return *seq, true
}

// section returns the sequence of s, nil if there is no such section.
func (m *Manifest) section(s Section) *Sequence {
	switch s {
	case SectionShared:
		return &m.Shared
	case SectionValidate:
		return &m.Validate
	case SectionLoad:
		return &m.Load
	case SectionInvoke:
		return &m.Invoke
	case SectionUninstall:
		return &m.Uninstall
	}
	if severable := m.severable(s); severable != nil {
		return &severable.Sequence
	}
	return nil
}

// Severed reports whether the manifest has section s, but only by its digest.
// Whoever needs to run such a section must fail.
func (m *Manifest) Severed(s Section) bool {
	severable := m.severable(s)
	return severable != nil && severable.Severed()
}

// severable returns the field of section s, nil if it is not one that can be severed.
func (m *Manifest) severable(s Section) *SeverableSequence {
	switch s {
	case SectionDependencyResolution:
		return &m.DependencyResolution
	case SectionPayloadFetch:
		return &m.PayloadFetch
	case SectionCandidateVerification:
		return &m.CandidateVerification
	case SectionInstall:
		return &m.Install
	}
	return nil
}

// Dependency returns the dependency at index.
func (m *Manifest) Dependency(index int) (Dependency, bool) {
	for _, d := range m.Dependencies {
		if index >= 0 && d.Index == uint64(index) {
			return d, true
		}
	}
	return Dependency{}, false
}

// Indices returns every index that a command can select: the components in order, then
// the dependencies that are not among them.
func (m *Manifest) Indices() []int {
	indices := make([]int, len(m.Components), len(m.Components)+len(m.Dependencies))
	for i := range indices {
		indices[i] = i
	}
	for _, d := range m.Dependencies {
		if d.Index >= uint64(len(m.Components)) {
			indices = append(indices, int(d.Index))
		}
	}
	return indices
}

// Identifier returns the component identifier at index: the component's, or the
// prefix of a dependency that is not among the components. False if there is none.
func (m *Manifest) Identifier(index int) (ComponentID, bool) {
	if 0 <= index && index < len(m.Components) {
		return m.Components[index], true
	}
	d, ok := m.Dependency(index)
	return d.Prefix, ok
}

// Resolve returns the indices that i selects, in order: all of Indices, or those listed.
// Error: ErrComponent if there is no such component or dependency.
func (m *Manifest) Resolve(i ComponentIndex) ([]int, error) {
	if i.All {
		return m.Indices(), nil
	}
	list := i.List
	if list == nil {
		list = []uint64{i.One}
	}
	out := make([]int, len(list))
	for k, v := range list {
		if !hasIndex(v, len(m.Components), m.Dependencies) {
			return nil, noIndex(v, len(m.Components), m.Dependencies)
		}
		out[k] = int(v)
	}
	return out, nil
}

func hasIndex(v uint64, components int, dependencies []Dependency) bool {
	if v < uint64(components) {
		return true
	}
	for _, d := range dependencies {
		if d.Index == v {
			return true
		}
	}
	return false
}

func noIndex(v uint64, components int, dependencies []Dependency) error {
	return fmt.Errorf("%w: index %d of %d components and %d dependencies", ErrComponent, v, components, len(dependencies))
}

// ComponentID is SUIT_Component_Identifier: a path of byte strings, at most
// MaxComponentParts of at most MaxComponentPartLength bytes each.
type ComponentID [][]byte

// String returns the parts in lower-case hexadecimal, joined by dots: the one
// component of the specification's examples is "00".
func (id ComponentID) String() string {
	parts := make([]string, len(id))
	for i, p := range id {
		parts[i] = hex.EncodeToString(p)
	}
	return strings.Join(parts, ".")
}

// Equal reports whether id and other have the same parts.
func (id ComponentID) Equal(other ComponentID) bool {
	if len(id) != len(other) {
		return false
	}
	for i := range id {
		if string(id[i]) != string(other[i]) {
			return false
		}
	}
	return true
}

// UUID is an RFC 9562 identifier in network byte order.
type UUID [16]byte

// ParseUUID reads the form 8-4-4-4-12 in hexadecimal of either case and
// nothing else. Error: ErrMalformed.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, fmt.Errorf("%w: uuid: expected the form 8-4-4-4-12, seen %d bytes", ErrMalformed, len(s))
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("%w: uuid: %v", ErrMalformed, err)
	}
	return u, nil
}

// String returns the form 8-4-4-4-12 in lower case.
func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
