// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import "encoding/binary"

// A decoder reads what a corrector wrote. Applying a patch spends its time here, so the loops hold the state of the range coder in
// local variables, and do by themselves what bit does. What they need once in a byte, they leave where it is.
type decoder struct {
	data []byte
	at   int // of the next byte
	rng  uint32
	code uint32 // the number, less the lower end of the interval
	model
}

func (d *decoder) begin(in []byte) {
	d.data, d.at, d.rng, d.code = in, 0, 1<<32-1, 0
	for range 4 {
		d.code = d.code<<8 | d.next()
	}
	d.model = *fresh
}

// next returns the next byte. Behind the end there are zeros.
func (d *decoder) next() (b uint32) {
	if d.at < len(d.data) {
		b = uint32(d.data[d.at])
	}
	d.at++
	return b
}

// bit reads one decision.
func (d *decoder) bit(e *estimate) bool {
	bound := d.rng >> 14 * e.ones()
	one := d.code < bound
	if one {
		d.rng, *e = bound, e.afterOne()
	} else {
		d.rng, d.code, *e = d.rng-bound, d.code-bound, e.afterZero()
	}
	d.renew()
	return one
}

func (d *decoder) renew() {
	for d.rng < 1<<24 {
		d.rng, d.code = d.rng<<8, d.code<<8|d.next()
	}
}

// tree reads bits, the highest first, as coder.tree writes them: as many as t has room for, which is a power of two. A processor could
// foresee few of them: so there is no branch on a bit, but it stands in all bits of one.
func (d *decoder) tree(t []estimate) uint32 {
	rng, code := d.rng, d.code
	node := uint32(1)
	for node < uint32(len(t)) {
		e := &t[node]
		p, seen := uint32(*e)>>2, uint32(*e)&3
		bound := rng >> 14 * p
		one := uint32((uint64(code) - uint64(bound)) >> 32)
		node = node<<1 - one
		code -= bound &^ one
		rng -= bound
		rng += (bound - rng) & one
		// What becomes less is p after a 0, 1<<14 - p after a 1.
		turn := one & (1<<14 + 1)
		q := (p ^ one) + turn
		q -= q >> (seen + 1)
		*e = estimate(((q^one)+turn)<<2 | min(seen+1, 3))
		for rng < 1<<24 {
			rng, code = rng<<8, code<<8|d.next()
		}
	}
	d.rng, d.code = rng, code
	return node - uint32(len(t))
}

// direct reads n bits that nothing is known about.
func (d *decoder) direct(n int) int64 {
	out := int64(0)
	for range n {
		d.rng >>= 1
		out <<= 1
		if d.code >= d.rng {
			d.code -= d.rng
			out |= 1
		}
		d.renew()
	}
	return out
}

func (d *decoder) number(t *number) int64 {
	n := int(d.tree(t.length[:]))
	if n > maxBits {
		return 1 << 59 // more than anything that is allowed, and a shift of as many bytes can be told in bits
	}
	high := min(n, 2)
	low := min(n-high, 2)
	out := int64(1)<<high | int64(d.tree(t.high[n][:1<<high]))
	out = out<<(n-high-low) | d.direct(n-high-low)
	return out<<low | int64(d.tree(t.low[:1<<low])) - 1
}

// operation reads what one operation copies, and out of where, and how many bytes follow that are inserted.
func (d *decoder) operation() (copied, literal, shift int64, turn uint8) {
	copied, literal = d.number(&d.copied), d.number(&d.literal)
	if copied == 0 {
		return copied, literal, 0, 0
	}
	all := &d.shifts
	at := int(d.tree(d.model.shift[:]))
	if at < len(all) {
		shift = all[at]
	} else {
		at = len(all) - 1
		if d.bit(&d.sign[0]) {
			shift = all[0]>>3 - d.number(&d.distance)
		} else {
			shift = all[0]>>3 + d.number(&d.distance)
		}
		shift = shift<<3 | int64(d.tree(d.model.turn[:]))
	}
	copy(all[1:at+1], all[:at])
	all[0] = shift
	return copied, literal, shift >> 3, uint8(shift & 7)
}

// span fills one copied span: old holds its bytes in the old image, with margin bytes before and behind. at is where new
// begins in the image.
func (d *decoder) span(old, new []byte, at int64) {
	copy(new, old[margin:])
	rng, code := d.rng, d.code
	for len(new) > 0 {
		n := min(quiet-int(at%quiet), len(new))
		e := &d.group[d.groups&255]
		d.groups <<= 1
		bound := rng >> 14 * e.ones()
		differs := code < bound
		if differs {
			rng, *e = bound, e.afterOne()
		} else {
			rng, code, *e = rng-bound, code-bound, e.afterZero()
		}
		for rng < 1<<24 {
			rng, code = rng<<8, code<<8|d.next()
		}
		if differs {
			d.groups |= 1
			d.rng, d.code = rng, code
			d.differing(old, new[:n], int(at&3))
			rng, code = d.rng, d.code
		} else {
			d.words = 0
		}
		old, new, at = old[n:], new[n:], at+int64(n)
	}
	d.rng, d.code = rng, code
}

// differing makes a group that does not equal its sources, whose first byte is in the given lane of its word.
func (d *decoder) differing(old, new []byte, lane int) {
	rng, code, words := d.rng, d.code, d.words
	for i := 0; i < len(new); {
		k := min(4-lane, len(new)-i)
		word := binary.LittleEndian.Uint32(old[margin+i-lane:])
		known := &d.last[word*0x9E3779B1>>18]
		e := &d.word[min(*known, 2)<<10|word>>24<<2|words&3]
		words <<= 1
		bound := rng >> 14 * e.ones()
		differs := code < bound
		if differs {
			rng, *e = bound, e.afterOne()
		} else {
			rng, code, *e = rng-bound, code-bound, e.afterZero()
		}
		for rng < 1<<24 {
			rng, code = rng<<8, code<<8|d.next()
		}
		if differs {
			words |= 1
			d.rng, d.code = rng, code
			word += d.added(word, known)
			rng, code = d.rng, d.code
			if k == 4 {
				binary.LittleEndian.PutUint32(new[i:], word)
			} else {
				for j := range k {
					new[i+j] = byte(word >> (8 * (lane + j)))
				}
			}
		} else {
			*known = 1
		}
		i, lane = i+k, 0
	}
	d.rng, d.code, d.words = rng, code, words
}

// added reads what is added to a word that differs.
func (d *decoder) added(old uint32, known *uint32) uint32 {
	top := old >> 24
	list, at := &d.recent[top>>5], recent-1
	var added uint32
	if *known > 1 && d.bit(&d.same[top]) {
		added = *known - 1
		if n := place(list, added); n >= 0 {
			at = n
		}
	} else if d.bit(&d.again[top]) {
		at = int(d.tree(d.index[top>>5][:]))
		added = list[at]
	} else {
		added = d.bytes(old, top)
	}
	copy(list[1:at+1], list[:at])
	list[0], *known = added, added+1
	return added
}

// bytes reads the bytes of a word one by one, and returns what is added to old.
func (d *decoder) bytes(old, top uint32) uint32 {
	which := d.tree(d.lanes[top][:])
	out := old
	for i := range 4 {
		if which>>i&1 != 0 {
			v := byte(old>>(8*i)) + byte(d.tree(d.value[i][:]))
			out = out&^(255<<(8*i)) | uint32(v)<<(8*i)
		}
	}
	return out - old
}
