// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// A part is the frames for partSize bytes of the new image.
type part struct {
	frames  []byte
	entries []entry
	err     error
}

// A worker makes parts. Its memory is used again for the next part.
type worker struct {
	m      *maker
	packer *packer
	parser parser
	new    []byte
	spans  []span
	best   []byte
}

func (m *maker) worker(ctx context.Context) (*worker, error) {
	k, err := newPacker(ctx, m.old, m.h)
	return &worker{m: m, packer: k, parser: parser{old: &m.text}, new: make([]byte, partSize)}, err
}

// part makes the part that begins at from, frame by frame: each at the prices that the one before turned out to cost. The first one
// is made twice, at usual prices and then at its own.
func (w *worker) part(p *part, from int64) error {
	new := w.new[:min(partSize, w.m.h.newSize-from)]
	if err := readFull(w.m.new, new, from); err != nil {
		return fmt.Errorf("read new image at %d: %w", from, err)
	}
	p.frames, p.entries = p.frames[:0], p.entries[:0]
	w.parser.price, w.spans = usual(), w.spans[:0]
	for len(new) > 0 {
		block := new[:min(w.m.h.frameSize, int64(len(new)))]
		var before *int64
		if n := len(w.spans); n > 0 && !w.spans[n-1].inserted {
			shift := w.spans[n-1].shift
			before = &shift
		}
		frame, err := w.frame(block, from, before)
		if err != nil {
			return err
		}
		if len(p.entries) == 0 {
			w.best = append(w.best[:0], frame...)
			w.parser.known = 0
			if frame, err = w.frame(block, from, before); err != nil {
				return err
			}
			if len(w.best) < len(frame) {
				frame = w.best
			}
		}
		p.frames = append(p.frames, frame...)
		p.entries = append(p.entries, entry{int64(len(frame)), sha256.Sum256(frame), sha256.Sum256(block)})
		new, from = new[len(block):], from+int64(len(block))
		w.parser.finds, w.parser.known = w.parser.finds[:0], 0
	}
	return nil
}

// frame makes the frame for a block, and prices out of what it cost.
func (w *worker) frame(block []byte, from int64, before *int64) ([]byte, error) {
	w.parse(block, from, before)
	w.packer.bill = bill{}
	frame, err := w.packer.packWithin(maxPages(w.m.h.frameSize), block, from, w.spans)
	w.parser.price = w.packer.bill.prices(w.parser.price)
	return frame, err
}

// parse finds the spans: anchors as they are, and what the parser finds between them. before is the shift that copying comes
// from, if known.
func (w *worker) parse(block []byte, from int64, before *int64) {
	w.spans = w.spans[:0]
	at, end := from, from+int64(len(block))
	for a := range between(w.m.anchors, from, end) {
		s := span{start: a.start, end: a.end, shift: a.shift}.clip(from, end)
		w.gap(block, from, at, s.start, before, &s.shift)
		w.spans = append(w.spans, s)
		at, before = s.end, &s.shift
	}
	w.gap(block, from, at, end, before, nil)
}

// gap parses what lies between two anchors, whose shifts are before and after.
func (w *worker) gap(block []byte, base, from, to int64, before, after *int64) {
	if from < to {
		t := &w.m.text
		spans := w.parser.parse(block, int(from-base), int(to-base), t.shift(before, from, base), t.shift(after, to, base))
		w.spans = t.global(w.spans, spans, base)
	}
}

// shift returns what a shift of the images is in the text, near the position at of the new image.
func (t *text) shift(shift *int64, at, base int64) *int64 {
	if shift == nil {
		return nil
	}
	local, ok := t.local(at + *shift)
	if !ok {
		return nil
	}
	s := int64(local) - (at - base)
	return &s
}

// prices turns the bill into prices, kept within bounds: a frame with few differences says little about their cost.
func (b *bill) prices(before prices) prices {
	p := before
	scale := func(price int64, by float64) int64 { return int64(float64(price) * by) }
	if n := b.differ + b.again; n > 256 {
		all := int64(b.differ)*before.differs + int64(b.again)*before.again
		paid := int64(b.changes-b.operations)*8*64 - int64(b.noise)*before.noise
		by := min(max(float64(paid)/float64(all), 0.4), 1.5)
		p.differs, p.again = scale(before.differs, by), scale(before.again, by)
	}
	if b.insert > 256 {
		p.inserted = min(max(int64(b.inserted*8*64/b.insert), 2*64), 8*64)
	}
	if b.copies > 64 {
		by := float64(b.operations*8*64) / float64(int64(b.copies)*(before.change+12*before.shiftBit))
		by = min(max(by, 0.5), 1.5)
		p.change, p.shiftBit = scale(before.change, by), scale(before.shiftBit, by)
	}
	usual := usual()
	p.differs = min(max(p.differs, usual.differs*2/5), usual.differs*3/2)
	p.again = min(max(p.again, usual.again*2/5), usual.again*3/2)
	p.change = min(max(p.change, usual.change/2), usual.change*3/2)
	p.shiftBit = min(max(p.shiftBit, usual.shiftBit/2), usual.shiftBit*3/2)
	return p
}
