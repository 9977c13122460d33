// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"cmp"
	"math"
	"sort"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest in a metadata file.
const MaxDepth = 64

// Canonical returns the canonical form (OLPC Canonical JSON) of the one JSON value in data: members sorted by name, no
// white space, strings with only the quote and the backslash escaped, integers as they are. It is the form that
// signatures are made over, and because control characters stand in it unescaped it is not always JSON itself.
//
// Canonical accepts what has exactly one meaning and refuses the rest with ErrMalformed and the byte offset: duplicate member
// names, fractions, exponents, minus zero, text that is not UTF-8, lone surrogates, nesting beyond MaxDepth, anything after the
// value. The result has no more bytes than data, so a bound on data bounds the work.
//
// TUF 1.0.34, section 4.1.
func Canonical(data []byte) ([]byte, error) {
	if len(data) > math.MaxInt32 {
		return nil, malformed("%d bytes of json, at most %d", len(data), math.MaxInt32)
	}
	c := canonicaliser{in: data, out: make([]byte, 0, len(data))}
	if err := c.value(0); err != nil {
		return nil, err
	}
	if c.space(); c.pos != len(c.in) {
		return nil, c.fail("data after the json value")
	}
	return c.out, nil
}

type canonicaliser struct {
	in      []byte
	pos     int
	base    int64 // where in begins, for messages
	out     []byte
	members []member // of all objects that are open, innermost last
}

// member is where one "name":value stands in out; name ends before its closing quote.
type member struct{ start, nameEnd, end int32 }

func (c *canonicaliser) fail(what string) error {
	return malformed("%s at byte %d", what, c.base+int64(c.pos))
}

func (c *canonicaliser) space() {
	for c.pos < len(c.in) {
		switch c.in[c.pos] {
		case ' ', '\t', '\n', '\r':
			c.pos++
		default:
			return
		}
	}
}

// next skips white space and returns the next byte without taking it, 0 at the end.
func (c *canonicaliser) next() byte {
	c.space()
	if c.pos == len(c.in) {
		return 0
	}
	return c.in[c.pos]
}

func (c *canonicaliser) value(depth int) error {
	if depth > MaxDepth {
		return c.fail("json nested too deep")
	}
	switch b := c.next(); {
	case b == '{':
		return c.object(depth)
	case b == '[':
		return c.array(depth)
	case b == '"':
		return c.text()
	case b == '-' || b >= '0' && b <= '9':
		return c.integer()
	case b == 't':
		return c.literal("true")
	case b == 'f':
		return c.literal("false")
	case b == 'n':
		return c.literal("null")
	}
	return c.fail("no json value")
}

func (c *canonicaliser) literal(word string) error {
	if !bytes.HasPrefix(c.in[c.pos:], []byte(word)) {
		return c.fail("no json value")
	}
	c.pos += len(word)
	c.out = append(c.out, word...)
	return nil
}

func (c *canonicaliser) integer() error {
	start := c.pos
	if c.in[c.pos] == '-' {
		c.pos++
	}
	first := c.pos
	for c.pos < len(c.in) && c.in[c.pos] >= '0' && c.in[c.pos] <= '9' {
		c.pos++
	}
	digits := c.in[first:c.pos]
	if len(digits) == 0 || digits[0] == '0' && (len(digits) > 1 || first > start) {
		return c.fail("number that is not a plain integer")
	}
	if c.pos < len(c.in) && (c.in[c.pos] == '.' || c.in[c.pos] == 'e' || c.in[c.pos] == 'E') {
		return c.fail("number that is not a plain integer")
	}
	c.out = append(c.out, c.in[start:c.pos]...)
	return nil
}

func (c *canonicaliser) array(depth int) error {
	c.pos++
	c.out = append(c.out, '[')
	if c.next() == ']' {
		c.pos++
		c.out = append(c.out, ']')
		return nil
	}
	for {
		if err := c.value(depth + 1); err != nil {
			return err
		}
		switch c.next() {
		case ',':
			c.out = append(c.out, ',')
		case ']':
			c.pos++
			c.out = append(c.out, ']')
			return nil
		default:
			return c.fail("array without comma or end")
		}
		c.pos++
	}
}

func (c *canonicaliser) object(depth int) error {
	c.pos++
	c.out = append(c.out, '{')
	base, sorted := len(c.members), true
	defer func() { c.members = c.members[:base] }()
	for first := true; ; first = false {
		b := c.next()
		if b == '}' && first {
			break
		}
		if !first {
			if b == '}' {
				break
			}
			if b != ',' {
				return c.fail("object without comma or end")
			}
			c.pos++
			c.out = append(c.out, ',')
		}
		m, err := c.member(depth)
		if err != nil {
			return err
		}
		if n := len(c.members); n > base {
			switch order := c.compare(c.members[n-1], m); {
			case order == 0:
				return c.fail("member name given twice")
			case order > 0:
				sorted = false
			}
		}
		c.members = append(c.members, m)
	}
	c.pos++
	if !sorted {
		if err := c.sort(c.members[base:]); err != nil {
			return err
		}
	}
	c.out = append(c.out, '}')
	return nil
}

