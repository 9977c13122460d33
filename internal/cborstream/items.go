// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import (
	"math"
	"unicode/utf8"
)

// Major types and the additional information of major type 7.
const (
	majorSimple = 7

	simpleFalse = 20
	simpleTrue  = 21
	simpleNil   = 22
)

// Peek returns the kind of the next item without reading it.
func (p *Parser) Peek() (Kind, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.pos >= len(p.data) {
		return 0, p.fail(p.pos, ErrMalformed, "expected an item, seen the end")
	}
	first := p.data[p.pos]
	if major := first >> 5; major != majorSimple {
		return Kind(major), nil
	}
	switch first & 31 {
	case simpleFalse, simpleTrue:
		return Bool, nil
	case simpleNil:
		return Nil, nil
	}
	return 0, p.fail(p.pos, ErrMalformed, "simple or floating-point value 0x%02x", first)
}

// head reads the head of the next item, which must be of kind want, and returns
// its argument. The caller ends the item.
//
// Most heads are short and no map keys; all else is for checkedHead.
func (p *Parser) head(want Kind) (uint64, error) {
	if at := p.pos; at < len(p.data) && p.items > 0 && !p.around.atKey && p.data[at]>>5 == byte(want) && want < Bool {
		if arg := p.data[at] & 31; arg < 24 {
			p.start, p.pos = at, at+1
			p.items--
			return uint64(arg), nil
		}
	}
	return p.checkedHead(want)
}

func (p *Parser) checkedHead(want Kind) (uint64, error) {
	kind, err := p.Peek()
	if err != nil {
		return 0, err
	}
	p.start = p.pos
	if kind != want {
		return 0, p.fail(p.start, ErrMalformed, "expected %v, seen %v", want, kind)
	}
	if p.items <= 0 {
		return 0, p.fail(p.start, ErrLimit, "too many items")
	}
	p.items--
	if f := &p.around; f.atKey {
		if kind == Map || kind == Bool || kind == Nil || (kind == Tag && !f.tags) || (kind == Array && p.cose) {
			return 0, p.fail(p.start, ErrMalformed, "%v as map key", kind)
		}
		f.key = int32(p.start)
	}
	arg, next, err := p.argument(p.start)
	p.pos = next
	return arg, err
}

// argument reads the first byte of a head and the up to eight bytes that follow it.
func (p *Parser) argument(at int) (arg uint64, next int, err error) {
	info := p.data[at] & 31
	next = at + 1
	if info < 24 {
		return uint64(info), next, nil
	}
	if kind := Kind(p.data[at] >> 5); info == 31 && Bytes <= kind && kind <= Map {
		return 0, next, p.fail(at, ErrNotCanonical, "%v of indefinite length", kind)
	}
	if info > 27 {
		return 0, next, p.fail(at, ErrMalformed, "reserved additional information %d", info)
	}
	width := 1 << (info - 24)
	if len(p.data)-next < width {
		return 0, next, p.fail(at, ErrMalformed, "expected %d bytes of head, seen %d", width, len(p.data)-next)
	}
	for _, b := range p.data[next : next+width] {
		arg = arg<<8 | uint64(b)
	}
	if shortest := [...]uint64{24, 1 << 8, 1 << 16, 1 << 32}[info-24]; arg < shortest && !p.cose {
		return 0, next, p.fail(at, ErrNotCanonical, "%d in %d bytes", arg, width)
	}
	return arg, next + width, nil
}

// scalar reads an item that is nothing but its head.
func (p *Parser) scalar(kind Kind) (uint64, error) {
	arg, err := p.head(kind)
	if err != nil {
		return 0, err
	}
	return arg, p.done()
}

// Uint reads an unsigned integer.
func (p *Parser) Uint() (uint64, error) { return p.scalar(Uint) }

// Int reads an integer that fits in 64 bits with its sign.
func (p *Parser) Int() (int64, error) {
	kind := Uint
	if p.pos < len(p.data) && p.data[p.pos]>>5 == byte(Nint) {
		kind = Nint
	}
	arg, err := p.scalar(kind)
	if err != nil {
		return 0, err
	}
	if arg > math.MaxInt64 {
		return 0, p.fail(p.start, ErrMalformed, "integer does not fit in 64 bits")
	}
	if kind == Nint {
		return -1 - int64(arg), nil
	}
	return int64(arg), nil
}

// Bytes reads a byte string. The result is part of the parser's data.
func (p *Parser) Bytes() ([]byte, error) { return p.content(Bytes) }

// Text reads a text string: valid UTF-8, otherwise unrestricted.
func (p *Parser) Text() (string, error) {
	b, err := p.content(Text)
	return string(b), err
}

func (p *Parser) content(kind Kind) ([]byte, error) {
	n, err := p.head(kind)
	if err != nil {
		return nil, err
	}
	if n > uint64(len(p.data)-p.pos) {
		return nil, p.fail(p.start, ErrMalformed, "%v of %d bytes, seen %d", kind, n, len(p.data)-p.pos)
	}
	end := p.pos + int(n)
	b := p.data[p.pos:end:end]
	if kind == Text && !utf8.Valid(b) {
		return nil, p.fail(p.start, ErrMalformed, "text is not UTF-8")
	}
	p.pos = end
	return b, p.done()
}

// Array enters an array and returns how many items it has.
func (p *Parser) Array() (int, error) {
	n, err := p.head(Array)
	if err != nil {
		return 0, err
	}
	if p.cose && n > uint64(p.items) {
		return 0, p.fail(p.start, ErrLimit, "array of %d items, %d left", n, p.items)
	}
	// Every item takes a byte at least.
	if n > uint64(len(p.data)-p.pos) {
		return 0, p.fail(p.start, ErrMalformed, "array of %d items in %d bytes", n, len(p.data)-p.pos)
	}
	return int(n), p.push(int(n), false)
}

// Map enters a map and returns how many pairs it has. Keys are checked for
// order and repetition as they are read.
func (p *Parser) Map() (int, error) {
	n, err := p.head(Map)
	if err != nil {
		return 0, err
	}
	if n > uint64(len(p.data)-p.pos)/2 {
		return 0, p.fail(p.start, ErrMalformed, "map of %d pairs in %d bytes", n, len(p.data)-p.pos)
	}
	return int(n), p.push(2*int(n), true)
}

// TaggedMap is Map for one whose keys may be tagged.
func (p *Parser) TaggedMap() (int, error) {
	n, err := p.Map()
	if err == nil && n > 0 {
		p.around.tags = true
	}
	return n, err
}

// Tag reads a tag number; the next item is the tag's content.
func (p *Parser) Tag() (uint64, error) {
	n, err := p.head(Tag)
	if err != nil {
		return 0, err
	}
	if p.cose {
		return 0, p.fail(p.start, ErrMalformed, "tag %d, expected none", n)
	}
	if n == 2 || n == 3 {
		return 0, p.fail(p.start, ErrNotCanonical, "bignum")
	}
	return n, p.push(1, false)
}

// Bool reads a boolean.
func (p *Parser) Bool() (bool, error) {
	arg, err := p.scalar(Bool)
	return arg == simpleTrue, err
}

// Nil reads nil.
func (p *Parser) Nil() error {
	_, err := p.scalar(Nil)
	return err
}
