// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import "math/bits"

// A coder is the writing half of a binary range coder; decoder is the other one.
type coder struct {
	data    []byte // written so far
	rng     uint32
	low     uint64 // the lower end of the interval, and a carry
	held    byte   // the last byte, which a carry may still change
	pending int    // how many bytes are held, those behind the first being ff
}

// An estimate is the probability that a decision is a one, of 2^14, in the upper 14 bits, and below them how many decisions it
// has seen, at most 3.
type estimate uint16

const even estimate = 1 << 15 // knows nothing yet

func (e estimate) ones() uint32 { return uint32(e) >> 2 }

func (e estimate) afterOne() estimate {
	p, seen := uint32(e)>>2, uint32(e)&3
	return estimate((p+(1<<14-p)>>(seen+1))<<2 | min(seen+1, 3))
}

func (e estimate) afterZero() estimate {
	p, seen := uint32(e)>>2, uint32(e)&3
	return estimate((p-p>>(seen+1))<<2 | min(seen+1, 3))
}

func (c *coder) write(out []byte) { *c = coder{data: out, rng: 1<<32 - 1, pending: 1} }

// bit codes one decision.
func (c *coder) bit(e *estimate, b uint32) {
	bound := c.rng >> 14 * e.ones()
	if b != 0 {
		c.rng, *e = bound, e.afterOne()
	} else {
		c.rng, *e = c.rng-bound, e.afterZero()
		c.low += uint64(bound)
	}
	for c.rng < 1<<24 {
		c.renew()
	}
}

func (c *coder) renew() {
	c.rng <<= 8
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

// direct codes the lower n bits of v, which nothing is known about.
func (c *coder) direct(n int, v int64) {
	for i := n - 1; i >= 0; i-- {
		c.rng >>= 1
		if v>>i&1 != 0 {
			c.low += uint64(c.rng)
		}
		if c.rng < 1<<24 {
			c.renew()
		}
	}
}

// tree codes n bits, the highest first, each with an estimate of its own for what was above it. t has 2^n estimates.
func (c *coder) tree(t []estimate, n int, v uint32) {
	node := uint32(1)
	for i := n - 1; i >= 0; i-- {
		b := v >> i & 1
		c.bit(&t[node], b)
		node = node<<1 | b
	}
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
func (c *coder) number(t *number, v int64) {
	v++
	n := bits.Len64(uint64(v)) - 1
	high := min(n, 2)
	low := min(n-high, 2)
	c.tree(t.length[:], 6, uint32(n))
	if n > maxBits {
		return // readers refuse it here
	}
	c.tree(t.high[n][:], high, uint32(v>>(n-high)))
	c.direct(n-high-low, v>>low)
	c.tree(t.low[:], low, uint32(v))
}
