// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/firmament-dev/firmament/verify"
)

// Options configure Make. The zero value is usable.
type Options struct {
	// FrameSize is a power of two from MinFrameSize to MaxFrameSize, by default DefaultFrameSize.
	FrameSize int64
}

// Info tells what Make made.
type Info struct {
	Digest verify.Digest // to be signed, with Size
	Size   int64         // of the patch in bytes
	Memory int64         // that applying takes
	Frames int64
}

// partSize is how much of the new image one worker looks at. It is a multiple of every frame size, and the same
// on every machine: the patch does not depend on the number of cores.
const partSize = 4 << 20

// Make writes to out the patch that makes new out of old. It works on all cores.
func Make(ctx context.Context, old, new []byte, out io.WriterAt, o Options) (Info, error) {
	h := header{frameSize: cmp.Or(o.FrameSize, DefaultFrameSize), oldSize: int64(len(old)), newSize: int64(len(new))}
	h.old, h.new = sha256.Sum256(old), sha256.Sum256(new)
	if _, err := decodeHeader(h.encode()); err != nil {
		return Info{}, err
	}
	m := &maker{ctx: ctx, h: &h, old: old, new: new, out: out, offset: headerSize + h.tableSize()}
	m.suffixes = newSuffixes(old)
	if err := m.all(); err != nil {
		return Info{}, err
	}
	h.memory = needed(h.frameSize, m.packed, m.control, m.inserted)
	pages, first := encodeTable(&h, m.entries)
	h.table = first
	head := h.encode()
	for _, p := range []struct {
		data []byte
		at   int64
	}{{pages, headerSize}, {head, 0}} {
		if _, err := out.WriteAt(p.data, p.at); err != nil {
			return Info{}, fmt.Errorf("write patch at %d: %w", p.at, err)
		}
	}
	return Info{Digest: verify.Sum(verify.SHA256, head), Size: m.offset, Memory: h.memory, Frames: h.frames()}, nil
}

// A maker collects the parts that its workers make.
type maker struct {
	ctx      context.Context
	h        *header
	old, new []byte
	suffixes *suffixes
	out      io.WriterAt

	offset                    int64
	entries                   []entry
	packed, control, inserted int64 // largest
}

// A part is the frames for partSize bytes of the new image.
type part struct {
	frames                    []byte
	entries                   []entry
	packed, control, inserted int64
	err                       error
}

func (m *maker) all() error {
	count := (m.h.newSize-1)/partSize + 1
	done := make([]chan part, count)
	for i := range done {
		done[i] = make(chan part, 1)
	}
	ctx, stop := context.WithCancel(m.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	todo := make(chan int64)
	wg.Go(func() {
		defer close(todo)
		for n := range count {
			select {
			case todo <- n:
			case <-ctx.Done():
				return
			}
		}
	})
	for range min(runtime.GOMAXPROCS(0), int(min(count, 1<<10))) {
		wg.Go(func() {
			for n := range todo {
				done[n] <- m.part(n * partSize)
			}
		})
	}
	for _, c := range done {
		select {
		case p := <-c:
			if err := m.take(p); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (m *maker) take(p part) error {
	if p.err != nil {
		return p.err
	}
	if _, err := m.out.WriteAt(p.frames, m.offset); err != nil {
		return fmt.Errorf("write patch at %d: %w", m.offset, err)
	}
	m.offset += int64(len(p.frames))
	m.entries = append(m.entries, p.entries...)
	m.packed, m.control, m.inserted = max(m.packed, p.packed), max(m.control, p.control), max(m.inserted, p.inserted)
	return nil
}

// part makes one part twice: first at usual prices, then at those that the first attempt turned out to cost.
func (m *maker) part(from int64) part {
	k, err := newPacker(m.h.frameSize)
	if err != nil {
		return part{err: err}
	}
	to := min(from+partSize, m.h.newSize)
	price := usual()
	var best part
	for range 2 {
		spans := parse(m.suffixes, m.new, int(from), int(to), price)
		p, paid := m.pack(k, spans, from, to)
		if best.frames == nil || len(p.frames) < len(best.frames) {
			best = p
		}
		price = paid.prices(price)
	}
	return best
}

func (m *maker) pack(k *packer, spans []span, from, to int64) (part, bill) {
	var p part
	b := bill{}
	b.count(m.old, m.new, spans)
	for start := from; start < to; start += m.h.frameSize {
		end := min(start+m.h.frameSize, to)
		n := 0
		for n < len(spans) && int64(spans[n].start) < end {
			n++
		}
		block := m.new[start:end]
		frame := k.pack(m.old, block, start, spans[:n])
		for len(spans) > 0 && int64(spans[0].end) <= end {
			spans = spans[1:]
		}
		p.frames = append(p.frames, frame...)
		p.entries = append(p.entries, entry{int64(len(frame)), sha256.Sum256(frame), sha256.Sum256(block)})
		p.packed = max(p.packed, int64(len(frame)))
		p.control = max(p.control, int64(len(k.control)))
		p.inserted = max(p.inserted, int64(len(k.inserted)))
		b.control += k.parts.control
		b.inserted += k.parts.inserted
		b.corrections += k.parts.corrections
	}
	return p, b
}

// A bill is what a part cost, and for what.
type bill struct {
	sizes
	copies, differ, again, literal int
}

func (b *bill) count(old, new []byte, spans []span) {
	for _, s := range spans {
		if s.inserted {
			b.literal += s.end - s.start
			continue
		}
		b.copies++
		missed := false
		for i := s.start; i < s.end; {
			if n := common(old[int64(i)+s.shift:], new[i:s.end]); n > 0 {
				i, missed = i+n, false
				continue
			}
			if missed {
				b.again++
			} else {
				b.differ++
			}
			missed = true
			i++
		}
	}
}

// prices turns the bill into prices, kept within bounds: a part with few differences says little about their cost.
func (b *bill) prices(before prices) prices {
	p := before
	if n := b.differ + b.again; n > 256 {
		all := int64(b.differ)*before.differs + int64(b.again)*before.again
		scale := float64(b.corrections*8*64) / float64(all)
		scale = min(max(scale, 0.4), 1.5)
		p.differs = int64(float64(before.differs) * scale)
		p.again = int64(float64(before.again) * scale)
	}
	if b.literal > 256 {
		p.inserted = min(max(int64(b.inserted*8*64/b.literal), 2*64), 8*64)
	}
	if b.copies > 64 {
		scale := float64(b.control*8*64) / float64(int64(b.copies)*(before.change+12*before.shiftBit))
		scale = min(max(scale, 0.5), 1.5)
		p.change = int64(float64(before.change) * scale)
		p.shiftBit = int64(float64(before.shiftBit) * scale)
	}
	return p
}
