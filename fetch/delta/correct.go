// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

// A corrector codes the bytes in which copied spans differ from the old image. Encoder and decoder make the same
// sequence of calls; bit codes one binary decision under the model.
type corrector struct {
	m      model
	enc    *bitWriter
	dec    *bitReader // decodes, if there is one
	hist   uint32     // which of the last bytes differed
	last   byte       // the last difference
	carry  uint32     // whether the last byte overflowed
	lane   [4]byte    // the last nonzero difference in each place of a word
	blocks uint32
}

const quiet = 32 // bytes of one decision that nothing differs

// reset begins a frame. One of enc and dec is nil.
func (c *corrector) reset(enc *bitWriter, dec *bitReader) {
	c.m.reset()
	c.enc, c.dec = enc, dec
	c.hist, c.last, c.carry, c.lane, c.blocks = 0, 0, 0, [4]byte{}, 0
}

func (c *corrector) bit(b int32, set int, h *[contexts]uint32) int32 {
	p := c.m.predict(set, h)
	if c.dec != nil {
		b = c.dec.get(p)
	} else {
		c.enc.put(b, p)
	}
	c.m.update(b)
	return b
}

// span codes one copied span: old holds its bytes in the old image, with margin bytes before and behind; new, of the
// same length without the margins, is read (encoding) or filled (decoding). at is where new begins in the image.
func (c *corrector) span(old, new []byte, at int64) {
	for len(new) > 0 {
		n := min(quiet-int(at%quiet), len(new))
		differs := int32(0)
		if c.dec == nil {
			if common(old[margin:], new[:n]) < n {
				differs = 1
			}
		}
		h := [contexts]uint32{c.blocks & 0xff, 1<<16 | c.blocks&0xf, 2 << 16, 3<<16 | uint32(old[margin+3])<<1 | c.blocks&1}
		differs = c.bit(differs, 0, &h)
		c.blocks = c.blocks<<1 | uint32(differs)
		if differs == 0 {
			if c.dec != nil {
				copy(new[:n], old[margin:])
			}
			c.hist, c.last, c.carry = 0, 0, 0
		} else {
			for i := range n {
				c.byte(old[i:], &new[i], uint32(at+int64(i)))
			}
		}
		old, new, at = old[n:], new[n:], at+int64(n)
	}
}

const margin = 4

// byte codes one byte. old[margin] is what the old image has in its place.
func (c *corrector) byte(old []byte, new *byte, at uint32) {
	lane := at & 3
	top := uint32(old[margin+3-lane])
	ahead := uint32(old[margin-1]) | uint32(old[margin-2])<<8
	diff := *new - old[margin]
	changed := int32(0)
	if diff != 0 {
		changed = 1
	}
	h := [contexts]uint32{
		1<<28 | lane<<8 | c.hist&0xff,
		1<<28 | lane<<16 | top<<8 | c.hist&7,
		1<<28 | ahead<<4 | c.hist&3,
		1<<28 | uint32(c.last)<<8 | c.carry<<4 | lane,
	}
	changed = c.bit(changed, 1+int(lane), &h)
	if changed == 0 {
		*new = old[margin]
		c.hist, c.last, c.carry = c.hist<<1, 0, 0
		return
	}
	v := uint32(1)
	for k := 7; k >= 0; k-- {
		h := [contexts]uint32{
			2<<28 | v<<4 | lane,
			2<<28 | v<<16 | top<<4 | lane,
			2<<28 | v<<12 | uint32(c.lane[lane])<<4 | lane,
			2<<28 | v<<16 | uint32(c.last)<<4 | c.carry<<3 | lane, // carry overlaps last: so version 1 has it
		}
		v = v<<1 | uint32(c.bit(int32(diff>>k&1), 5, &h))
	}
	diff = byte(v)
	sum := uint32(old[margin]) + uint32(diff)
	*new = byte(sum)
	c.carry = sum>>8 + 1
	c.hist, c.last, c.lane[lane] = c.hist<<1|1, diff, diff
}
