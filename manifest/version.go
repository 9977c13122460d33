// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "github.com/firmament-dev/firmament/internal/cborstream"

// VersionMatch is suit-parameter-version: what a component's version is compared with.
//
// draft-ietf-suit-update-management-14, section 4.4.
type VersionMatch struct {
	Comparison Comparison

	// Version is major, minor and so on. A negative number, never the first, says
	// that it is a pre-release: ReleaseCandidate, Beta or Alpha. At most MaxVersionParts.
	Version []int64
}

// Matches reports whether version, of a component, compares with v's as v says. It
// compares number by number and stops at the first difference or at the end of v's, so that "equal
// 1.2" matches 1.2.7. A number that version lacks counts as zero: 2 is 2.0, and
// 2.0-rc.1 comes before it.
func (v VersionMatch) Matches(version []int64) bool {
	order := compareVersions(version, v.Version)
	switch v.Comparison {
	case VersionGreater:
		return order > 0
	case VersionGreaterEqual:
		return order >= 0
	case VersionEqual:
		return order == 0
	case VersionLesserEqual:
		return order <= 0
	case VersionLesser:
		return order < 0
	}
	return false
}

// compareVersions compares as many numbers of seen as want has.
func compareVersions(seen, want []int64) int {
	for i, w := range want {
		var s int64
		if i < len(seen) {
			s = seen[i]
		}
		switch {
		case s < w:
			return -1
		case s > w:
			return 1
		}
	}
	return 0
}

func decodeVersionMatch(p *cborstream.Parser) (v VersionMatch, err error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return v, err
	}
	if n != 2 {
		return v, p.Refuse(at, ErrMalformed, "version match of %d items, expected 2", n)
	}
	at = p.Offset()
	c, err := p.Uint()
	if err != nil {
		return v, err
	}
	if c < uint64(VersionGreater) || c > uint64(VersionLesser) {
		return v, p.Refuse(at, ErrUnsupported, "version comparison %d", c)
	}
	v.Comparison = Comparison(c)
	v.Version, err = decodeVersion(p)
	p.End()
	return v, err
}

// decodeVersion reads SUIT_Condition_Version_Comparison_Value: one or more numbers,
// of which one may be a pre-release indicator.
func decodeVersion(p *cborstream.Parser) ([]int64, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "version without a number")
	}
	if n > MaxVersionParts {
		return nil, p.Refuse(at, ErrLimit, "version of %d numbers, limit %d", n, MaxVersionParts)
	}
	version := make([]int64, n)
	released := true
	for i := range version {
		at := p.Offset()
		if version[i], err = p.Int(); err != nil {
			return nil, err
		}
		if v := version[i]; v < 0 && (i == 0 || v < Alpha || !released) {
			return nil, p.Refuse(at, ErrMalformed, "number %d of a version is %d", i, v)
		}
		released = released && version[i] >= 0
	}
	p.End()
	return version, nil
}

// decodeSetVersion reads suit-set-version.
func decodeSetVersion(p *cborstream.Parser) ([]int64, error) {
	outer, err := p.Enter()
	if err != nil {
		return nil, err
	}
	v, err := decodeVersion(p)
	if err != nil {
		return nil, err
	}
	return v, p.Leave(outer)
}

func (v *VersionMatch) append(b []byte) []byte {
	b = cborstream.AppendUint(cborstream.AppendArray(b, 2), uint64(v.Comparison))
	return appendVersion(b, v.Version)
}

func appendVersion(b []byte, version []int64) []byte {
	b = cborstream.AppendArray(b, len(version))
	for _, n := range version {
		b = cborstream.AppendInt(b, n)
	}
	return b
}
