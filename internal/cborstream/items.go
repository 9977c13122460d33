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

// Is reports whether the next item is of kind. If there is none it is false; reading it will be the error.
func (p *Parser) Is(kind Kind) bool {
	at := uint(p.pos)
	if at >= uint(len(p.data)) {
		return false
	}
	seen, ok := KindOf(p.data[at])
	return ok && seen == kind
}

// head reads the head of the next item, which must be of kind want, and returns its argument and its place.
func (p *Parser) head(want Kind) (arg uint64, at int, err error) {
	at = p.pos
	if !p.Is(want) {
		return 0, at, p.isNot(want)
	}
	arg, next, err := p.argument(at)
	if err == nil {
		p.pos = next
	}
	return arg, at, err
}

// isNot refuses the next item, which is not of kind want.
func (p *Parser) isNot(want Kind) error {
	kind, err := p.Peek()
	if err != nil {
		return err
	}
	return p.fail(p.pos, ErrMalformed, "expected %v, seen %v", want, kind)
}

// argument reads the first byte of a head and the up to eight bytes that follow it.
func (p *Parser) argument(at int) (arg uint64, next int, err error) {
	info := p.data[at] & 31
	next = at + 1
	if info < 24 {
		return uint64(info), next, nil
	}
	if next+1 < len(p.data) { // as most others that get here
		switch first := p.data[next]; {
		case info == 24 && first >= 24:
			return uint64(first), next + 1, nil
		case info == 25 && first > 0:
			return uint64(first)<<8 | uint64(p.data[next+1]), next + 2, nil
		}
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
	if at := uint(p.pos); at < uint(len(p.data)) && p.data[at] < 24 { // as most
		p.pos++
		return uint64(p.data[at]), nil
	}
	v, _, err := p.head(Uint)
	return v, err
}

// Small reads an unsigned integer if it is at most most, which is less than 24. Otherwise it is to be read some other way.
func (p *Parser) Small(most uint8) (v uint8, ok bool) {
	if at := uint(p.pos); at < uint(len(p.data)) && p.data[at] <= most {
		p.pos++
		return p.data[at], true
	}
	return 0, false
}

// Int reads an integer that fits in 64 bits with its sign.
func (p *Parser) Int() (int64, error) {
	if at := uint(p.pos); at < uint(len(p.data)) && p.data[at] < 24 { // as most
		p.pos++
		return int64(p.data[at]), nil
	}
	return p.longInt()
}

func (p *Parser) longInt() (int64, error) {
	kind := Uint
	if p.pos < len(p.data) && Kind(p.data[p.pos]>>5) == Nint {
		kind = Nint
	}
	arg, at, err := p.head(kind)
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
func (p *Parser) Bytes() ([]byte, error) {
	start, end := p.short(Bytes)
	if end == 0 || end > len(p.data) {
		var err error
		if start, end, err = p.content(Bytes); err != nil {
			return nil, err
		}
	}
	p.pos = end
	return p.data[start:end:end], nil
}

// short returns where the content of the string that comes next begins and where it ends, which may be behind the data, if its head is
// right and has one byte or two, as most. Otherwise end is 0.
func (p *Parser) short(kind Kind) (start, end int) {
	if at := uint(p.pos) + 1; at < uint(len(p.data)) {
		switch n := p.data[at-1] - byte(kind)<<5; {
		case n < 24:
			start, end = int(at), int(at)+int(n)
		case n == 24 && p.data[at] >= 24:
			start, end = int(at)+1, int(at)+1+int(p.data[at])
		}
	}
	return start, end
}

// Short reads a byte string if it has n bytes, which is less than 24. Otherwise it is to be read some other way.
func (p *Parser) Short(n int) (b []byte, ok bool) {
	at, end := p.pos+1, p.pos+1+n
	if end > len(p.data) || int(p.data[p.pos]) != int(Bytes)<<5+n {
		return nil, false
	}
	p.pos = end
	return p.data[at:end:end], true
}

// Text reads a text string: valid UTF-8, otherwise unrestricted.
func (p *Parser) Text() (string, error) {
	b, err := p.TextBytes()
	return string(b), err
}

// TextBytes is Text without a copy. The result is part of the parser's data.
func (p *Parser) TextBytes() ([]byte, error) {
	start, end, err := p.content(Text)
	if err != nil {
		return nil, err
	}
	b := p.data[start:end:end]
	if !utf8.Valid(b) {
		return nil, p.fail(p.pos, ErrMalformed, "text is not UTF-8")
	}
	p.pos = end
	return b, nil
}

// content returns where the content of the string that comes next begins and where it ends, without reading it.
func (p *Parser) content(kind Kind) (start, end int, err error) {
	if start, end = p.short(kind); end != 0 && end <= len(p.data) {
		return start, end, nil
	}
	at := p.pos
	if !p.Is(kind) {
		return 0, 0, p.isNot(kind)
	}
	n, start, err := p.argument(at)
	if err != nil {
		return 0, 0, err
	}
	if n > uint64(len(p.data)-start) {
		return 0, 0, p.fail(at, ErrMalformed, "%v of %d bytes, seen %d", kind, n, len(p.data)-start)
	}
	return start, start + int(n), nil
}

// Array enters an array and returns how many items it has. When they have been read, End ends it.
func (p *Parser) Array() (int, error) {
	if n, ok := p.SmallArray(); ok { // as most
		return n, nil
	}
	return p.longArray()
}

// SmallArray is Array for one of less than 24 items. If it is not ok, Array is to be asked.
func (p *Parser) SmallArray() (n int, ok bool) {
	if at := uint(p.pos); at < uint(len(p.data)) && p.level < p.limit {
		n = int(p.data[at] - byte(Array)<<5)
		if n < 24 && n < len(p.data)-p.pos && n <= p.items {
			p.pos++
			p.level++
			p.items -= n
			return n, true
		}
	}
	return 0, false
}

func (p *Parser) longArray() (int, error) {
	n, at, err := p.head(Array)
	if err != nil {
		return 0, err
	}
	if p.cose && n > uint64(p.items) {
		return 0, p.fail(at, ErrLimit, "array of %d items, %d left", n, p.items)
	}
	// Every item takes a byte at least.
	if n > uint64(len(p.data)-p.pos) {
		return 0, p.fail(at, ErrMalformed, "array of %d items in %d bytes", n, len(p.data)-p.pos)
	}
	return int(n), p.begin(at, int(n))
}

// Tag reads a tag number; the next item is the tag's content, after which End ends it.
func (p *Parser) Tag() (uint64, error) {
	if at := uint(p.pos) + 1; at < uint(len(p.data)) && p.data[at-1] == 0xd8 && p.data[at] >= 24 && p.level < p.limit && p.items > 0 && !p.cose {
		p.pos += 2 // as most
		p.level++
		p.items--
		return uint64(p.data[at]), nil
	}
	n, at, err := p.head(Tag)
	if err != nil {
		return 0, err
	}
	if p.cose {
		return 0, p.fail(at, ErrMalformed, "tag %d, expected none", n)
	}
	if n == 2 || n == 3 {
		return 0, p.fail(at, ErrNotCanonical, "bignum")
	}
	return n, p.begin(at, 1)
}

// Bool reads a boolean.
func (p *Parser) Bool() (bool, error) {
	arg, _, err := p.head(Bool)
	return arg == simpleTrue, err
}

// Nil reads nil.
func (p *Parser) Nil() error {
	_, _, err := p.head(Nil)
	return err
}
