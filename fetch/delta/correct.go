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
// same changes come again: code that moved changes every address by the same amount. Encoder and decoder make the same calls.
type corrector struct {
	coder
	model
}

// A model is what a corrector expects.
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
	shifts                    [7]int64
}

// fresh is a model at the beginning of a frame.
var fresh = func() *model {
	m := &model{}
	for _, all := range [][]estimate{m.group[:], m.word[:], m.same[:], m.again[:], m.shift[:], m.sign[:]} {
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

// span codes one copied span: old holds its bytes in the old image, with margin bytes before and behind; new, of the
// same length without the margins, is read (encoding) or filled (decoding). at is where new begins in the image.
func (c *corrector) span(old, new []byte, at int64) {
	for len(new) > 0 {
		n := min(quiet-int(at%quiet), len(new))
		differs := uint32(0)
		if !c.reading && common(old[margin:], new[:n]) < n {
			differs = 1
		}
		differs = c.bit(&c.group[c.groups&255], differs)
		c.groups = c.groups<<1 | differs
		if c.reading {
			copy(new[:n], old[margin:])
		}
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
	hash := old * 0x9E3779B1 >> 18
	guess, kind := c.last[hash], uint32(0)
	if guess == 1 {
		kind = 1
	} else if guess > 1 {
		kind = 2
	}
	added, differs := uint32(0), uint32(0)
	if !c.reading {
		if added = merge(old, new, lane) - old; added != 0 {
			differs = 1
		}
	}
	differs = c.bit(&c.word[kind<<10|top<<2|c.words&3], differs)
	c.words = c.words<<1 | differs
	if differs == 0 {
		c.last[hash] = 1
		return
	}
	class := top >> 5
	list := &c.recent[class]
	at := -1
	if kind == 2 && c.flag(&c.same[top], added == guess-1) {
		added = guess - 1
		at = place(list, added)
	} else {
		if !c.reading {
			at = place(list, added)
		}
		if c.flag(&c.again[top], at >= 0) {
			at = int(c.tree(c.index[class][:], 4, uint32(at)))
			added = list[at]
		} else {
			at = -1
			added = c.bytes(old, added, new, lane, top)
		}
	}
	if at < 0 {
		at = recent - 1
	}
	copy(list[1:at+1], list[:at])
	list[0] = added
	c.last[hash] = added + 1
	if c.reading {
		word := old + added
		for i := range new {
			new[i] = byte(word >> (8 * (lane + i)))
		}
	}
}

func (c *corrector) flag(e *estimate, is bool) bool {
	b := uint32(0)
	if is {
		b = 1
	}
	return c.bit(e, b) != 0
}

// bytes codes the bytes of a word one by one, and returns what is added to old.
func (c *corrector) bytes(old, added uint32, new []byte, lane int, top uint32) uint32 {
	word := old + added
	which := uint32(0)
	for i := lane; i < lane+len(new); i++ {
		if byte(word>>(8*i)) != byte(old>>(8*i)) {
			which |= 1 << i
		}
	}
	which = c.tree(c.lanes[top][:], 4, which)
	out := old
	for i := range 4 {
		if which>>i&1 != 0 {
			o := byte(old >> (8 * i))
			v := o + byte(c.tree(c.value[i][:], 8, uint32(byte(word>>(8*i))-o)))
			out = out&^(255<<(8*i)) | uint32(v)<<(8*i)
		}
	}
	return out - old
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
func (c *corrector) operation(copied, literal, shift int64) (int64, int64, int64) {
	copied = c.number(&c.copied, copied)
	literal = c.number(&c.literal, literal)
	if copied > 0 {
		shift = c.shiftTo(shift)
	}
	return copied, literal, shift
}

// shiftTo codes a shift: one of the last, or its distance from the last.
func (c *corrector) shiftTo(shift int64) int64 {
	all := &c.shifts
	at := 0
	for at < len(all) && all[at] != shift {
		at++
	}
	at = int(c.tree(c.model.shift[:], 3, uint32(at)))
	if at < len(all) {
		shift = all[at]
	} else {
		at = len(all) - 1
		distance := shift - all[0]
		if c.flag(&c.sign[0], distance < 0) {
			shift = all[0] - c.number(&c.distance, -distance-1) - 1
		} else {
			shift = all[0] + c.number(&c.distance, distance-1) + 1
		}
	}
	copy(all[1:at+1], all[:at])
	all[0] = shift
	return shift
}
