// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"context"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

// A Reader reads a payload that is at hand, a file or a slot, and returns only chunks whose digest holds. Neither
// payload nor page file is trusted. Not safe for concurrent use.
type Reader struct {
	payload io.ReaderAt
	tree    *fetch.Tree
}

// NewReader returns a Reader over a payload of size bytes in chunks of chunkSize bytes, whose page file is pages and
// whose signed root digest is root. It reads nothing yet. Unusable sizes or a root that is not SHA-256
// are fetch.ErrResource.
func NewReader(payload, pages io.ReaderAt, size, chunkSize int64, root verify.Digest) (*Reader, error) {
	layout, err := fetch.NewLayout(size, chunkSize)
	if err != nil {
		return nil, err
	}
	tree, err := fetch.NewTree(layout, root, pagesAt{pages})
	if err != nil {
		return nil, err
	}
	return &Reader{payload: payload, tree: tree}, nil
}

// Layout returns the number, size and place of the chunks.
func (r *Reader) Layout() fetch.Layout { return r.tree.Layout() }

// ReadChunk reads chunk n into p, which has room for a whole chunk, and returns its length. If a page or the chunk is not
// what was signed, it is a *fetch.DigestError, p is cleared and the length is 0.
func (r *Reader) ReadChunk(n int64, p []byte) (int, error) {
	want, err := r.tree.Digest(context.Background(), n)
	if err != nil {
		return 0, err
	}
	offset, length := r.Layout().Chunk(n)
	if int64(len(p)) < length {
		return 0, fmt.Errorf("chunk %d into %d of %d bytes: %w", n, len(p), length, io.ErrShortBuffer)
	}
	p = p[:length]
	if err := readAt(r.payload, p, offset); err != nil {
		clear(p)
		return 0, fmt.Errorf("read payload at %d: %w", offset, err)
	}
	if got := verify.Sum(verify.SHA256, p); got != want {
		clear(p)
		return 0, &fetch.DigestError{Part: "chunk", Number: n, Offset: offset, Want: want, Got: got}
	}
	return len(p), nil
}

// Verify reads all chunks and returns the first error, nil if every chunk is what was signed.
func (r *Reader) Verify() error {
	p := make([]byte, min(r.Layout().ChunkSize(), r.Layout().Size()))
	for n := range r.Layout().Chunks() {
		if _, err := r.ReadChunk(n, p); err != nil {
			return err
		}
	}
	return nil
}

// pagesAt is a page file at hand.
type pagesAt struct{ io.ReaderAt }

func (f pagesAt) ReadPage(_ context.Context, n int64, p []byte) error {
	if err := readAt(f, p, n*fetch.PageSize); err != nil {
		return fmt.Errorf("read page %d: %w", n, err)
	}
	return nil
}

// readAt fills p. The end of the file within p is io.ErrUnexpectedEOF.
func readAt(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
