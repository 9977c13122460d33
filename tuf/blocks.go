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

// blockSize is how many bytes are read from a file at a time and have one digest.
const blockSize = 16 << 10

// blocks is a file that is read once from beginning to end, when the digests of its blocks and of the whole are made, and after that in
// any order, when each block that is read has to be the one that it was. What is between is the medium's, not ours.
type blocks struct {
	r    io.ReaderAt
	size int64
	sums [][sha256.Size]byte // of the blocks seen so far
	done bool                // no block is new any more
	buf  []byte

	algorithms []verify.Hash
	whole      []hash.Hash     // one each, until all has been read
	digests    []verify.Digest // one each, from then on
}

// newBlocks is for bytes that are read for the first time; the digests wanted are those of the algorithms in like.
func newBlocks(r io.ReaderAt, size int64, like []verify.Digest) *blocks {
	b := &blocks{r: r, size: size}
	for _, d := range like {
		b.algorithms = append(b.algorithms, d.Hash())
		b.whole = append(b.whole, d.Hash().New())
	}
	return b
}

// from returns the bytes from offset to the end of its block, valid until the next call.
func (b *blocks) from(offset int64) ([]byte, error) {
	index := offset / blockSize
	start := index * blockSize
	if b.buf == nil {
		b.buf = make([]byte, min(blockSize, b.size))
	}
	buf := b.buf[:min(blockSize, b.size-start)]
	if n, err := b.r.ReadAt(buf, start); n < len(buf) {
		return nil, fmt.Errorf("%w: read at %d: %w", ErrCache, start, errors.Join(io.ErrUnexpectedEOF, err))
	}
	sum := sha256.Sum256(buf)
	switch n := int64(len(b.sums)); {
	case index == n && !b.done:
		b.sums = append(b.sums, sum)
		for _, h := range b.whole {
			h.Write(buf)
		}
	case index >= n:
		return nil, errOrder
	case b.sums[index] != sum:
		return nil, fmt.Errorf("%w: %w: the bytes at %d are not those that were verified", ErrCache, ErrHash, start)
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
	b.whole, b.done = nil, true
	return nil
}

// reader is an independent one of the same bytes, so that several may read at once.
func (b *blocks) reader() *blocks {
	return &blocks{r: b.r, size: b.size, sums: b.sums, done: true}
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
