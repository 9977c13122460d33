// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

// Raw reads one item with everything in it and returns its encoding, checked like any other. Keys of maps in it are
// integers, strings or arrays.
func (p *Parser) Raw() ([]byte, error) {
	start := p.pos
	if err := p.any(false); err != nil {
		return nil, err
	}
	return p.data[start:p.pos:p.pos], nil
}

// Foreign is Raw for an item by another specification: the keys of its maps can have any order.
// None may be repeated within its map.
func (p *Parser) Foreign() ([]byte, error) {
	start := p.pos
	if err := p.any(true); err != nil {
		return nil, err
	}
	return p.data[start:p.pos:p.pos], nil
}

// any reads one item and calls itself for what is in it, so no deeper than Limits grant.
func (p *Parser) any(foreign bool) error {
	kind, err := p.Peek()
	if err != nil {
		return err
	}
	switch kind {
	case Bytes:
		_, err = p.Bytes()
	case Text:
		_, err = p.TextBytes()
	case Array:
		n, err := p.Array()
		if err != nil {
			return err
		}
		return p.anyOf(n, foreign)
	case Map:
		if foreign {
			_, err = p.foreignMap(false)
			return err
		}
		return p.anyMap()
	case Tag:
		if _, err := p.Tag(); err != nil {
			return err
		}
		return p.anyOf(1, foreign)
	default:
		_, _, err = p.head(kind)
	}
	return err
}

// anyOf reads the n items of an array or a tag.
func (p *Parser) anyOf(n int, foreign bool) error {
	for range n {
		if err := p.any(foreign); err != nil {
			return err
		}
	}
	p.End()
	return nil
}

func (p *Parser) anyMap() error {
	m, err := p.Map()
	if err != nil {
		return err
	}
	for m.Next(p) {
		if err := p.anyKey(false); err != nil {
			return err
		}
		if err := m.keyRead(p); err != nil {
			return err
		}
		if err := p.any(false); err != nil {
			return err
		}
	}
	return p.err
}

// anyKey reads the key of a pair.
func (p *Parser) anyKey(foreign bool) error {
	kind, err := p.Peek()
	if err != nil {
		return err
	}
	if kind > Array || kind == Array && p.cose {
		return p.fail(p.pos, ErrMalformed, "%v as map key", kind)
	}
	return p.any(foreign)
}
