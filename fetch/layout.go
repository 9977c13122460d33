// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import "fmt"

// Limits and units of chunk digests; package fetch/chunk specifies the page file.
const (
	MinChunkSize     = 16 << 10
	MaxChunkSize     = 4 << 20
	DefaultChunkSize = 256 << 10

	// PageSize is the size of a page in bytes, PageDigests the SHA-256 digests in it.
	PageSize    = 4096
	PageDigests = PageSize / 32
)

// A Layout says how many chunks a payload has and where the page file holds their digests. It follows from the
// payload's size and the chunk size alone, both of which are signed.
type Layout struct {
	size, chunk int64
	first       []int64 // number of the first page of each level, root level first
	pages       int64
}

// NewLayout returns the layout for a payload of size bytes (at least 1) in chunks of chunkSize bytes, a power of two
// from MinChunkSize to MaxChunkSize. Anything else is ErrResource.
func NewLayout(size, chunkSize int64) (Layout, error) {
	if size < 1 {
		return Layout{}, fmt.Errorf("payload of %d bytes: %w", size, ErrResource)
	}
	if chunkSize < MinChunkSize || chunkSize > MaxChunkSize || chunkSize&(chunkSize-1) != 0 {
		return Layout{}, fmt.Errorf("chunk size %d, expected a power of two from %d to %d: %w", chunkSize, MinChunkSize, MaxChunkSize, ErrResource)
	}
	l := Layout{size: size, chunk: chunkSize}
	var widths []int64 // pages per level, leaves first
	for n := l.Chunks(); ; {
		n = (n-1)/PageDigests + 1
		widths = append(widths, n)
		if n == 1 {
			break
		}
	}
	for i := len(widths) - 1; i >= 0; i-- {
		l.first = append(l.first, l.pages)
		l.pages += widths[i]
	}
	return l, nil
}

// Size returns the payload's size in bytes.
func (l Layout) Size() int64 { return l.size }

// ChunkSize returns the size of every chunk but the last.
func (l Layout) ChunkSize() int64 { return l.chunk }

// Chunks returns the number of chunks.
func (l Layout) Chunks() int64 { return (l.size-1)/l.chunk + 1 }

// Chunk returns where chunk n (from 0 to Chunks-1) begins, and its length.
func (l Layout) Chunk(n int64) (offset, length int64) {
	offset = n * l.chunk
	return offset, min(l.chunk, l.size-offset)
}

// Levels returns the height of the page tree: 1 if the root page holds the chunk digests itself.
func (l Layout) Levels() int { return len(l.first) }

// FirstPage returns the number, in file order, of the first page of a level. Level 0 is the root's.
func (l Layout) FirstPage(level int) int64 { return l.first[level] }

// Pages returns the number of pages in the page file.
func (l Layout) Pages() int64 { return l.pages }

// Bytes returns the size of the page file.
func (l Layout) Bytes() int64 { return l.pages * PageSize }
