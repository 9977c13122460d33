// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cborstream reads and writes the deterministic subset of CBOR that
// SUIT uses (RFC 8949, core deterministic encoding, section 4.2.1).
//
// A Parser pulls one item after the other out of a byte slice. It accepts
// exactly one encoding of each value: shortest heads, definite lengths, map
// keys sorted by their encoded bytes and different from each other. These
// checks are made while reading, so a caller cannot forget them. Floating
// point, undefined, other simple values and bignums are refused.
//
// Array and Tag begin something that End ends; Map returns Entries, which go through the pairs and end with them. A
// Parser is not Done before all have ended.
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
	"fmt"
	"math"
)

// MaxDepth is the largest depth that Limits can grant, and the largest number of parts around one item.
const MaxDepth = 32

// Limits bound what one input can cost. All three must be positive; a zero
// limit grants nothing.
type Limits struct {
	Size  int // bytes of the outermost data, at most 2^31-1
	Depth int // nesting of arrays, maps and tags over all layers, at most MaxDepth
	Items int // data items over all layers, those of an array or a map when it begins
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
	pos   int    // of the next item, the end after an error; this and all other places count from the start of the outermost data
	base  int    // where the part begins
	items int    // that are left, without those of arrays, maps, tags and parts that have begun

	level int // arrays, maps and tags around the next item
	floor int // likewise around the part
	limit int // of level
	parts int // around the next item, since New or Resume

	cose bool // see NewCOSE
	err  error
}

// New returns a parser of data, which it does not copy.
func New(data []byte, l Limits) *Parser {
	p := new(Parser)
	p.init(data, l)
	return p
}

func (p *Parser) init(data []byte, l Limits) {
	p.data, p.items, p.limit = data, l.Items, min(l.Depth, MaxDepth)
	if size := min(l.Size, math.MaxInt32); len(data) > size {
		p.fail(0, ErrLimit, "%d bytes, limit %d", len(data), size)
		return
	}
	if p.items--; p.items < 0 {
		p.fail(0, ErrLimit, "too many items")
	}
}

// Offset is the place of the next item, in bytes from the start of the part
// that is being read.
func (p *Parser) Offset() int { return p.pos - p.base }

// Done reports an error unless every byte has been read and every array, map
// and tag has ended.
func (p *Parser) Done() error {
	if p.err == nil && p.level == p.floor && p.pos == len(p.data) {
		return nil
	}
	return p.notDone()
}

func (p *Parser) notDone() error {
	if p.err != nil {
		return p.err
	}
	if p.level != p.floor {
		return p.fail(p.pos, ErrMalformed, "an array, map or tag is not complete")
	}
	return p.fail(p.pos, ErrMalformed, "%d bytes left over", len(p.data)-p.pos)
}

// begin enters the array, map or tag at at, of n items, unless that is too much.
func (p *Parser) begin(at, n int) error {
	if p.level >= p.limit {
		return p.fail(at, ErrLimit, "nesting deeper than %d", p.limit)
	}
	if n > p.items {
		return p.fail(at, ErrLimit, "too many items")
	}
	p.level++
	p.items -= n
	return nil
}

// End ends the array or tag that began last; all of its items have been read.
func (p *Parser) End() { p.level-- }

// fail makes every further call fail: where it looks for an item, there is none. The first error stays.
func (p *Parser) fail(at int, class error, format string, args ...any) error {
	if p.err != nil {
		return p.err
	}
	p.err = &Error{Offset: at, What: fmt.Sprintf(format, args...), Err: class}
	p.pos = len(p.data)
	return p.err
}
