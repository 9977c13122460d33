// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// A compressor that gets the same input makes the same bits of it, but they begin anywhere in a byte: after one change, seven
// of eight such runs are turned. A turner finds them. It compares a hash of the 56 bits at some places of the old image, chosen by that hash,
// with those of the new one, in bytes that look compressed.
type turner struct {
	ctx    context.Context
	memory func() []int32 // for table, once it is needed
	table  table
	size   int64   // of what is looked at of the old image, at most
	below  uint64  // hashes that are looked at
	blocks []int64 // where those of the old image begin
	all    []turning
	last   int64 // bit of the new image that the last of all was seen at
}

// A turning is a run of the new image, in bytes, that the old one has at a bit.
type turning struct{ at, length, from int64 }

const (
	denseBlock  = 4 << 10
	denseBits   = 15      // of a bit's place in a block
	denseBlocks = 1 << 16 // blocks of the old image looked at
	maxTurnings = 1 << 18
	turnEdge    = 64 // bytes around what was found that may belong to it
)

// turnings finds runs of the new image's gaps that the old image's left has turned. It uses memory if anything of the old one looks compressed.
func (m *maker) turnings(ctx context.Context, left, gaps []stretch, memory func() []int32) ([]turning, error) {
	t := &turner{ctx: ctx, memory: memory, size: min(total(left), denseBlocks*denseBlock)}
	if err := t.scan(m.old, left, t.add); err != nil || len(t.blocks) == 0 {
		return nil, err
	}
	return t.all, t.scan(m.new, gaps, t.look)
}

func total(all []stretch) (n int64) {
	for _, s := range all {
		n += s.length
	}
	return n
}

// scan calls visit for each block of an image's stretches that looks compressed. p has some more bytes than the block.
func (t *turner) scan(image Image, all []stretch, visit func(p []byte, at int64) bool) error {
	buf := make([]byte, 64*denseBlock+8)
	for _, s := range all {
		for at, end := s.start, s.start+s.length; at+8 < end; at += 64 * denseBlock {
			if err := t.ctx.Err(); err != nil {
				return err
			}
			b := buf[:min(int64(len(buf)), end-at)]
			if err := readFull(image, b, at); err != nil {
				return fmt.Errorf("read image at %d: %w", at, err)
			}
			for i := 0; i+8 < len(b); i += denseBlock {
				p := b[i:min(len(b), i+denseBlock+8)]
				if dense(p) && !visit(p, at+int64(i)) {
					return nil
				}
			}
		}
	}
	return nil
}

// dense reports whether the bytes are spread about as evenly as random ones.
func dense(p []byte) bool {
	var count [256]int
	for _, c := range p {
		count[c]++
	}
	sum := 0
	for _, n := range count {
		sum += n * n
	}
	n := len(p)
	return sum < n+n*n/256*5/4
}

// each calls f for the chosen hashes of a block, with the bit that each begins at.
func (t *turner) each(p []byte, f func(h uint64, bit int64)) {
	for i := 0; i+8 <= len(p) && i < denseBlock; i++ {
		word := binary.LittleEndian.Uint64(p[i:])
		for turn := range 8 {
			if h := word >> turn << 8 * factor; h < t.below {
				f(h, int64(8*i+turn))
			}
		}
	}
}

// begin makes the table, and chooses so many hashes that it becomes half full.
func (t *turner) begin() {
	words := t.memory()
	t.table = table(words[:len(words)&^1])
	clear(t.table)
	bits := 4
	for t.size*8>>bits > int64(len(words)/4) {
		bits++
	}
	t.below = 1 << (64 - bits)
}

func (t *turner) add(p []byte, at int64) bool {
	if len(t.blocks) == 0 {
		t.begin()
	}
	if len(t.blocks) == denseBlocks {
		return false
	}
	first := int32(len(t.blocks)) << denseBits
	t.blocks = append(t.blocks, at)
	t.each(p, func(h uint64, bit int64) { t.table.add(h, first+int32(bit)) })
	return true
}

func (t *turner) look(p []byte, at int64) bool {
	t.each(p, func(h uint64, bit int64) {
		if n := t.table.look(h); n >= 0 {
			t.found(8*at+bit, 8*t.blocks[n>>denseBits]+int64(n&(1<<denseBits-1)))
		}
	})
	return len(t.all) < maxTurnings
}

// found takes a find, by the bits in the new image and in the old, unless it goes on with the last or is not turned.
func (t *turner) found(new, old int64) {
	if (new-old)%8 == 0 {
		return
	}
	from := old - new%8
	if n := len(t.all) - 1; n >= 0 {
		if s := &t.all[n]; from-8*(new/8) == s.from-8*s.at && new/8-t.last < 2*turnEdge {
			s.length, t.last = new/8+8-s.at, new/8
			return
		}
	}
	t.all, t.last = append(t.all, turning{new / 8, 8, from}), new/8
}

// turned returns the stretches of the old image for those turnings that begin in from..to of the new one, at most room bytes, of those that
// are longest first.
func turned(all []turning, from, to, room, oldSize int64) []stretch {
	var longest []turning
	for _, t := range all {
		if t.at >= from && t.at < to {
			longest = append(longest, t)
		}
	}
	slices.SortStableFunc(longest, func(a, b turning) int { return cmp.Compare(b.length, a.length) })
	var out []stretch
	for _, t := range longest {
		start := max(0, t.from>>3-turnEdge)
		s := stretch{start: start, length: min(oldSize, t.from>>3+t.length+turnEdge) - start, turn: uint8(t.from & 7)}
		if room -= s.length; room < 0 {
			break
		}
		out = append(out, s)
	}
	return merged(out)
}
