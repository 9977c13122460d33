// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import "math"

// Outer is where a Parser was when it entered a part: a byte string whose content is CBOR, too.
type Outer struct{ end, base, floor int32 }

// Enter reads the head of a byte string and goes on in its content. Leave goes back. Parts count as
// nesting up to MaxDepth, but not in Limits.
func (p *Parser) Enter() (Outer, error) {
	n, _, err := p.length(Bytes)
	if err != nil {
		return Outer{}, err
	}
	if p.frames == MaxDepth {
		return Outer{}, p.fail(int(p.around().item), ErrLimit, "nesting deeper than %d", MaxDepth)
	}
	o := Outer{int32(len(p.data)), int32(p.base), int32(p.floor)}
	p.enter(math.MaxInt32, 0)
	p.data, p.base, p.floor = p.data[:p.pos+n], p.pos, p.level
	return o, nil
}

// Leave returns to what is around the part that the latest Enter began, unless the part is not Done.
func (p *Parser) Leave(o Outer) error {
	if err := p.Done(); err != nil {
		return err
	}
	p.data, p.base, p.floor = p.data[:o.end], int(o.base), int(o.floor)
	p.frames--
	return p.done(p.around())
}

// A Part is the content of a byte string that has been passed over and not looked at: it can be kept until
// it is authenticated. It is of use to the Parser that returned it only.
type Part struct{ start, end, level int32 }

// End is the place after the byte string, in bytes from the start of the outermost data.
func (part Part) End() int { return int(part.end) }

// Part reads a byte string, for Resume.
func (p *Parser) Part() (Part, error) {
	level := p.level
	b, err := p.Bytes()
	return Part{int32(p.pos - len(b)), int32(p.pos), int32(level)}, err
}

// Resume goes on in part, as deep in the nesting as its byte string is. It is for a Parser that is Done, and
// that has nothing else to read until it is Done again.
func (p *Parser) Resume(part Part) {
	p.data, p.pos, p.base = p.data[:part.end], int(part.start), int(part.start)
	p.level, p.floor = int(part.level), int(part.level)
	p.frames, p.stack[0] = 0, frame{left: math.MaxInt32}
}

// Content returns all of the part that is being read, read already or not.
func (p *Parser) Content() []byte { return p.data[p.base:len(p.data):len(p.data)] }
