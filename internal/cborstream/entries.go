// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import "bytes"

// Entries go through a map, pair by pair:
//
//	m, err := p.Map()
//	…
//	for m.Next(p) {
//		key, err := p.Int()
//		… then the value
//	}
//
// Next is false after an error, too. It is not lost: Done and Leave return it.
type Entries struct {
	left      int32 // pairs to come, -1 behind the end
	key, last int32 // where the key of the current pair begins, and that of the one before; 0 if there is none
	most      int16 // keys that begin with more are sorted behind the current one; unchecked if that has to be looked at first
}

const unchecked = 0x100

// Map enters a map.
func (p *Parser) Map() (Entries, error) {
	if at := uint(p.pos); at < uint(len(p.data)) && p.level < p.limit { // as most, see Array
		first := p.data[at] - byte(Map)<<5
		if n := 2 * int(first); first < 24 && n < len(p.data)-p.pos && n <= p.items {
			p.pos++
			p.level++
			p.items -= n
			return Entries{left: int32(first), most: -1}, nil
		}
	}
	return p.longMap()
}

func (p *Parser) longMap() (Entries, error) {
	n, at, err := p.head(Map)
	if err != nil {
		return Entries{}, err
	}
	if n > uint64(len(p.data)-p.pos)/2 {
		return Entries{}, p.fail(at, ErrMalformed, "map of %d pairs in %d bytes", n, len(p.data)-p.pos)
	}
	return Entries{left: int32(n), most: -1}, p.begin(at, 2*int(n))
}

// Len is the number of pairs that are left.
func (m *Entries) Len() int { return int(max(m.left, 0)) }

// Next reports whether there is one more pair, whose key is to be read next, an integer, a string or an array of such, and
// then its value. Keys are compared with the one before when they have been read: Next is false after a repeated or unsorted
// one, as after any error. When it is false the map has ended.
func (m *Entries) Next(p *Parser) bool {
	if m.most == unchecked && p.err == nil {
		m.sorted(p, p.encoded(m.key))
	}
	if m.left <= 0 || p.err != nil {
		m.end(p)
		return false
	}
	m.left--
	m.last, m.key = m.key, int32(p.pos)
	if p.pos < len(p.data) && int16(p.data[p.pos]) > m.most { // mostly, the first byte tells
		m.most = int16(p.data[p.pos])
	} else {
		m.most = unchecked
	}
	return true
}

// end ends a map that has no pairs left, once.
func (m *Entries) end(p *Parser) {
	if m.left == 0 && p.err == nil {
		p.level--
		m.left = -1
	}
}

// NextSmall is NextInt for a key below 24 behind another such. If it is not ok, NextInt is to be asked.
func (m *Entries) NextSmall(p *Parser) (key uint8, ok bool) {
	if at := uint(p.pos); at < uint(len(p.data)) && m.left > 0 {
		if key = p.data[at]; key < 24 && int16(key) > m.most {
			m.left--
			m.key, m.most = int32(at), int16(key)
			p.pos++
			return key, true
		}
	}
	return 0, false
}

// NextInt is Next for a map whose keys are integers. It reads the key; the value is to be read next.
func (m *Entries) NextInt(p *Parser) (key int64, ok bool) {
	if !m.Next(p) {
		return 0, false
	}
	key, err := p.Int()
	return key, err == nil
}

// Key is the place of the current pair, like Offset.
func (m *Entries) Key(p *Parser) int { return int(m.key) - p.base }

// keyRead compares the key that ends here with the one before it at once, so that it is not read again for that: an array as key may hold maps with such keys
// of their own, and each level would double the work.
func (m *Entries) keyRead(p *Parser) error {
	if m.most == unchecked {
		m.sorted(p, p.data[m.key:p.pos])
	}
	return p.err
}

// sorted compares the latest key with the one before it. No encoding is the beginning of another, so that it does not matter where
// the one before ends.
func (m *Entries) sorted(p *Parser, key []byte) bool {
	last := p.data[m.last:m.key]
	switch bytes.Compare(last[:min(len(last), len(key))], key) {
	case 0:
		p.fail(int(m.key), ErrMalformed, "map key repeated")
	case 1:
		p.fail(int(m.key), ErrNotCanonical, "map keys not sorted")
	}
	m.most = int16(p.data[m.key])
	return p.err == nil
}

// encoded returns the item at at, which has been read before.
func (p *Parser) encoded(at int32) []byte {
	again := Parser{data: p.data, pos: int(at), items: len(p.data), limit: MaxDepth, cose: p.cose}
	b, _ := again.Raw()
	return b
}
