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

// An Image is what Make reads, such as an *io.SectionReader over a file or a *bytes.Reader. It is read concurrently.
type Image interface {
	io.ReaderAt
	Size() int64
}

// Options configure Make. The zero value is usable.
type Options struct {
	// FrameSize is a power of two from MinFrameSize to MaxFrameSize, by default DefaultFrameSize.
	FrameSize int64
	// Bounded keeps Make within 256 MiB, whatever the images' sizes. Else an old image of up to 64 MiB takes six
	// times its size, and makes a somewhat smaller patch; with a larger one Make is always bounded.
	Bounded bool
	// OnProgress is called after each MiB or so with the bytes of the new image that are done. It may be nil.
	OnProgress func(done, total int64)
}

// Info tells what Make made.
type Info struct {
	Digest verify.Digest // to be signed, with Size
	Size   int64         // of the patch in bytes
	Memory int64         // that applying takes
	Frames int64
}

const (
	// sortedWhole is the largest old image whose suffixes are sorted all at once, unless Make is bounded.
	sortedWhole = 64 << 20
	// sortedPieces is how many bytes of an old image are sorted at once if it is larger, or Make is bounded.
	sortedPieces = 28 << 20
	// stageSize is how much of the new image is made with one choice of pieces, if not all of them can be sorted at once.
	stageSize = 32 << 20

	// partSize is how much of the new image one worker looks at. It is a multiple of every frame size, and the same
	// on every machine: the patch does not depend on the number of cores.
	partSize = 1 << 20
)

// Make writes to out the patch that makes new out of old. It works on all cores. Both images must stay as they are.
//
// Errors: ErrBounds for a size or frame size that the format does not have; ctx's error; those of old, new and out. After an
// error the patch has no header, or none that fits the rest.
func Make(ctx context.Context, old, new Image, out io.WriterAt, o Options) (Info, error) {
	return makePatch(ctx, old, new, out, o, sortedPieces, stageSize)
}

func makePatch(ctx context.Context, old, new Image, out io.WriterAt, o Options, sorted, stage int64) (Info, error) {
	h := header{frameSize: cmp.Or(o.FrameSize, DefaultFrameSize), oldSize: old.Size(), newSize: new.Size()}
	if _, err := decodeHeader(h.encode()); err != nil {
		return Info{}, err
	}
	var err error
	if h.old, err = digest(ctx, old); err != nil {
		return Info{}, fmt.Errorf("old image: %w", err)
	}
	if h.new, err = digest(ctx, new); err != nil {
		return Info{}, fmt.Errorf("new image: %w", err)
	}
	m := &maker{h: &h, old: old, new: new, out: out, offset: headerSize + h.tableSize(), progress: o.OnProgress, sorted: sorted, stage: stage}
	if err := m.all(ctx, o.Bounded || h.oldSize > sortedWhole); err != nil {
		return Info{}, err
	}
	h.memory = needed(h.frameSize, m.packed)
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

func digest(ctx context.Context, image Image) ([32]byte, error) {
	h, buf := sha256.New(), make([]byte, 256<<10)
	for at := int64(0); at < image.Size(); {
		if err := ctx.Err(); err != nil {
			return [32]byte{}, err
		}
		b := buf[:min(int64(len(buf)), image.Size()-at)]
		if err := readFull(image, b, at); err != nil {
			return [32]byte{}, fmt.Errorf("read at %d: %w", at, err)
		}
		h.Write(b)
		at += int64(len(b))
	}
	return [32]byte(h.Sum(nil)), nil
}

// A maker collects the parts that its workers make.
type maker struct {
	h        *header
	old, new Image
	out      io.WriterAt
	progress func(done, total int64)
	sorted   int64 // sortedPieces and stageSize, but in tests
	stage    int64

	workers []*worker
	text    text
	anchors []anchor // in order; none if all of the old image is in the text

	offset  int64
	entries []entry
	packed  int64 // largest frame
}

// all makes all parts, against the whole old image or one choice of its pieces after the other.
func (m *maker) all(ctx context.Context, bounded bool) error {
	for range runtime.GOMAXPROCS(0) {
		w, err := m.worker(ctx)
		if err != nil {
			return err
		}
		m.workers = append(m.workers, w)
	}
	if !bounded {
		return m.whole(ctx)
	}
	return m.pieces(ctx)
}

// whole makes all parts against the whole old image.
func (m *maker) whole(ctx context.Context) error {
	n := m.h.oldSize
	var all []stretch
	if n > 0 {
		all = []stretch{{length: n}}
	}
	var words []int32
	room := int64(0) // for what is turned, if anything can be
	turnings, err := m.turnings(ctx, all, []stretch{{length: m.h.newSize}}, func() []int32 {
		room = n/8 + 1<<20
		words = make([]int32, n+room)
		return words[:n]
	})
	if err != nil {
		return err
	}
	if words == nil {
		words = make([]int32, n)
	}
	all = append(all, turned(turnings, 0, m.h.newSize, room, n)...)
	if err := m.text.load(m.old, all, make([]byte, n+room), words); err != nil {
		return fmt.Errorf("read old image: %w", err)
	}
	return m.parts(ctx, 0, m.h.newSize)
}

// parts makes those from from to to, at the same time, and writes them in order.
func (m *maker) parts(ctx context.Context, from, to int64) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	// Workers may be ahead of what is written by as many parts as there are workers, and no more.
	workers := len(m.workers)
	type job struct {
		from int64
		done chan *part
	}
	jobs, order, free := make(chan job), make(chan job, workers), make(chan *part, 2*workers)
	for range 2 * workers {
		free <- &part{}
	}
	wg.Go(func() {
		defer close(order)
		defer close(jobs)
		for at := from; at < to; at += partSize {
			j := job{at, make(chan *part, 1)}
			select {
			case order <- j:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	for _, w := range m.workers {
		wg.Go(func() {
			for j := range jobs {
				p := <-free
				p.err = w.part(p, j.from)
				j.done <- p
			}
		})
	}
	for j := range order {
		select {
		case p := <-j.done:
			if err := m.take(p); err != nil {
				return err
			}
			free <- p
			if m.progress != nil {
				m.progress(min(j.from+partSize, m.h.newSize), m.h.newSize)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (m *maker) take(p *part) error {
	if p.err != nil {
		return p.err
	}
	if _, err := m.out.WriteAt(p.frames, m.offset); err != nil {
		return fmt.Errorf("write patch at %d: %w", m.offset, err)
	}
	m.offset += int64(len(p.frames))
	m.entries = append(m.entries, p.entries...)
	for _, e := range p.entries {
		m.packed = max(m.packed, e.length)
	}
	return nil
}
