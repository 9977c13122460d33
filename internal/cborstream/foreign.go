// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import (
	"encoding/binary"
	"math"
)

// Foreign is Raw for an item by another specification: the keys of its maps can have any order.
// None may be repeated within its map.
func (p *Parser) Foreign() ([]byte, error) {
	if p.err != nil {
		return nil, p.err
	}
	p.foreign = true
	b, err := p.Raw()
	p.foreign, p.seen = false, nil
	return b, err
}

// checkForeignKey looks for the key just read among those before it in the same map. A key is remembered when the
// next one comes, so that a map of one key, as most are in COSE, costs nothing.
func (p *Parser) checkForeignKey(f *frame) error {
	if f.lastEnd > 0 {
		if p.seen == nil {
			p.seen = make(map[string]struct{})
		}
		p.seen[string(p.foreignKey(f.lastKey, f.lastEnd))] = struct{}{}
		if _, again := p.seen[string(p.foreignKey(f.item, int32(p.pos)))]; again {
			return p.fail(int(f.item), ErrMalformed, "map key repeated")
		}
	}
	f.lastKey, f.lastEnd = f.item, int32(p.pos)
	return nil
}

// foreignKey returns what tells a key of the innermost map from others: where the map is, the head of the key in its
// shortest form, and the rest of the key.
func (p *Parser) foreignKey(start, end int32) []byte {
	id := binary.BigEndian.AppendUint32(nil, uint32(p.stack[p.frames-1].item))
	arg, next, _ := p.argument(int(start)) // has been read before
	id = appendHead(id, Kind(p.data[start]>>5), arg)
	return append(id, p.data[next:end]...)
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
	start := p.pos
	if _, err = p.Foreign(); err != nil {
		return nil, err
	}
	// Once more, as a sequence of items.
	after, around := p.pos, *p.around()
	n, first, err := p.argument(start)
	if err != nil {
		return nil, err
	}
	p.pos, *p.around() = first, frame{left: math.MaxInt32}
	pairs := make([]Pair, n) // as many as have just been read
	for i := range pairs {
		if pairs[i].Key, err = p.Foreign(); err == nil {
			pairs[i].Value, err = p.Foreign()
		}
		if err != nil {
			return nil, err
		}
	}
	p.pos, *p.around() = after, around
	return pairs, nil
}

// NewCOSE is New with the rules of COSE: heads need not be the shortest, there are no tags, map keys are integers
// or strings, and an array that claims more items than the limit has left is ErrLimit, even if it is cut short. It is
// for Foreign and Pairs, which tell keys apart by their values.
func NewCOSE(data []byte, l Limits) *Parser {
	p := new(Parser)
	p.cose = true
	p.init(data, l)
	return p
}
