// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

// NewCOSE is New with the rules of COSE: heads need not be the shortest, there are no tags, map keys are integers
// or strings, and an array that claims more items than the limit has left is ErrLimit, even if it is cut short. It is
// for Foreign and Pairs, which tell keys apart by their values.
func NewCOSE(data []byte, l Limits) *Parser {
	p := new(Parser)
	p.cose = true
	p.init(data, l)
	return p
}

// Pair is a key and its value, both encoded.
type Pair struct{ Key, Value []byte }

// Pairs reads a map like Foreign and returns what is in it, in its order.
func (p *Parser) Pairs() ([]Pair, error) { return p.foreignMap(true) }

// foreignMap reads a map whose keys are in any order, and none twice, and returns its pairs if they are to be kept.
func (p *Parser) foreignMap(keep bool) ([]Pair, error) {
	m, err := p.Map()
	if err != nil {
		return nil, err
	}
	var pairs []Pair
	if keep {
		pairs = make([]Pair, 0, m.left) // two bytes are there for each
	}
	var keys foreignKeys
	for ; m.left > 0; m.left-- {
		at := p.pos
		if err := p.anyKey(true); err != nil {
			return nil, err
		}
		if err := keys.add(p, at, m.left == 1); err != nil {
			return nil, err
		}
		between := p.pos
		if err := p.any(true); err != nil {
			return nil, err
		}
		if keep {
			pairs = append(pairs, Pair{p.data[at:between:between], p.data[between:p.pos:p.pos]})
		}
	}
	p.End()
	return pairs, nil
}

// foreignKeys are the keys of one map, each with its head in the shortest form. A map of one key, as most are in COSE, costs
// nothing.
type foreignKeys map[string]struct{}

// add adds the key from at, which has just been read, unless it is there.
func (k *foreignKeys) add(p *Parser, at int, last bool) error {
	if last && *k == nil {
		return nil
	}
	arg, next, _ := p.argument(at) // has been read before
	key := append(appendHead(nil, Kind(p.data[at]>>5), arg), p.data[next:p.pos]...)
	if _, again := (*k)[string(key)]; again {
		return p.fail(at, ErrMalformed, "map key repeated")
	}
	if last {
		return nil
	}
	if *k == nil {
		*k = make(foreignKeys)
	}
	(*k)[string(key)] = struct{}{}
	return nil
}
