// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "github.com/firmament-dev/firmament/verify"

// slabs hold the values that a manifest points to, many to an allocation: what an
// envelope costs to decode should not depend on how many small fields it has. They are
// written once; Manifest.clone gives out copies.
type slabs struct {
	commandSlab    slab[Command]
	parametersSlab slab[Parameters]
	indexSlab      slab[ComponentIndex]
	uuidSlab       slab[UUID]
	digestSlab     slab[verify.Digest]
	uintSlab       slab[uint64]
	boolSlab       slab[bool]
	stringSlab     slab[string]
	idSlab         slab[ComponentID]
	partSlab       slab[[]byte]
}

// room is what a small manifest needs, such as most of the specification's examples.
type room struct {
	commands   [8]Command
	parameters [1]Parameters
	indices    [2]ComponentIndex
	uuids      [3]UUID
	digests    [1]verify.Digest
	uints      [4]uint64
	bools      [4]bool
	strings    [1]string
	ids        [1]ComponentID
	parts      [1][]byte
	blocks     [1][]byte
}

// use makes d take from r first.
func (d *decoder) use(r *room) {
	d.blocks = r.blocks[:0]
	s := &d.slabs
	s.commandSlab.free = r.commands[:]
	s.parametersSlab.free = r.parameters[:]
	s.indexSlab.free = r.indices[:]
	s.uuidSlab.free = r.uuids[:]
	s.digestSlab.free = r.digests[:]
	s.uintSlab.free = r.uints[:]
	s.boolSlab.free = r.bools[:]
	s.stringSlab.free = r.strings[:]
	s.idSlab.free = r.ids[:]
	s.partSlab.free = r.parts[:]
}

// slab is memory for values of one type, taken piece by piece.
type slab[T any] struct{ free []T }

const slabSize = 4 // values that one allocation makes room for, if not asked for more

// take returns n zero values, which nobody else has.
func (s *slab[T]) take(n int) []T {
	if len(s.free) < n {
		s.free = make([]T, max(n, slabSize))
	}
	taken := s.free[:n:n]
	s.free = s.free[n:]
	return taken
}

// put returns a pointer to a copy of v, or err.
func (s *slab[T]) put(v T, err error) (*T, error) {
	p := &s.take(1)[0]
	*p = v
	return p, err
}
