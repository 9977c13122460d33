// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import "encoding/binary"

const (
	quiet   = 32 // bytes of one decision that nothing differs
	recent  = 16 // changes remembered for each class of words
	classes = 8
	changes = 1 << 14 // words whose change is remembered
)

// A corrector codes the bytes in which copied spans differ from the old image. It expects words of four bytes, and that the
// same changes come again: code that moved changes every address by the same amount. A decoder reads what it writes.
type corrector struct {
	coder
	model
}

// A model is what a corrector or a decoder expects.
type model struct {
	groups uint32 // which of the last groups differed
	words  uint32 // which of the last words did

	group  [256]estimate         // does a group differ
	word   [3 << 10]estimate     // does a word
	same   [256]estimate         // did an equal word change in this way before
	again  [256]estimate         // did another word of its class
	index  [classes][16]estimate // which
	lanes  [256][16]estimate     // which of its bytes differ
	value  [4][256]estimate      // by what
	last   [changes]uint32       // by hash of an old word: what was added to it, and 1; 0: nothing known
	recent [classes][recent]uint32

	// Of the operations.
	copied, literal, distance number
	shift                     [8]estimate
	sign                      [1]estimate
	turn                      [8]estimate
	shifts                    [7]int64 // in bits
}

// fresh is a model at the beginning of a frame.
var fresh = func() *model {
	m := &model{}
	for _, all := range [][]estimate{m.group[:], m.word[:], m.same[:], m.again[:], m.shift[:], m.sign[:], m.turn[:]} {
		neutral(all)
	}
	for i := range m.index {
		neutral(m.index[i][:])
	}
	for i := range m.lanes {
		neutral(m.lanes[i][:])
	}
	for i := range m.value {
		neutral(m.value[i][:])
	}
	for _, n := range []*number{&m.copied, &m.literal, &m.distance} {
		neutral(n.length[:])
		neutral(n.low[:])
		for i := range n.high {
			neutral(n.high[i][:])
		}
	}
	return m
}()

func neutral(all []estimate) {
	for i := range all {
		all[i] = even
	}
}

// span codes one copied span: old holds its bytes in the old image, with margin bytes before and behind; new has the same
// length without the margins. at is where new begins in the image.
func (c *corrector) span(old, new []byte, at int64) {
	for len(new) > 0 {
		n := min(quiet-int(at%quiet), len(new))
		differs := flag(common(old[margin:], new[:n]) < n)
		c.bit(&c.group[c.groups&255], differs)
		c.groups = c.groups<<1 | differs
		if differs == 0 {
			c.words = 0
		} else {
			for i := 0; i < n; {
				lane := int(at+int64(i)) & 3
				k := min(4-lane, n-i)
				c.change(binary.LittleEndian.Uint32(old[margin+i-lane:]), new[i:i+k], lane)
				i += k
			}
		}
		old, new, at = old[n:], new[n:], at+int64(n)
	}
}

const margin = 4

// change codes one word, or those of its bytes from lane on that new has. old is the whole word.
func (c *corrector) change(old uint32, new []byte, lane int) {
	top := old >> 24
	known := &c.last[old*0x9E3779B1>>18]
	added := merge(old, new, lane) - old
	differs := flag(added != 0)
	c.bit(&c.word[min(*known, 2)<<10|top<<2|c.words&3], differs)
	c.words = c.words<<1 | differs
	if differs == 0 {
		*known = 1
		return
	}
	class := top >> 5
	list := &c.recent[class]
	at := place(list, added)
	same := *known > 1 && added == *known-1
	if *known > 1 {
		c.bit(&c.same[top], flag(same))
	}
	if !same {
		c.bit(&c.again[top], flag(at >= 0))
		if at >= 0 {
			c.tree(c.index[class][:], 4, uint32(at))
		} else {
			c.bytes(old, added, top)
		}
	}
	if at < 0 {
		at = recent - 1
	}
	copy(list[1:at+1], list[:at])
	list[0], *known = added, added+1
}

func flag(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}

// bytes codes the bytes of a word one by one.
func (c *corrector) bytes(old, added, top uint32) {
	word := old + added
	which := uint32(0)
	for i := range 4 {
		if byte(word>>(8*i)) != byte(old>>(8*i)) {
			which |= 1 << i
		}
	}
	c.tree(c.lanes[top][:], 4, which)
	for i := range 4 {
		if which>>i&1 != 0 {
			c.tree(c.value[i][:], 8, uint32(byte(word>>(8*i))-byte(old>>(8*i))))
		}
	}
}

// merge returns old with the bytes of new from lane on.
func merge(old uint32, new []byte, lane int) uint32 {
	for i, b := range new {
		shift := 8 * (lane + i)
		old = old&^(255<<shift) | uint32(b)<<shift
	}
	return old
}

func place(list *[recent]uint32, v uint32) int {
	for i, w := range list {
		if w == v {
			return i
		}
	}
	return -1
}

// operation codes what one operation copies, and out of where, and how many bytes follow that are inserted.
func (c *corrector) operation(copied, literal, shift int64, turn uint8) {
	c.number(&c.copied, copied)
	c.number(&c.literal, literal)
	if copied > 0 {
		c.shiftTo(shift<<3 | int64(turn))
	}
}

// shiftTo codes a shift of so many bits: one of the last, or its distance from the last, in bytes, and its turn.
func (c *corrector) shiftTo(shift int64) {
	all := &c.shifts
	at := 0
	for at < len(all) && all[at] != shift {
		at++
	}
	c.tree(c.model.shift[:], 3, uint32(at))
	if at == len(all) {
		at--
		distance := shift>>3 - all[0]>>3
		c.bit(&c.sign[0], flag(distance < 0))
		c.number(&c.distance, abs(distance))
		c.tree(c.model.turn[:], 3, uint32(shift&7))
	}
	copy(all[1:at+1], all[:at])
	all[0] = shift
}
