// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

// A table finds numbers by hashes, in memory that is given: pairs of a number and 1, and more bits of its hash.
type table []int32

// crowded is how many pairs are looked at for one hash.
const crowded = 16

// slot returns where the search for h begins, and what tells h from others there.
func (t table) slot(h uint64) (int, int32) {
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	return int(h >> 32 * uint64(len(t)/2) >> 32 * 2), int32(h)
}

// add enters a number, unless one of its hash is known, or the place is crowded.
func (t table) add(h uint64, n int32) {
	at, tag := t.slot(h)
	for range crowded {
		s := t[at : at+2]
		if s[0] == 0 {
			s[0], s[1] = n+1, tag
			return
		}
		if s[1] == tag {
			return
		}
		if at += 2; at == len(t) {
			at = 0
		}
	}
}

// look returns the number of that hash, or -1.
func (t table) look(h uint64) int32 {
	at, tag := t.slot(h)
	for range crowded {
		s := t[at : at+2]
		if s[0] == 0 {
			return -1
		}
		if s[1] == tag {
			return s[0] - 1
		}
		if at += 2; at == len(t) {
			at = 0
		}
	}
	return -1
}
