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
// draft-ietf-suit-manifest-37, section 8.4.
type Manifest struct {
	// SequenceNumber only grows from release to release (rollback protection).
	SequenceNumber uint64

	// ReferenceURI is where a full copy of the manifest can be found; printable
	// ASCII, at most MaxURILength bytes, "" if absent.
	ReferenceURI string

	// Components are what commands act on, selected by index. At least one, at
	// most MaxComponents, no two equal.
	Components []ComponentID

	// Shared runs before every other sequence. Nil if absent, as for the others.
	Shared Sequence

	Validate Sequence
	Load     Sequence
	Invoke   Sequence

	// PayloadFetch and Install may have been severed from the manifest.
	PayloadFetch SeverableSequence
	Install      SeverableSequence

	// Text describes the release to people. It is signed, but not interpreted.
	Text SeverableText
}

// SeverableSequence is a command sequence that may be kept out of the signed
// manifest, with only its digest inside:
//
//   - absent: both zero,
//   - in the manifest: only Sequence,
//   - in the envelope, authenticated by the manifest's digest: both,
//   - severed, to be had elsewhere: only Digest.
//
// draft-ietf-suit-manifest-37, section 8.5.
type SeverableSequence struct {
	Sequence Sequence
	Digest   verify.Digest
}

// Severed reports whether the sequence exists but is not here.
func (s SeverableSequence) Severed() bool { return s.Sequence == nil && !s.Digest.IsZero() }

// SeverableText is suit-text as the bytes of its CBOR map, checked for
// deterministic encoding only; Digest is as in SeverableSequence.
type SeverableText struct {
	Raw    []byte
	Digest verify.Digest
}

// Section returns the command sequence of s. It is false if the manifest has
// none or if it is severed and not here (see Severed).
func (m *Manifest) Section(s Section) (Sequence, bool) {
	var seq Sequence
	switch s {
	case SectionShared:
		seq = m.Shared
	case SectionValidate:
		seq = m.Validate
	case SectionLoad:
		seq = m.Load
	case SectionInvoke:
		seq = m.Invoke
	case SectionPayloadFetch:
		seq = m.PayloadFetch.Sequence
	case SectionInstall:
		seq = m.Install.Sequence
	}
	return seq, seq != nil
}

// Severed reports whether the manifest has section s, but only by its digest.
// Whoever needs to run such a section must fail.
func (m *Manifest) Severed(s Section) bool {
	switch s {
	case SectionPayloadFetch:
		return m.PayloadFetch.Severed()
	case SectionInstall:
		return m.Install.Severed()
	}
	return false
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
