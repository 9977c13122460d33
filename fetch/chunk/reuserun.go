// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"errors"
	"fmt"
	"sync"

	"github.com/firmament-dev/firmament/fetch"
)

// repairs is how often a chunk that is not what the index says is asked for again.
const repairs = 2

// A doubt is what is known of chunks of the origin that are not what the index says: either may be wrong.
type doubt struct {
	mu    sync.Mutex
	n     int // the last one
	sum   [32]byte
	times int
	lies  bool // it is the index

	offset int64  // of a chunk of which a connection brought the beginning
	part   []byte // which is this; nil: none
}

// about is told of chunk n and its digest, and reports whether to take it as it is: the origin was asked again, and from another place if it has one, and
// said the same, or never the same twice.
func (d *doubt) about(n int, sum [32]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.times == 0 || d.n != n {
		d.n, d.sum, d.times = n, sum, 1
		return false
	}
	d.lies = d.lies || d.sum == sum
	d.sum, d.times = sum, d.times+1
	return d.lies || d.times > repairs
}

// sure reports whether it is known that the index lies. Then its names say nothing any more.
func (d *doubt) sure() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lies
}

// keep has the beginning of the chunk at offset for whoever reads on there.
func (d *doubt) keep(offset int64, part []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offset, d.part = offset, part
}

// take gives it away, nil if there is none.
func (d *doubt) take(offset int64) (part []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.offset == offset {
		part, d.part = d.part, nil
	}
	return part
}

// unnamed reports whether what comes next of the run cannot be compared: it is the end of a chunk, or the index lies.
func (b *reuseBody) unnamed() bool {
	if b.got > 0 {
		return false
	}
	offset, _, _ := b.r.index.Chunk(b.r.index.at(b.at))
	return b.at > offset || b.r.doubt.sure()
}

// receive brings the chunk at b.at and compares it with its name. One that is wrong is rejected, and what follows opened anew.
func (b *reuseBody) receive() error {
	n := b.r.index.at(b.at)
	_, length, id := b.r.index.Chunk(n)
	if int64(cap(b.buf)) < length {
		b.buf = append(make([]byte, 0, length), b.buf[:b.got]...)
	}
	b.buf = b.buf[:length]
	for b.got < len(b.buf) {
		got, err := b.run.Read(b.buf[b.got:])
		b.got += got
		fetch.Arrived(b.ctx, got)
		if err != nil && b.got < len(b.buf) {
			b.r.doubt.keep(b.at, b.buf[:b.got])
			return err
		}
	}
	b.got = 0
	if sum := b.r.index.sum(b.buf); sum != id && !b.r.doubt.about(n, sum) {
		b.r.Reject(b.r.uri, b.at, length)
		b.drop()
		return nil
	}
	b.rest = b.buf
	return nil
}

// open opens the origin from b.at up to b.end, behind what there is of the chunk already.
func (b *reuseBody) open() error {
	if b.got = 0; !b.unnamed() {
		if part := b.r.doubt.take(b.at); part != nil {
			b.buf, b.got = part, len(part)
		}
	}
	from := b.at + int64(b.got)
	s, err := b.r.counting(fetch.OpenPart(b.ctx, b.r.origin, b.r.uri, b.r.index.Size(), from, b.end-from, ""))
	if err == nil {
		b.run = s.Body // if it is the wrong one, too: the error with which reading ends is told to the origin
		if s.Offset == from {
			if from > 0 { // else it may be the whole
				b.r.wrong.Store(0)
			}
			return nil
		}
		err = fmt.Errorf("range at %d, asked for %d: %w", s.Offset, from, fetch.ErrRange)
	}
	if b.got > 0 {
		b.r.doubt.keep(b.at, b.buf[:b.got])
	}
	// An origin that has the file, and begins it anew, serves no ranges. Anything else may be one bad place of several. Whoever opens the payload next
	// is told where it begins, and counts what is skipped.
	if errors.Is(err, fetch.ErrRange) && (b.r.wrong.Add(1) > 1 || s != nil && s.Size >= 0) {
		b.r.whole.Store(true)
	}
	return err
}

func (b *reuseBody) drop() {
	if b.run != nil {
		b.run.Close()
		b.run = nil
	}
}

// Close ends what is under way at the origin.
func (b *reuseBody) Close() error {
	b.drop()
	return nil
}
