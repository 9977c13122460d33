// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
)

// A reuseBody is the payload from at on.
type reuseBody struct {
	r   *Reuse
	ctx context.Context
	at  int64

	seed seedChunk
	err  error // why there is no more
	bad  int64 // a seed has not here what it had before

	run    io.ReadCloser // of the origin
	end    int64         // of run
	buf    []byte        // the chunk at at, of which got bytes came
	got    int
	rest   []byte // of buf, compared with its name and not given out yet
	misses int    // chunks in a row that seeds claimed and had not
}

func (b *reuseBody) Read(p []byte) (int, error) {
	if err := context.Cause(b.ctx); err != nil {
		return 0, err
	}
	if len(p) == 0 || b.err != nil {
		return 0, b.err
	}
	for b.err == nil {
		switch {
		case len(b.seed.rest) > 0:
			n := copy(p, b.seed.rest)
			b.seed.rest, b.at = b.seed.rest[n:], b.at+int64(n)
			b.r.reused.Add(int64(n))
			return n, nil
		case len(b.rest) > 0:
			n := copy(p, b.rest)
			b.rest = b.rest[n:]
			b.gave(n)
			return n, nil
		case b.run == nil && b.at == b.r.index.Size():
			return 0, io.EOF
		case b.run == nil:
			b.err = b.next()
		case b.unnamed():
			n, err := b.run.Read(p[:min(int64(len(p)), b.end-b.at)])
			if b.gave(n); b.run == nil {
				err = nil // an error behind the range concerns nobody
			}
			return n, err
		default:
			b.err = b.receive()
		}
	}
	return 0, b.err
}

// gave counts n bytes of the run that were given out.
func (b *reuseBody) gave(n int) {
	if b.at += int64(n); b.at == b.end {
		b.drop()
	}
}

// next finds the byte at b.at in a seed, or opens the range up to the next chunk that a seed claims.
func (b *reuseBody) next() error {
	n := b.r.index.at(b.at)
	offset, length, id := b.r.index.Chunk(n)
	at, beyond := b.r.where[n], 0
	switch {
	case b.seed.more():
		if b.seed.load() {
			return nil
		}
		b.bad = b.at
	case at.seed != nil && b.bad != b.at:
		if b.seed.open(at.seed.Image, at.offset, length, b.r.index.hash(), id) && b.seed.skip(b.at-offset) {
			b.misses = 0
			return nil
		}
		// A seed that is not what its index says has each of its chunks asked for alone. The longer it goes on like that, the more of them go together, unasked:
		// never more than were wrong before them.
		b.misses = min(b.misses+1, 30)
		beyond = 1<<(b.misses-1) - 1
	}
	b.seed.end()
	b.end = offset + length
	for n++; n < b.r.index.Chunks(); n++ {
		if b.r.claimed(n) {
			if beyond == 0 || b.r.where[n].seed != at.seed {
				break
			}
			beyond--
		}
		_, length, _ := b.r.index.Chunk(n)
		b.end += length
	}
	return b.open()
}

// seedPiece is how many bytes of a seed are held.
const seedPiece = cutMax

// A seedChunk gives out a chunk of a seed, piece by piece, as it was when it was compared with its name. A chunk of more than one piece has to be read twice; of the
// first time the pieces' digests are kept, so that a seed that changes in between is found out. The zero value has nothing.
type seedChunk struct {
	image  io.ReaderAt
	offset int64 // of the chunk in image
	length int64
	at     int64      // what of the chunk is in rest or was given out
	pieces [][32]byte // digests, if there is more than one
	buf    []byte
	rest   []byte // of buf, not given out yet
}

// open compares the chunk with its name. Nothing is given out before skip.
func (c *seedChunk) open(image io.ReaderAt, offset, length int64, h hash.Hash, id [32]byte) bool {
	if c.buf == nil {
		c.buf = make([]byte, seedPiece)
	}
	c.image, c.offset, c.length, c.at, c.pieces, c.rest = image, offset, length, 0, c.pieces[:0], nil
	for done := int64(0); done < length; {
		p := c.buf[:min(seedPiece, length-done)]
		if readAt(image, p, offset+done) != nil {
			return false
		}
		h.Write(p)
		if length > seedPiece {
			c.pieces = append(c.pieces, sha256.Sum256(p))
		}
		done += int64(len(p))
	}
	return [32]byte(h.Sum(nil)) == id
}

// skip goes to byte from of the chunk, which open found to be right.
func (c *seedChunk) skip(from int64) bool {
	if c.length <= seedPiece {
		c.at, c.rest = c.length, c.buf[from:c.length]
		return true
	}
	c.at = from - from%seedPiece
	ok := c.load()
	if ok {
		c.rest = c.rest[from%seedPiece:]
	}
	return ok
}

// more reports whether the chunk goes on behind rest.
func (c *seedChunk) more() bool { return c.at < c.length }

// load reads the next piece again, and reports whether it is what it was.
func (c *seedChunk) load() bool {
	p := c.buf[:min(seedPiece, c.length-c.at)]
	if readAt(c.image, p, c.offset+c.at) != nil || sha256.Sum256(p) != c.pieces[c.at/seedPiece] {
		return false
	}
	c.rest, c.at = p, c.at+int64(len(p))
	return true
}

// end leaves the chunk.
func (c *seedChunk) end() { c.length, c.at, c.rest = 0, 0, nil }
