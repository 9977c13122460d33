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
	kind, ok := KindOf(p.data[p.pos])
	if !ok {
		return 0, p.fail(p.pos, ErrMalformed, "simple or floating-point value 0x%02x", p.data[p.pos])
	}
	return kind, nil
}

// KindOf returns the kind of an item by its first byte. It is not ok for what a Parser does not read.
func KindOf(first byte) (kind Kind, ok bool) {
	if major := first >> 5; major != majorSimple {
		return Kind(major), true
	}
	switch first & 31 {
	case simpleFalse, simpleTrue:
		return Bool, true
	case simpleNil:
		return Nil, true
	}
	return 0, false
}

// short reads the head of the next item if it is one byte of the major type of want, as most are, and
// returns the frame around the item, for done. Otherwise that is nil.
func (p *Parser) short(want Kind) (arg uint64, f *frame) {
	if at := p.pos; at < len(p.data) && p.items > 0 {
		if first := p.data[at]; Kind(first>>5) == want && first&31 < 24 {
			f = &p.stack[p.frames]
			f.item = int32(at)
			p.pos = at + 1
			p.items--
			return uint64(first & 31), f
		}
	}
	return 0, nil
}

// medium is short for a head of two bytes.
func (p *Parser) medium(want Kind) (arg uint64, f *frame) {
	if at := p.pos; at+1 < len(p.data) && p.items > 0 {
		if arg := p.data[at+1]; p.data[at] == byte(want)<<5|24 && arg >= 24 {
			f = &p.stack[p.frames]
			f.item = int32(at)
			p.pos = at + 2
			p.items--
			return uint64(arg), f
		}
	}
	return 0, nil
}

// head reads the head of the next item, which must be of kind want, and returns
// its argument. The caller ends the item.
func (p *Parser) head(want Kind) (uint64, error) {
	kind, err := p.Peek()
	if err != nil {
		return 0, err
	}
	if kind != want {
		return 0, p.fail(p.pos, ErrMalformed, "expected %v, seen %v", want, kind)
	}
	if p.items <= 0 {
		return 0, p.fail(p.pos, ErrLimit, "too many items")
	}
	p.items--
	p.around().item = int32(p.pos)
	arg, next, err := p.argument(p.pos)
	p.pos = next
	return arg, err
}

