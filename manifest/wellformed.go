// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "math"

// maxForeignDepth bounds the nesting of arrays, maps, tags and indefinite lengths in CBOR that is not this package's to read.
const maxForeignDepth = 32

// wellFormed checks that b is one CBOR item of at most maxItems, by RFC 8949, appendix C: such an item is by another specification, whose
// encoding need not be the deterministic one. If unique is set, no map in it has a key twice. Errors: ErrMalformed, ErrLimit.
func wellFormed(b []byte, unique bool) error {
	f := foreign{items: maxItems, unique: unique}
	rest, err := f.item(b, maxForeignDepth)
	if err == nil && len(rest) > 0 {
		err = ErrMalformed
	}
	return err
}

type foreign struct {
	items  int // that are left
	unique bool
}

const (
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorTag    = 6
	majorSimple = 7

	breakItem    = 0xff
	indefinite   = 31
	firstLongArg = 24 // one to eight more bytes of argument
	lastLongArg  = 27
	firstSimple  = 32 // in a byte of its own
)

func (f *foreign) item(b []byte, depth int) (rest []byte, err error) {
	if f.items--; f.items < 0 || depth == 0 {
		return nil, ErrLimit
	}
	if len(b) == 0 {
		return nil, ErrMalformed
	}
	major, argument := b[0]>>5, uint64(b[0]&31)
	b = b[1:]
	switch {
	case argument == indefinite:
		if major < majorBytes || major > majorMap {
			return nil, ErrMalformed
		}
		return f.list(b, major, math.MaxUint64, depth-1)
	case argument > lastLongArg:
		return nil, ErrMalformed
	case argument >= firstLongArg:
		n := 1 << (argument - firstLongArg)
		if len(b) < n {
			return nil, ErrMalformed
		}
		argument = 0
		for _, c := range b[:n] {
			argument = argument<<8 | uint64(c)
		}
		if b = b[n:]; major == majorSimple && n == 1 && argument < firstSimple {
			return nil, ErrMalformed
		}
	}
	switch major {
	case majorBytes, majorText:
		if argument > uint64(len(b)) {
			return nil, ErrMalformed
		}
		return b[argument:], nil
	case majorArray:
		return f.list(b, major, argument, depth-1)
	case majorMap:
		if argument > uint64(len(b)) { // a pair has two bytes or more
			return nil, ErrMalformed
		}
		return f.list(b, major, 2*argument, depth-1)
	case majorTag:
		return f.item(b, depth-1)
	}
	return b, nil
}

// list reads n items, or those up to a break: of an array, the keys and values of a map, or the pieces of a string.
func (f *foreign) list(b []byte, major byte, n uint64, depth int) (rest []byte, err error) {
	var keys map[string]struct{}
	for i := uint64(0); i < n; i++ {
		if n == math.MaxUint64 && len(b) > 0 && b[0] == breakItem {
			if major == majorMap && i&1 != 0 {
				return nil, ErrMalformed
			}
			return b[1:], nil
		}
		if len(b) > 0 && major <= majorText && (b[0]>>5 != major || b[0]&31 == indefinite) {
			return nil, ErrMalformed
		}
		before := b
		if b, err = f.item(b, depth); err != nil {
			return nil, err
		}
		if !f.unique || major != majorMap || i&1 != 0 || n == 2 {
			continue
		}
		key := string(before[:len(before)-len(b)])
		if _, twice := keys[key]; twice {
			return nil, ErrMalformed
		}
		if keys == nil {
			keys = make(map[string]struct{})
		}
		keys[key] = struct{}{}
	}
	return b, nil
}
