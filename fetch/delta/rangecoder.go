// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import "math/bits"

// A coder is a binary range coder: the same calls write a frame's decisions, and read them. Writing, they return what they were
// given; reading, what was written.
type coder struct {
	reading bool
	data    []byte // read, or written so far
	at      int    // of the next byte to read
	rng     uint32
	code    uint32 // reading: the number, less the lower end of the interval

	low     uint64 // writing: the lower end of the interval, and a carry
	held    byte   // the last byte, which a carry may still change
	pending int    // how many bytes are held, those behind the first being ff
}

// An estimate is the probability that a decision is a one, of 2^14, in the upper 14 bits, and below them how many decisions it
// has seen, at most 3.
type estimate uint16

const even estimate = 1 << 15 // knows nothing yet

func (c *coder) write(out []byte) { *c = coder{data: out, rng: 1<<32 - 1, pending: 1} }

func (c *coder) read(in []byte) {
	*c = coder{reading: true, data: in, rng: 1<<32 - 1}
	for range 4 {
		c.code = c.code<<8 | c.next()
	}
}

// next returns the next byte to read. Behind the end there are zeros.
func (c *coder) next() uint32 {
	if c.at >= len(c.data) {
		return 0
	}
	b := c.data[c.at]
	c.at++
	return uint32(b)
}

// bit codes one decision.
func (c *coder) bit(e *estimate, b uint32) uint32 {
	v := uint32(*e)
	p, seen := v>>2, v&3
	bound := c.rng >> 14 * p
	if c.reading {
		b = 0
		if c.code < bound {
			b = 1
		}
	}
	if b != 0 {
		c.rng = bound
		p += (1<<14 - p) >> (seen + 1)
	} else {
		c.rng -= bound
		c.skip(bound)
		p -= p >> (seen + 1)
	}
	*e = estimate(p<<2 | min(seen+1, 3))
	for c.rng < 1<<24 {
		c.renew()
	}
	return b
}

// skip leaves out the lower part of the interval.
func (c *coder) skip(n uint32) {
	if c.reading {
		c.code -= n
	} else {
		c.low += uint64(n)
	}
}

func (c *coder) renew() {
	c.rng <<= 8
	if c.reading {
		c.code = c.code<<8 | c.next()
		return
	}
	if c.low < 0xff<<24 || c.low >= 1<<32 {
		carry := byte(c.low >> 32)
		for ; c.pending > 0; c.pending-- {
			c.data = append(c.data, c.held+carry)
			c.held = 0xff
		}
		c.held = byte(c.low >> 24)
	}
	c.pending++
	c.low = c.low << 8 & (1<<32 - 1)
}

// close ends writing and returns what was written: the number in the interval that has the most zeros at its end. Those are left
// out, since a reader finds zeros behind the end.
func (c *coder) close() []byte {
	for k := 31; k >= 0; k-- {
		zeros := uint64(1)<<k - 1
		if n := (c.low + zeros) &^ zeros; n < c.low+uint64(c.rng) {
			c.low = n
			break
		}
	}
	for range 5 {
		c.renew()
	}
	out := c.data[1:] // the first byte is what a carry out of the first interval would go to: none does
	for len(out) > 0 && out[len(out)-1] == 0 {
		out = out[:len(out)-1]
	}
	return out
}

// direct codes n bits that nothing is known about.
func (c *coder) direct(n int, v uint32) uint32 {
	var out uint32
	for i := n - 1; i >= 0; i-- {
		c.rng >>= 1
		b := v >> i & 1
		if c.reading {
			b = 0
			if c.code >= c.rng {
				b = 1
			}
		}
		if b != 0 {
			c.skip(c.rng)
		}
		if c.rng < 1<<24 {
			c.renew()
		}
		out = out<<1 | b
	}
	return out
}

// tree codes n bits, the highest first, each with an estimate of its own for what was above it. t has 2^n estimates.
func (c *coder) tree(t []estimate, n int, v uint32) uint32 {
	node := uint32(1)
	for i := n - 1; i >= 0; i-- {
		node = node<<1 | c.bit(&t[node], v>>i&1)
	}
	return node - 1<<n
}

// A number holds the estimates for numbers of a kind.
type number struct {
	length [64]estimate
	high   [44][4]estimate
	low    [4]estimate
}

// maxBits is how many bits of a number follow its leading one.
const maxBits = 43

// number codes v, below 2^maxBits: the length of v+1, then its bits behind the leading one. Of those, the upper two and the lower two have
// estimates.
func (c *coder) number(t *number, v int64) int64 {
	v++
	n := int(c.tree(t.length[:], 6, uint32(bits.Len64(uint64(v))-1)))
	if n > maxBits {
		return 1<<62 - 1 // more than anything that is allowed
	}
	out := int64(1)
	high := min(n, 2)
	out = out<<high | int64(c.tree(t.high[n][:], high, uint32(v>>(n-high))&(1<<high-1)))
	n -= high
	low := min(n, 2)
	for n > low {
		k := min(n-low, 16)
		n -= k
		out = out<<k | int64(c.direct(k, uint32(v>>n)&(1<<k-1)))
	}
	out = out<<low | int64(c.tree(t.low[:], low, uint32(v)&(1<<low-1)))
	return out - 1
}
