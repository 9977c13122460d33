// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cborstream reads and writes the deterministic subset of CBOR that
// SUIT uses (RFC 8949, core deterministic encoding, section 4.2.1).
//
// A Parser pulls one item after the other out of a byte slice. It accepts
// exactly one encoding of each value: shortest heads, definite lengths, map
// keys sorted by their encoded bytes and different from each other. These
// checks are made while reading, so a caller cannot forget them. Floating
// point, undefined, other simple values and bignums are refused, as are maps
// with keys that are not integers, strings or arrays.
//
// SUIT wraps most of its parts in byte strings. Enter goes on in one and Leave comes back; errors
// name the byte in the outermost data, Offset the byte in the wrapped string, depth goes on from where the
// string stands, and items come from the same budget. So what an input may cost does not depend on how it is cut
// into layers. A Parser allocates nothing, unless it reads Foreign items, and can live on the stack.
//
// The Append functions write the same subset; the order of map keys is theirs who
// call them.
package cborstream

import (
	"bytes"
	"fmt"
	"math"
)

// MaxDepth is the largest depth that Limits can grant, and the largest number of arrays, maps, tags and parts
// around one item.
const MaxDepth = 32

// Limits bound what one input can cost. All three must be positive; a zero
// limit grants nothing.
type Limits struct {
	Size  int // bytes of the outermost data, at most 2^31-1
	Depth int // nesting of arrays, maps and tags over all layers, at most MaxDepth
	Items int // data items over all layers, each head counted once
}

// Kind is the type of a data item.
type Kind uint8

// The kinds that a Parser can read.
const (
	Uint  Kind = iota // major type 0
	Nint              // major type 1
	Bytes             // major type 2
	Text              // major type 3
	Array             // major type 4
	Map               // major type 5
	Tag               // major type 6
	Bool              // false or true
	Nil               // nil
)

var kindNames = [...]string{"unsigned integer", "negative integer", "byte string", "text string",
	"array", "map", "tag", "boolean", "nil"}

// String returns the kind in words.
func (k Kind) String() string { return kindNames[k] }

// Parser reads items one after the other. After the first error every call
// returns that error. A Parser must not be copied once it has read anything, and is not
// safe for concurrent use.
type Parser struct {
	data  []byte // to the end of the part that is being read
	pos   int    // of the next item; this and all other places count from the start of the outermost data
	base  int    // where the part begins
	items int    // that are left

	level  int // nesting of the next item, without parts
	floor  int // level at which the part began
	limit  int // of level
	frames int // around the outermost one
	stack  [1 + MaxDepth]frame

	foreign bool                // Foreign is reading
	seen    map[string]struct{} // keys of its maps, nil before the first
	cose    bool                // see NewCOSE
	err     error
}

// A frame is an array, map or tag whose content is being read, or a part.
type frame struct {
	left             int32 // items to come; a map has two for each pair
	item             int32 // where the latest item in it begins
	lastKey, lastEnd int32 // where a map's latest key is; lastEnd is 0 before the first
	pairs            int32 // 1 in a map, otherwise 0: left&pairs is 1 when a key has been read
	tags             bool  // a map that may have tagged keys
}

// New returns a parser of data, which it does not copy.
func New(data []byte, l Limits) *Parser {
	p := new(Parser)
	p.init(data, l)
	return p
}

func (p *Parser) init(data []byte, l Limits) {
	p.data, p.items, p.limit = data, l.Items, min(l.Depth, MaxDepth)
	p.stack[0].left = math.MaxInt32
	if size := min(l.Size, math.MaxInt32); len(data) > size {
		p.fail(0, ErrLimit, "%d bytes, limit %d", len(data), size)
	}
}

// Offset is the place of the next item, in bytes from the start of the part
// that is being read.
func (p *Parser) Offset() int { return p.pos - p.base }

// Done reports an error unless every byte has been read and every array, map
// and tag is complete.
func (p *Parser) Done() error {
	if p.err != nil {
		return p.err
	}
	if p.level != p.floor {
		return p.fail(p.pos, ErrMalformed, "an array, map or tag is not complete")
	}
	if p.pos != len(p.data) {
		return p.fail(p.pos, ErrMalformed, "%d bytes left over", len(p.data)-p.pos)
	}
	return nil
}

// Raw reads one item with everything in it and returns its encoding, checked
// like any other.
func (p *Parser) Raw() ([]byte, error) {
	start, level := p.pos, p.level
	for {
		if err := p.any(); err != nil {
			return nil, err
		}
		if p.level <= level {
			return p.data[start:p.pos:p.pos], nil
		}
	}
}

// any reads one head and, of a string, its content.
func (p *Parser) any() error {
	kind, err := p.Peek()
	if err != nil {
		return err
	}
	switch kind {
	case Uint, Nint:
		_, err = p.integer(kind)
	case Bytes:
		_, err = p.Bytes()
	case Text:
		_, err = p.content(Text)
	case Array:
		_, err = p.Array()
	case Map:
		_, err = p.Map()
	case Tag:
		_, err = p.Tag()
	case Bool:
		_, err = p.Bool()
	case Nil:
		err = p.Nil()
	}
	return err
}

// around is the frame of the next item.
func (p *Parser) around() *frame { return &p.stack[p.frames] }

// done ends an item of f, the frame around it.
func (p *Parser) done(f *frame) error {
	f.left--
	if f.left > 0 && f.left&f.pairs == 0 {
		return nil
	}
	return p.counted(f)
}

// counted looks after an item of f has been counted that was a key, or the last of its frame, which
// ends an item of the frame around that.
func (p *Parser) counted(f *frame) error {
	for f.left == 0 {
		p.level--
		p.frames--
		f = &p.stack[p.frames]
		f.left--
	}
	if f.left&f.pairs == 0 {
		return nil
	}
	if p.pos == int(f.item)+1 && f.lastEnd == f.lastKey+1 && p.data[f.lastKey] < p.data[f.item] && !p.foreign {
		f.lastKey, f.lastEnd = f.item, f.item+1 // as most: both are one byte
		return nil
	}
	return p.checkKey(f)
}

// checkKey compares the key just read with the one before it.
func (p *Parser) checkKey(f *frame) error {
	if p.foreign {
		return p.checkForeignKey(f)
	}
	if f.lastEnd > 0 {
		switch bytes.Compare(p.data[f.lastKey:f.lastEnd], p.data[f.item:p.pos]) {
		case 0:
			return p.fail(int(f.item), ErrMalformed, "map key repeated")
		case 1:
			return p.fail(int(f.item), ErrNotCanonical, "map keys not sorted")
		}
	}
	f.lastKey, f.lastEnd = f.item, int32(p.pos)
	return nil
}

// push enters an array, map or tag of n items; n has been checked against the
// bytes that are there.
func (p *Parser) push(n int, pairs int32) error {
	if p.level >= p.limit || p.frames == MaxDepth {
		return p.fail(int(p.around().item), ErrLimit, "nesting deeper than %d", p.limit)
	}
	if n == 0 {
		return p.done(p.around())
	}
	p.level++
	p.enter(int32(n), pairs)
	return nil
}

// enter makes a frame, for which there is room.
func (p *Parser) enter(n, pairs int32) {
	p.frames++
	f := &p.stack[p.frames]
	f.left, f.pairs, f.tags, f.lastKey, f.lastEnd = n, pairs, false, 0, 0
}

// fail makes every further call fail; without items none goes on.
func (p *Parser) fail(at int, class error, format string, args ...any) error {
	p.err = &Error{Offset: at, What: fmt.Sprintf(format, args...), Err: class}
	p.items = 0
	return p.err
}
