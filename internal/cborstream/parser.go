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
// SUIT wraps most of its parts in byte strings. Wrapped enters one: the child
// parser knows its place (errors name the byte in the outermost data, Offset
// the byte in the wrapped string), starts at its parent's depth and takes items from
// the same budget. So what an input may cost does not depend on how it is cut
// into layers. No allocation grows with a length that the input only claims, and a
// child needs none at all: all parsers of one input keep their place on one stack.
//
// The Append functions write the same subset; the order of map keys is theirs who
// call them.
package cborstream

import (
	"bytes"
	"encoding/binary"
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
// safe for concurrent use, nor are two parsers of one input.
type Parser struct {
	data  []byte
	pos   int
	base  int // of data[0] in the outermost data
	outer int // depth of the parents
	depth int // frames in use, from shared.stack[outer]
	*shared
	err error
}

// shared is what all parsers of one input have in common.
type shared struct {
	limit, items int // depth that is granted, items that are left
	stack        [MaxDepth]frame
	seen         map[string]struct{} // keys of the maps that Foreign is reading
	cose         bool                // see COSE
}

// A frame is an array, map or tag whose content is being read.
type frame struct {
	left             int32 // items to come; a map has two for each pair
	start            int32 // where it begins
	key              int32 // where the current key begins
	lastKey, lastEnd int32 // where the key before it was; lastEnd is 0 before the first
	isMap            bool
	tags             bool // a map that may have tagged keys
}

// New returns a parser of data, which it does not copy.
func New(data []byte, l Limits) *Parser {
	both := new(struct { // one allocation
		p Parser
		s shared
	})
	p := &both.p
	p.data, p.shared = data, &both.s
	p.limit, p.items = min(l.Depth, MaxDepth), l.Items
	if size := min(l.Size, math.MaxInt32); len(data) > size {
		p.fail(0, ErrLimit, "%d bytes, limit %d", len(data), size)
	}
	return p
}

// Offset is the place of the next item, in bytes from the start of this
// parser's own data.
func (p *Parser) Offset() int { return p.pos }

// Content returns all of this parser's own data, read or not.
func (p *Parser) Content() []byte { return p.data }

// Done reports an error unless every byte has been read and every array, map
// and tag is complete.
func (p *Parser) Done() error {
	if p.err != nil {
		return p.err
	}
	if p.depth != 0 {
		return p.fail(p.pos, ErrMalformed, "an array, map or tag is not complete")
	}
	if p.pos != len(p.data) {
		return p.fail(p.pos, ErrMalformed, "%d bytes left over", len(p.data)-p.pos)
	}
	return nil
}

// Wrapped reads a byte string and returns a parser of its content, which has
// not been looked at yet: it can be kept until the content is authenticated.
//
// The child is read to its end before its parent goes on, or after its parent's end;
// Within makes one that is read in another place.
func (p *Parser) Wrapped() (Parser, error) {
	outer := p.outer + p.depth
	b, err := p.Bytes()
	if err != nil {
		return Parser{}, err
	}
	return Parser{data: b, base: p.base + p.pos - len(b), outer: outer, shared: p.shared}, nil
}

// Within returns child, which has not been read and is of the same input, as if it stood
// where p is: it can be read now, although p is not at its end.
func (p *Parser) Within(child Parser) Parser {
	child.outer = p.outer + p.depth
	return child
}

// Raw reads one item with everything in it and returns its encoding, checked
// like any other.
func (p *Parser) Raw() ([]byte, error) {
	start, level := p.pos, p.depth
	for {
		if err := p.any(); err != nil {
			return nil, err
		}
		if p.depth <= level {
			return p.data[start:p.pos:p.pos], nil
		}
	}
}

// Foreign is Raw for an item by another specification: the keys of its maps can have any order.
// None may be repeated within its map.
func (p *Parser) Foreign() ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.seen = make(map[string]struct{})
	b, err := p.Raw()
	p.seen = nil
	return b, err
}

// Pair is a key and its value, both encoded.
type Pair struct{ Key, Value []byte }

// Pairs reads a map like Foreign and returns what is in it, in its order. Every item in it counts twice
// against the limit.
func (p *Parser) Pairs() ([]Pair, error) {
	kind, err := p.Peek()
	if err != nil {
		return nil, err
	}
	if kind != Map {
		return nil, p.fail(p.pos, ErrMalformed, "expected %v, seen %v", Map, kind)
	}
	start, outer := p.pos, p.outer+p.depth
	b, err := p.Foreign()
	if err != nil {
		return nil, err
	}
	in := Parser{data: b, base: p.base + start, outer: outer, shared: p.shared}
	n, err := in.argument(0)
	if err != nil {
		return nil, err
	}
	pairs := make([]Pair, n) // as many as have just been read
	for i := range pairs {
		if pairs[i].Key, err = in.Foreign(); err == nil {
			pairs[i].Value, err = in.Foreign()
		}
		if err != nil {
			p.err = err
			return nil, err
		}
	}
	return pairs, nil
}

// COSE sets the rules of COSE for this input: heads need not be the shortest, there are no tags, map keys are integers
// or strings, and an array that claims more items than the limit has left is ErrLimit, even if it is cut short. It is
// for Foreign and Pairs, which tell keys apart by their values.
func (p *Parser) COSE() { p.cose = true }

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
		_, err = p.Text()
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

// done ends an item: it counts in the frame around it, which may end too.
func (p *Parser) done() error {
	for p.depth > 0 {
		f := &p.stack[p.outer+p.depth-1]
		f.left--
		if f.isMap && f.left%2 == 1 {
			if err := p.checkKey(f); err != nil {
				return err
			}
		}
		if f.left > 0 {
			return nil
		}
		p.depth--
	}
	return nil
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

// checkForeignKey looks for the key just read among those of the same map, which its
// place tells from other maps.
func (p *Parser) checkForeignKey(f *frame) error {
	id := binary.BigEndian.AppendUint32(nil, uint32(f.start))
	key := Parser{data: p.data[f.key:p.pos], shared: p.shared}
	arg, err := key.argument(0)
	if err != nil {
		return err
	}
	id = appendHead(id, Kind(key.data[0]>>5), arg) // the shortest
	id = append(id, key.data[key.pos:]...)
	if _, again := p.seen[string(id)]; again {
		return p.fail(int(f.key), ErrMalformed, "map key repeated")
	}
	p.seen[string(id)] = struct{}{}
	return nil
}

// push enters an array, map or tag of n items; n has been checked against the
// bytes that are there.
func (p *Parser) push(start, n int, isMap bool) error {
	if p.outer+p.depth >= p.limit {
		return p.fail(start, ErrLimit, "nesting deeper than %d", p.limit)
	}
	if n == 0 {
		return p.done()
	}
	f := &p.stack[p.outer+p.depth]
	f.left, f.start, f.lastEnd, f.isMap, f.tags = int32(n), int32(start), 0, isMap, false
	p.depth++
	return nil
}

func (p *Parser) fail(at int, class error, format string, args ...any) error {
	p.err = &Error{Offset: p.base + at, What: fmt.Sprintf(format, args...), Err: class}
	return p.err
}