// notKey refuses the item just begun if it stands where a map has a key.
func (p *Parser) notKey(kind Kind) error {
	if f := p.around(); f.pairs == 1 && f.left%2 == 0 {
		return p.fail(int(f.item), ErrMalformed, "%v as map key", kind)
	}
	return nil
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

// Uint reads an unsigned integer.
func (p *Parser) Uint() (uint64, error) {
	if arg, f := p.short(Uint); f != nil {
		return arg, p.done(f)
	}
	return p.integer(Uint)
}

func (p *Parser) integer(kind Kind) (uint64, error) {
	arg, err := p.head(kind)
	if err != nil {
		return 0, err
	}
	return arg, p.done(p.around())
}

// Int reads an integer that fits in 64 bits with its sign.
func (p *Parser) Int() (int64, error) {
	if arg, f := p.short(Uint); f != nil {
		return int64(arg), p.done(f)
	}
	if arg, f := p.short(Nint); f != nil {
		return ^int64(arg), p.done(f)
	}
	return p.longInt()
}

func (p *Parser) longInt() (int64, error) {
	at, kind := p.pos, Uint
	if at < len(p.data) && Kind(p.data[at]>>5) == Nint {
		kind = Nint
	}
	arg, err := p.integer(kind)
	if err != nil {
		return 0, err
	}
	if arg > math.MaxInt64 {
		return 0, p.fail(at, ErrMalformed, "integer does not fit in 64 bits")
	}
	if kind == Nint {
		return ^int64(arg), nil
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

// TextBytes is Text without a copy. The result is part of the parser's data.
func (p *Parser) TextBytes() ([]byte, error) { return p.content(Text) }

func (p *Parser) content(kind Kind) ([]byte, error) {
	n, f, err := p.length(kind)
	if err != nil {
		return nil, err
	}
	end := p.pos + n
	b := p.data[p.pos:end:end]
	if kind == Text && !utf8.Valid(b) {
		return nil, p.fail(int(f.item), ErrMalformed, "text is not UTF-8")
	}
	p.pos = end
	return b, p.done(f)
}

// length reads the head of a string, and returns the length of what follows.
func (p *Parser) length(kind Kind) (int, *frame, error) {
	n, f := p.short(kind)
	if f == nil {
		n, f = p.medium(kind)
	}
	if f == nil {
		var err error
		if n, err = p.head(kind); err != nil {
			return 0, nil, err
		}
		f = p.around()
	}
	if n > uint64(len(p.data)-p.pos) {
		return 0, nil, p.fail(int(f.item), ErrMalformed, "%v of %d bytes, seen %d", kind, n, len(p.data)-p.pos)
	}
	return int(n), f, nil
}

// Array enters an array and returns how many items it has.
func (p *Parser) Array() (int, error) {
	n, f := p.short(Array)
	if f == nil {
		var err error
		if n, err = p.head(Array); err != nil {
			return 0, err
		}
		f = p.around()
	}
	if p.cose {
		if err := p.notKey(Array); err != nil {
			return 0, err
		}
		if n > uint64(p.items) {
			return 0, p.fail(int(f.item), ErrLimit, "array of %d items, %d left", n, p.items)
		}
	}
	// Every item takes a byte at least.
	if n > uint64(len(p.data)-p.pos) {
		return 0, p.fail(int(f.item), ErrMalformed, "array of %d items in %d bytes", n, len(p.data)-p.pos)
	}
	return int(n), p.push(int(n), 0)
}

// Map enters a map and returns how many pairs it has. Keys are checked for
// order and repetition as they are read.
func (p *Parser) Map() (int, error) {
	n, f := p.short(Map)
	if f == nil {
		var err error
		if n, err = p.head(Map); err != nil {
			return 0, err
		}
		f = p.around()
	}
	if err := p.notKey(Map); err != nil {
		return 0, err
	}
	if n > uint64(len(p.data)-p.pos)/2 {
		return 0, p.fail(int(f.item), ErrMalformed, "map of %d pairs in %d bytes", n, len(p.data)-p.pos)
	}
	return int(n), p.push(2*int(n), 1)
}

// TaggedMap is Map for one whose keys may be tagged.
func (p *Parser) TaggedMap() (int, error) {
	n, err := p.Map()
	if err == nil && n > 0 {
		p.around().tags = true
	}
	return n, err
}

// Tag reads a tag number; the next item is the tag's content.
func (p *Parser) Tag() (uint64, error) {
	n, err := p.head(Tag)
	if err != nil {
		return 0, err
	}
	if !p.around().tags {
		if err := p.notKey(Tag); err != nil {
			return 0, err
		}
	}
	at := int(p.around().item)
	if p.cose {
		return 0, p.fail(at, ErrMalformed, "tag %d, expected none", n)
	}
	if n == 2 || n == 3 {
		return 0, p.fail(at, ErrNotCanonical, "bignum")
	}
	return n, p.push(1, 0)
}

// Bool reads a boolean.
func (p *Parser) Bool() (bool, error) {
	arg, err := p.simple(Bool)
	return arg == simpleTrue, err
}

// Nil reads nil.
func (p *Parser) Nil() error {
	_, err := p.simple(Nil)
	return err
}

func (p *Parser) simple(kind Kind) (uint64, error) {
	arg, err := p.head(kind)
	if err != nil {
		return 0, err
	}
	if err := p.notKey(kind); err != nil {
		return 0, err
	}
	return arg, p.done(p.around())
}
