// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

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