func (c *canonicaliser) member(depth int) (m member, err error) {
	if c.next() != '"' {
		return m, c.fail("object without member name")
	}
	m.start = int32(len(c.out))
	if err := c.text(); err != nil {
		return m, err
	}
	m.nameEnd = int32(len(c.out)) - 1
	if c.next() != ':' {
		return m, c.fail("member without colon")
	}
	c.pos++
	c.out = append(c.out, ':')
	err = c.value(depth + 1)
	m.end = int32(len(c.out))
	return m, err
}

// sort puts the members, which are the tail of out with commas between, into order, and refuses equal names.
func (c *canonicaliser) sort(members []member) error {
	start := members[0].start
	sort.Sort(byName{members, c})
	for i := range members[1:] {
		if c.compare(members[i], members[i+1]) == 0 {
			return c.fail("member name given twice")
		}
	}
	old := bytes.Clone(c.out[start:])
	c.out = c.out[:start]
	for i, m := range members {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, old[m.start-start:m.end-start]...)
	}
	return nil
}

// byName sorts members; sort.Sort keeps a device's program smaller than slices.SortFunc does.
type byName struct {
	members []member
	*canonicaliser
}

func (b byName) Len() int           { return len(b.members) }
func (b byName) Swap(i, j int)      { b.members[i], b.members[j] = b.members[j], b.members[i] }
func (b byName) Less(i, j int) bool { return b.compare(b.members[i], b.members[j]) < 0 }

// compare orders two members by their names.
func (c *canonicaliser) compare(a, b member) int {
	return compareNames(c.out[a.start+1:a.nameEnd], c.out[b.start+1:b.nameEnd])
}

// compareNames orders two canonical names, without their quotes, by the characters; an escape stands for the character after it.
func compareNames(x, y []byte) int {
	for len(x) > 0 && len(y) > 0 {
		if x[0] == '\\' {
			x = x[1:]
		}
		if y[0] == '\\' {
			y = y[1:]
		}
		if order := cmp.Compare(x[0], y[0]); order != 0 {
			return order
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Compare(len(x), len(y))
}

func (c *canonicaliser) text() error {
	c.pos++
	c.out = append(c.out, '"')
	for c.pos < len(c.in) {
		switch b := c.in[c.pos]; {
		case b == '"':
			c.pos++
			c.out = append(c.out, '"')
			return nil
		case b == '\\':
			r, err := c.escape()
			if err != nil {
				return err
			}
			if r == '"' || r == '\\' {
				c.out = append(c.out, '\\')
			}
			c.out = utf8.AppendRune(c.out, r)
		case b < 0x20:
			return c.fail("control character in a string")
		case b < utf8.RuneSelf:
			start := c.pos
			for c.pos++; c.pos < len(c.in); c.pos++ {
				if b := c.in[c.pos]; b == '"' || b == '\\' || b < 0x20 || b >= utf8.RuneSelf {
					break
				}
			}
			c.out = append(c.out, c.in[start:c.pos]...)
		default:
			r, n := utf8.DecodeRune(c.in[c.pos:])
			if r == utf8.RuneError && n == 1 {
				return c.fail("string that is not utf-8")
			}
			c.out = append(c.out, c.in[c.pos:c.pos+n]...)
			c.pos += n
		}
	}
	return c.fail("string without end")
}

// simpleEscapes maps the letter after a backslash to its character (RFC 8259, section 7).
var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (c *canonicaliser) escape() (rune, error) {
	if c.pos+1 >= len(c.in) {
		return 0, c.fail("string without end")
	}
	letter := c.in[c.pos+1]
	if b := simpleEscapes[letter]; b != 0 {
		c.pos += 2
		return rune(b), nil
	}
	if letter != 'u' {
		return 0, c.fail("unknown escape")
	}
	r, err := c.unit()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	low, err := c.unit()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, c.fail("lone surrogate")
	}
	return r, nil
}

// unit takes one \uXXXX.
func (c *canonicaliser) unit() (rune, error) {
	if len(c.in)-c.pos < 6 || c.in[c.pos] != '\\' || c.in[c.pos+1] != 'u' {
		return 0, c.fail("lone surrogate or short escape")
	}
	var r rune
	for _, b := range c.in[c.pos+2 : c.pos+6] {
		switch {
		case b >= '0' && b <= '9':
			r = r<<4 | rune(b-'0')
		case b >= 'a' && b <= 'f':
			r = r<<4 | rune(b-'a'+10)
		case b >= 'A' && b <= 'F':
			r = r<<4 | rune(b-'A'+10)
		default:
			return 0, c.fail("unknown escape")
		}
	}
	c.pos += 6
	return r, nil
}
