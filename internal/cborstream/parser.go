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
// SUIT wraps most of its parts in byte strings. Part passes one over and Enter goes on in it: errors
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

// MaxDepth is the largest depth that Limits can grant.
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
	start int    // where the item being read began
	items int    // that are left

	around frame // of the next item
	level  int   // nesting of the next item; of the frames around it all but the last are in stack
	floor  int   // level at which the part began
	limit  int   // of level
	stack  [MaxDepth]frame

	seen map[string]struct{} // keys of the maps that Foreign is reading
	cose bool                // see COSE
	err  error
}

// A frame is an array, map or tag whose content is being read, or a part.
type frame struct {
	left             int32 // items to come; a map has two for each pair
	start            int32 // where it begins
	key              int32 // where the current key begins
	lastKey, lastEnd int32 // where the key before it was; lastEnd is 0 before the first
	isMap, atKey     bool  // a map; a map whose next item is a key
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
	p.around.left = math.MaxInt32
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
		_, err = p.scalar(kind)
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

// done ends an item: it counts in the frame around it.
func (p *Parser) done() error {
	p.around.left--
	if p.around.left > 0 && !p.around.isMap {
		return nil
	}
	return p.counted()
}

// counted looks after an item has been counted: a map has a new key, or a frame has
// ended, which ends an item of the frame around it.
func (p *Parser) counted() error {
	for {
		f := &p.around
		if f.isMap {
			f.atKey = f.left%2 == 0
			if !f.atKey {
				return p.checkKey(f)
			}
		}
		if f.left > 0 {
			return nil
		}
		p.level--
		p.around = p.stack[p.level]
		p.around.left--
	}
}

// checkKey compares the key just read with the one before it.
func (p *Parser) checkKey(f *frame) error {
	if p.seen != nil {
		return p.checkForeignKey(f)
	}
	if f.lastEnd > 0 {
		switch bytes.Compare(p.data[f.lastKey:f.lastEnd], p.data[f.key:p.pos]) {
		case 0:
			return p.fail(int(f.key), ErrMalformed, "map key repeated")
		case 1:
			return p.fail(int(f.key), ErrNotCanonical, "map keys not sorted")
		}
	}
	f.lastKey, f.lastEnd = f.key, int32(p.pos)
	return nil
}

// push enters an array, map or tag of n items; n has been checked against the
// bytes that are there.
func (p *Parser) push(n int, isMap bool) error {
	if p.level >= p.limit {
		return p.fail(p.start, ErrLimit, "nesting deeper than %d", p.limit)
	}
	if n == 0 {
		return p.done()
	}
	p.stack[p.level] = p.around
	p.level++
	p.around = frame{left: int32(n), start: int32(p.start), isMap: isMap, atKey: isMap}
	return nil
}

// fail makes every further call fail; without items none goes on.
func (p *Parser) fail(at int, class error, format string, args ...any) error {
	p.err = &Error{Offset: at, What: fmt.Sprintf(format, args...), Err: class}
	p.items = 0
	return p.err
}
