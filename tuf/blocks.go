// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/firmament-dev/firmament/verify"
)

// blockSize is how many bytes of a file have one digest. A look-up reads one block at a time, whoever reads all of a file readAhead of them.
const (
	blockSize = 16 << 10
	readAhead = 8
)

// blocks is a file that is read once from beginning to end, when the digests of its blocks and of the whole are made, and after that in
// any order, when each block that is read has to be the one that it was. What is between is the medium's, not ours.
type blocks struct {
	r    io.ReaderAt
	size int64
	sums [][sha256.Size]byte // of the blocks seen so far
	done bool                // no block is new any more
	buf  []byte              // as many blocks as are read at a time

	algorithms []verify.Hash
	whole      []hash.Hash     // one each, until all has been read
	digests    []verify.Digest // one each, from then on
}

// newBlocks is for bytes that are read for the first time; the digests wanted are those of the algorithms in like.
func newBlocks(r io.ReaderAt, size int64, like []verify.Digest) *blocks {
	b := &blocks{r: r, size: size, buf: make([]byte, min(readAhead*blockSize, size))}
	for _, d := range like {
		b.algorithms = append(b.algorithms, d.Hash())
		b.whole = append(b.whole, d.Hash().New())
	}
	return b
}

// from returns some of the bytes from offset on, at least to the end of their block, valid until the next call.
func (b *blocks) from(offset int64) ([]byte, error) {
	start := offset / blockSize * blockSize
	buf := b.buf[:min(int64(len(b.buf)), b.size-start)]
	if n, err := b.r.ReadAt(buf, start); n < len(buf) {
		return nil, fmt.Errorf("%w: read at %d: %w", ErrCache, start, errors.Join(io.ErrUnexpectedEOF, err))
	}
	if seen := int64(len(b.sums)) * blockSize; !b.done && start != seen || b.done && start+int64(len(buf)) > seen {
		return nil, errOrder
	}
	for at := 0; at < len(buf); at += blockSize {
		sum := sha256.Sum256(buf[at:min(at+blockSize, len(buf))])
		if !b.done {
			b.sums = append(b.sums, sum)
		} else if b.sums[(start+int64(at))/blockSize] != sum {
			return nil, fmt.Errorf("%w: %w: the bytes at %d are not those that were verified", ErrCache, ErrHash, start+int64(at))
		}
	}
	for _, h := range b.whole {
		h.Write(buf)
	}
	return buf[offset-start:], nil
}

// complete reads what has not been read yet and makes the digests of the whole.
func (b *blocks) complete() error {
	for int64(len(b.sums))*blockSize < b.size {
		if _, err := b.from(int64(len(b.sums)) * blockSize); err != nil {
			return err
		}
	}
	for i, h := range b.whole {
		d, err := verify.NewDigest(b.algorithms[i], h.Sum(nil))
		if err != nil {
			return err
		}
		b.digests = append(b.digests, d)
	}
	b.whole, b.buf, b.done = nil, nil, true
	return nil
}

// reader is an independent one of the same bytes, so that several may read at once, ahead blocks at a time. A file that is still read for the
// first time lends it the digests that there are.
func (b *blocks) reader(ahead int64) *blocks {
	return &blocks{r: b.r, size: b.size, sums: b.sums, done: true, buf: make([]byte, min(ahead*blockSize, b.size))}
}

// readAll returns the whole of a file that has been read before.
func (b *blocks) readAll() ([]byte, error) {
	all := make([]byte, 0, b.size)
	for int64(len(all)) < b.size {
		p, err := b.from(int64(len(all)))
		if err != nil {
			return nil, err
		}
		all = append(all, p...)
	}
	return all, nil
}
