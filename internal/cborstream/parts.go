// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import "math"

// A Part is the content of a byte string, which is CBOR too. It has been passed over and not
// looked at: it can be kept until it is authenticated. It is of use to the Parser that returned it only.
type Part struct {
	start, end int
	level      int // nesting of the byte string
}

// Part reads a byte string, for Enter.
func (p *Parser) Part() (Part, error) {
	level := p.level
	b, err := p.Bytes()
	return Part{start: p.pos - len(b), end: p.pos, level: level}, err
}

// Outer is where a Parser was when it entered a part.
type Outer struct {
	around         frame
	end, pos, base int
	level, floor   int
}

// Enter goes on in part. Leave goes back.
func (p *Parser) Enter(part Part) Outer {
	o := Outer{around: p.around, end: len(p.data), pos: p.pos, base: p.base, level: p.level, floor: p.floor}
	p.data, p.pos, p.base = p.data[:part.end], part.start, part.start
	p.level, p.floor = part.level, part.level
	p.around = frame{left: math.MaxInt32}
	return o
}

// Within is Enter for a part from another place, as if it stood here.
func (p *Parser) Within(part Part) Outer {
	part.level = p.level
	return p.Enter(part)
}

// Leave returns to where Enter or Within was called, unless the part is not Done.
func (p *Parser) Leave(o Outer) error {
	if err := p.Done(); err != nil {
		return err
	}
	p.data, p.pos, p.base = p.data[:o.end], o.pos, o.base
	p.level, p.floor, p.around = o.level, o.floor, o.around
	return nil
}

// Content returns all of the part that is being read, read already or not.
func (p *Parser) Content() []byte { return p.data[p.base:len(p.data):len(p.data)] }
