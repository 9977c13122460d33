// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"slices"
)

// Published reports whether k is known to be a sample key: one whose secret half stands in a specification or in
// the tests of this module, so that anybody can sign with it. Nothing that is in use may trust one. It knows the keys of the
// SUIT drafts' examples, those of RFC 8032, section 7.1, and this module's own; that it does
// not know a key proves nothing.
func (k Key) Published() bool {
	if k.IsZero() {
		return false
	}
	_, found := slices.BinarySearch(published, binary.BigEndian.Uint64(k.ID().Bytes()))
	return found
}

// published has the first eight bytes of each sample key's ID, ascending.
var published = []uint64{
	0x03694eecc61b7c8a, 0x06e3fd8fda29bb60, 0x08c0b19571bc2093, 0x13172d03f5c30499, 0x1c3c99a6d43063f4, 0x1ce8b4023255008a,
	0x1e1e4d0b2f602ff3, 0x231e8d734621fc2a, 0x264bf0d309f92aee, 0x2862d61d56a7cc6f, 0x29bd730bdbc6c80b, 0x2a2e604f031d82f1,
	0x2d4424aeec2c8e3a, 0x2fe330126f36d19a, 0x3384099df22c543c, 0x34abb6b78498cf16, 0x3679a27bfec0feaa, 0x379526b2d35abe2a,
	0x3a7c8487fca5ea7d, 0x3c3422264930dd19, 0x3fabe39828034219, 0x4185f1c1225e86d2, 0x4413b45430e46d8e, 0x44deae29b03826b6,
	0x482de7f918add786, 0x4846d40c8d90e00d, 0x4a8988d15994c426, 0x4b50ba3a3bd8fff5, 0x4b65fefc3a46bb3c, 0x505d1fe76638e765,
	0x51b8b7d7c2c7251c, 0x52b1a0e060278356, 0x52b430a5d8ecbe23, 0x580051dd1c3d7401, 0x5df20e831f177c1a, 0x5e50a038bb600bff,
	0x60b60f0e9b3b3540, 0x6acbf55558fd228c, 0x6dafb415a57dc64e, 0x6dfa3012ee45ad4e, 0x6ebd6b2485eb4d13, 0x6f7daebb5d192109,
	0x7084e6d0de8527c1, 0x71e788d6851cb1c7, 0x73d702ab36bb858c, 0x742a62358add0e86, 0x7553188c16df62fd, 0x78feb1abd318095a,
	0x7e810b23ff6ce70a, 0x846d3100508ab2a6, 0x86b2dbc4e5d5e692, 0x8a5fd1bec5c41e01, 0x8d39ba50abe50f77, 0x9ecfff459e817a27,
	0xa231a900ae581edb, 0xa3de0e1a857d7bb7, 0xa6c9a440c096387c, 0xade2dad611717e91, 0xaea4d8c3375f23fd, 0xb11f90c17db86599,
	0xb1e6d37be35d4246, 0xb23bf0a4e6549b58, 0xb3dcb32f55239aec, 0xb6029904f3436740, 0xb668606c8349116b, 0xb87768974f10527f,
	0xb9a783e080e2be84, 0xb9cbd8294487da29, 0xbb079112dfc4fe5f, 0xc3bbf696edaff8cd, 0xc6e044d2fcea1b01, 0xc77c9b521c6fc489,
	0xc7f629aa64eeb9f9, 0xc7f9eab34ecedc9b, 0xd10e933c96f68406, 0xd3195e64a0d2c639, 0xd5e3298ce8bf794b, 0xd8a7cce194b3377f,
	0xda2b8ae890a0cfee, 0xdeb2ded39dc26fce, 0xdf686fc8d964539b, 0xe006d0bc7e56b85f, 0xe18e55e251a109b6, 0xeff42b62b6695fe6,
	0xf5cc5e087334d589, 0xf6f0bc2a789819ad, 0xfd6b91cf35475fa3,
}
