// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Limits of the format.
const (
	MinFrameSize     = 64 << 10
	MaxFrameSize     = 1 << 20
	DefaultFrameSize = 256 << 10

	// MaxImageSize is the largest old or new image.
	MaxImageSize = 1 << 40
	// DefaultMemory is how many bytes of buffers Open accepts if nothing else is said.
	DefaultMemory = 2 << 20
)

// Errors to branch on. Each is found with errors.Is. A frame or block with a wrong digest is fetch.ErrDigest.
var (
	// ErrFormat says that the bytes are no patch, or one of a later version.
	ErrFormat = errors.New("delta: not a patch")
	// ErrBase says that the old image is not the one that the patch was made from.
	ErrBase = errors.New("delta: wrong old image")
	// ErrBounds says that a patch speaks of bytes outside of the images, its frames or the limits of the format.
	ErrBounds = errors.New("delta: out of bounds")
	// ErrReads says that making one frame would read too much of the old image. It is an ErrBounds.
	ErrReads = fmt.Errorf("delta: reads too much of the old image: %w", ErrBounds)
	// ErrMemory says that applying the patch takes more memory than the caller allows.
	ErrMemory = errors.New("delta: needs too much memory")
	// ErrUse says that arguments do not fit together.
	ErrUse = errors.New("delta: unusable arguments")
)

const (
	magic       = "\x89FMDLT1\n"
	headerSize  = 128
	entrySize   = 4 + 32 + 32
	pageEntries = 64
)

// A header is the signed part of a patch.
type header struct {
	frameSize        int64
	memory           int64
	oldSize, newSize int64
	old, new, table  [32]byte
}

func (h *header) frames() int64 { return (h.newSize-1)/h.frameSize + 1 }
func (h *header) pages() int64  { return (h.frames()-1)/pageEntries + 1 }

// tableSize is the length of all pages: each but the last ends in the digest of the next.
func (h *header) tableSize() int64 { return h.frames()*entrySize + (h.pages()-1)*32 }

// page returns where page n of the table lies in the patch, its entries and its length.
func (h *header) page(n int64) (offset, entries, length int64) {
	entries = min(pageEntries, h.frames()-n*pageEntries)
	length = entries * entrySize
	if n < h.pages()-1 {
		length += 32
	}
	return headerSize + n*(pageEntries*entrySize+32), entries, length
}

// maxPacked bounds a packed frame: what a frame of nothing but incompressible inserted bytes takes, and some more.
func maxPacked(frameSize int64) int64 { return frameSize + frameSize/16 + 256 }

// longest is the length of the longest packed frame, as the header has it.
func (h *header) longest() int64 {
	return max(0, min(maxPacked(h.frameSize), h.memory-needed(h.frameSize, 0)))
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, uint32(h.frameSize))
	b = binary.BigEndian.AppendUint32(b, uint32(h.memory))
	b = binary.BigEndian.AppendUint64(b, uint64(h.oldSize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.newSize))
	b = append(b, h.old[:]...)
	b = append(b, h.new[:]...)
	return append(b, h.table[:]...)
}

func decodeHeader(b []byte) (header, error) {
	if len(b) != headerSize || string(b[:8]) != magic {
		return header{}, fmt.Errorf("no patch of version 1: %w", ErrFormat)
	}
	h := header{
		frameSize: int64(binary.BigEndian.Uint32(b[8:])), memory: int64(binary.BigEndian.Uint32(b[12:])),
		old: [32]byte(b[32:]), new: [32]byte(b[64:]), table: [32]byte(b[96:]),
	}
	oldSize, newSize := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	if h.frameSize < MinFrameSize || h.frameSize > MaxFrameSize || bits.OnesCount64(uint64(h.frameSize)) != 1 {
		return header{}, fmt.Errorf("frames of %d bytes, expected a power of two from %d to %d: %w", h.frameSize, MinFrameSize, MaxFrameSize, ErrBounds)
	}
	if oldSize > MaxImageSize || newSize > MaxImageSize || newSize == 0 {
		return header{}, fmt.Errorf("images of %d and %d bytes, expected at most %d: %w", oldSize, newSize, int64(MaxImageSize), ErrBounds)
	}
	h.oldSize, h.newSize = int64(oldSize), int64(newSize)
	return h, nil
}

// An entry of the table tells of one frame.
type entry struct {
	length       int64
	frame, block [32]byte // digests of the packed frame and of the block it makes
}

func (e *entry) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(e.length))
	b = append(b, e.frame[:]...)
	return append(b, e.block[:]...)
}

func decodeEntry(b []byte) entry {
	return entry{int64(binary.BigEndian.Uint32(b)), [32]byte(b[4:]), [32]byte(b[36:])}
}

// encodeTable returns the pages for the entries, and the digest of the first.
func encodeTable(h *header, entries []entry) ([]byte, [32]byte) {
	pages := make([]byte, h.tableSize())
	var next [32]byte
	for n := h.pages() - 1; n >= 0; n-- {
		offset, count, length := h.page(n)
		offset -= headerSize
		p := pages[offset : offset : offset+length]
		for i := range count {
			p = entries[n*pageEntries+i].append(p)
		}
		if n < h.pages()-1 {
			p = append(p, next[:]...)
		}
		next = sha256.Sum256(p)
	}
	return pages, next
}
