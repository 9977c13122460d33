// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"errors"
	"fmt"
)

// maxHeld is how much of one targets file is in memory at a time: one value, such as a target's entry or all delegations, or the whole
// of a file whose members are not sorted.
const maxHeld = 8 << 20

// errUnsorted: the members of a large object are not in the order of canonical form, so that it cannot be had without holding them all.
var errUnsorted = errors.New("members are not sorted")

// scanner walks the members of a metadata file without holding it. It knows where values end; what they are is for the canonicaliser
// to check.
type scanner struct {
	src     *blocks
	next    int64  // offset in the file of the first byte after buf
	buf     []byte // what has been read and not yet been passed
	owned   bool   // buf is in memory of the scanner's own
	own     []byte
	scratch []byte
}

func newScanner(src *blocks, offset int64) *scanner { return &scanner{src: src, next: offset} }

// offset is where in the file buf begins.
func (s *scanner) offset() int64 { return s.next - int64(len(s.buf)) }

func (s *scanner) fail(what string) error { return malformed("%s at byte %d", what, s.offset()) }

// more reads the block that follows; false at the end of the file.
func (s *scanner) more() (bool, error) {
	if s.next == s.src.size {
		return false, nil
	}
	if len(s.buf) > 0 && (!s.owned || cap(s.buf) < cap(s.own)) { // the block's memory is about to be used again, or room to be won
		s.own = append(s.own[:0], s.buf...)
		s.buf, s.owned = s.own, true
	}
	b, err := s.src.from(s.next)
	if err != nil {
		return false, err
	}
	if s.next += int64(len(b)); len(s.buf) == 0 {
		s.buf, s.owned = b, false
	} else {
		s.own = append(s.buf, b...)
		s.buf = s.own
	}
	return true, nil
}

// peek skips white space and returns the byte after it without passing it, 0 at the end of the file.
func (s *scanner) peek() (byte, error) {
	for {
		for i, b := range s.buf {
			if b != ' ' && b != '\t' && b != '\n' && b != '\r' {
				s.buf = s.buf[i:]
				return b, nil
			}
		}
		s.buf = nil
		if ok, err := s.more(); !ok {
			return 0, err
		}
	}
}

func (s *scanner) take(want byte, what string) error {
	b, err := s.peek()
	if err == nil && b != want {
		err = s.fail(what)
	}
	if err == nil {
		s.buf = s.buf[1:]
	}
	return err
}

// raw passes one value and returns its text, valid until the next call. It errs on no text that is one value.
func (s *scanner) raw() ([]byte, error) {
	first, err := s.peek()
	if err != nil {
		return nil, err
	}
	var e extent
	for done := 0; ; {
		n := e.end(s.buf[done:])
		if n >= 0 {
			text := s.buf[:done+n]
			s.buf = s.buf[done+n:]
			return text, nil
		}
		if done = len(s.buf); done > maxHeld {
			return nil, malformed("value of more than %d bytes at byte %d", maxHeld, s.offset())
		}
		ok, err := s.more()
		if err != nil {
			return nil, err
		}
		if !ok {
			if first == '{' || first == '[' || first == '"' {
				return nil, s.fail("value without end")
			}
			text := s.buf // a number or a word ends with the file, too
			s.buf = nil
			return text, nil
		}
	}
}

// extent finds the end of a value whose text arrives in pieces.
type extent struct {
	depth            int
	inText, escaped  bool
	begun, plainWord bool
}

// end returns how many bytes of p belong to the value, -1 if all do and it has not ended.
func (e *extent) end(p []byte) int {
	for i := 0; i < len(p); i++ {
		b := p[i]
		switch {
		case e.escaped:
			e.escaped = false
		case e.inText:
			for b != '"' && b != '\\' && i+1 < len(p) {
				i++
				b = p[i]
			}
			if e.escaped = b == '\\'; b != '"' {
				continue
			}
			if e.inText = false; e.depth == 0 {
				return i + 1
			}
		case e.plainWord:
			switch b {
			case ',', ':', ']', '}', ' ', '\t', '\n', '\r':
				return i
			}
		case b == '"':
			e.inText = true
		case b == '{' || b == '[':
			e.depth++
		case b == '}' || b == ']':
			e.depth--
			if e.depth <= 0 {
				return i + 1
			}
		case !e.begun:
			e.plainWord = true
		}
		e.begun = true
	}
	return -1
}

// canonical passes one value, which lies depth levels deep, and returns its canonical form, valid until the next call.
func (s *scanner) canonical(depth int) (value, error) {
	text, err := s.raw()
	if err != nil {
		return nil, err
	}
	c := canonicaliser{in: text, out: s.scratch[:0], base: s.offset() - int64(len(text))}
	if err := c.value(depth); err != nil {
		return nil, err
	}
	if s.scratch = c.out; c.pos != len(c.in) {
		return nil, c.fail("data after the json value")
	}
	return value(c.out), nil
}

// object passes an object and calls each for its members, with the name in canonical form, quotes included, and where the member
// begins. Each must pass the value. With sorted, names have to be in ascending order.
//
// Run, if it is not nil, passes members that it can take as they stand, commas included, between two that go to each. It is given the bytes after
// a member, where they begin, and that member's name, and returns how many it has passed and the name of the last, with its quotes.
func (s *scanner) object(what string, sorted bool, run passRun, each func(name value, at int64) error) error {
	if err := s.take('{', what+": object expected"); err != nil {
		return err
	}
	return s.members(what, sorted, run, each)
}

type passRun func(p []byte, at int64, last value) (n int, name value)

// members is object from the first member on, or from any other.
func (s *scanner) members(what string, sorted bool, run passRun, each func(name value, at int64) error) error {
	var last []byte
	for first := true; ; first = false {
		b, err := s.peek()
		if err != nil {
			return err
		}
		if run != nil && !first {
			if n, name := run(s.buf, s.offset(), last); n > 0 {
				last = append(last[:0], name...)
				s.buf = s.buf[n:]
				continue
			}
		}
		if b == '}' {
			s.buf = s.buf[1:]
			return nil
		}
		if !first {
			if err := s.take(',', what+": comma or end expected"); err != nil {
				return err
			}
		}
		if b, err = s.peek(); err != nil || b != '"' {
			return errors.Join(err, s.fail(what+": member name expected"))
		}
		at := s.offset()
		name, err := s.canonical(0)
		if err != nil {
			return err
		}
		if sorted && !first {
			switch order := compareNames(last[1:len(last)-1], name[1:len(name)-1]); {
			case order == 0:
				return malformed("member name given twice at byte %d", at)
			case order > 0:
				return fmt.Errorf("%s: %w at byte %d", what, errUnsorted, at)
			}
		}
		last = append(last[:0], name...)
		if err := s.take(':', what+": colon expected"); err != nil {
			return err
		}
		if err := each(last, at); err != nil {
			return err
		}
	}
}
