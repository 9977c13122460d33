// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

// Outer is where a Parser was when it entered a part: a byte string whose content is CBOR, too.
type Outer struct{ end, base, floor int32 }

// Enter reads the head of a byte string and goes on in its content, one item. Leave goes back. At most MaxDepth parts are
// around an item; they are not nesting as Limits count it.
func (p *Parser) Enter() (Outer, error) {
	start, end := p.short(Bytes)
	if end == 0 || end > len(p.data) {
		var err error
		if start, end, err = p.content(Bytes); err != nil {
			return Outer{}, err
		}
	}
	if p.parts >= MaxDepth || p.items <= 0 {
		return Outer{}, p.noRoom(p.pos)
	}
	o := Outer{int32(len(p.data)), int32(p.base), int32(p.floor)}
	p.parts++
	p.items--
	p.data, p.pos, p.base, p.floor = p.data[:end], start, start, p.level
	return o, nil
}

func (p *Parser) noRoom(at int) error {
	if p.items == 0 {
		return p.fail(at, ErrLimit, "too many items")
	}
	return p.fail(at, ErrLimit, "parts nested deeper than %d", MaxDepth)
}

// Known reads a byte string that is as most of its kind are: its encoding begins with head and goes on for n bytes more, which
// Known returns; ok is false if the next item is another, which then is to be read. The caller knows that all such are canonical, and
// that their content is one array of as many items.
func (p *Parser) Known(head string, n, items int) (rest []byte, ok bool) {
	at, end := p.pos+len(head), p.pos+len(head)+n
	if end > len(p.data) || string(p.data[p.pos:at]) != head {
		return nil, false
	}
	if p.level >= p.limit || p.parts == MaxDepth || p.items < 1+items {
		return nil, false // reading it says so
	}
	p.items -= 1 + items
	p.pos = end
	return p.data[at:end:end], true
}

// Flat returns the items of an array that fills a byte string of at most 23 bytes, if each of them were of one byte: it does not look at
// them, and nothing is read. If the caller knows each to be an integer below 24, PassFlat reads them; otherwise Enter does.
func (p *Parser) Flat() []byte {
	at := p.pos + 2
	if at > len(p.data) || p.level >= p.limit || p.parts >= MaxDepth {
		return nil
	}
	n := int(p.data[p.pos]) - int(Bytes)<<5 - 1
	if n < 0 || n > 22 || n > len(p.data)-at || n >= p.items || int(p.data[p.pos+1]) != int(Array)<<5+n {
		return nil
	}
	return p.data[at : at+n]
}

// PassFlat reads what Flat returned.
func (p *Parser) PassFlat(items []byte) {
	p.pos += 2 + len(items)
	p.items -= 1 + len(items)
}

// Leave returns to what is around the part that the latest Enter began, unless the part is not Done.
func (p *Parser) Leave(o Outer) error {
	if p.err != nil || p.level != p.floor || p.pos != len(p.data) {
		return p.notDone()
	}
	p.data, p.base, p.floor = p.data[:o.end], int(o.base), int(o.floor)
	p.parts--
	return nil
}

// A Part is the content of a byte string that has been passed over and not looked at: it can be kept until
// it is authenticated. It is of use to the Parser that returned it only.
type Part struct{ start, end, level int32 }

// End is the place after the byte string, in bytes from the start of the outermost data.
func (part Part) End() int { return int(part.end) }

// Part reads a byte string, for Resume.
func (p *Parser) Part() (Part, error) {
	b, err := p.Bytes()
	return Part{int32(p.pos - len(b)), int32(p.pos), int32(p.level)}, err
}

// Resume goes on in part, as deep in the nesting as its byte string is. It is for a Parser that is Done, and
// that has nothing else to read until it is Done again.
func (p *Parser) Resume(part Part) {
	if p.err != nil {
		return
	}
	p.data, p.pos, p.base = p.data[:part.end], int(part.start), int(part.start)
	p.level, p.floor, p.parts = int(part.level), int(part.level), 0
	if p.items == 0 {
		p.noRoom(p.pos)
		return
	}
	p.items--
}

// Content returns all of the part that is being read, read already or not.
func (p *Parser) Content() []byte { return p.data[p.base:len(p.data):len(p.data)] }
