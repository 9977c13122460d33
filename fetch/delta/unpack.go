// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// An unpacker makes blocks out of frames. Its memory is used again for the next frame.
type unpacker struct {
	h      *header
	packed []byte // room for the longest frame
	old    *window
	used   usage
	zstd   *zstd.Decoder
	d      decoder
}

func newUnpacker(ctx context.Context, h *header, old io.ReaderAt) (*unpacker, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(h.frameSize)), zstd.WithDecoderMaxWindow(uint64(MaxFrameSize)), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, err
	}
	return &unpacker{h: h, packed: make([]byte, h.longest()), old: newWindow(ctx, old, h.oldSize), zstd: z}, nil
}

// unpack fills block, which begins at start in the new image, from a frame. The frame may be anything.
func (u *unpacker) unpack(frame, block []byte, start int64) error {
	v, n := binary.Uvarint(frame)
	if n <= 0 || v > uint64(len(frame)-n) {
		return fmt.Errorf("inserted part of %d bytes in a frame of %d: %w", v, len(frame), ErrBounds)
	}
	if n > 1 && frame[n-1] == 0 {
		return fmt.Errorf("length of the inserted part in %d bytes, expected its shortest form: %w", n, ErrFormat)
	}
	part, rest := frame[n:n+int(v)], frame[n+int(v):]
	inserted, err := u.insert(part, block)
	if err != nil {
		return fmt.Errorf("inserted: %w", err)
	}
	u.d.begin(rest)
	u.used = usage{}
	return u.run(block, inserted, start)
}

// insert unpacks the inserted bytes into the end of block. There they are out of the way until they have been moved to
// their places: what is left of them always fits what is left of the block.
func (u *unpacker) insert(part, block []byte) ([]byte, error) {
	if len(part) == 0 {
		return nil, nil
	}
	var h zstd.Header
	if err := h.Decode(part); err != nil || h.Skippable || !h.HasFCS || h.FrameContentSize == 0 || h.FrameContentSize > uint64(len(block)) {
		return nil, fmt.Errorf("no zstd frame, or one of unknown size, of nothing or of more than %d bytes: %w", len(block), ErrBounds)
	}
	if !whole(&h, part) {
		return nil, fmt.Errorf("%d bytes that are not one zstd frame: %w", len(part), ErrFormat)
	}
	end := block[len(block)-int(h.FrameContentSize):]
	out, err := u.zstd.DecodeAll(part, end[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(out) != len(end) {
		return nil, fmt.Errorf("%d bytes unpacked, %d announced: %w", len(out), len(end), ErrBounds)
	}
	copy(end, out) // the same place, unless zstd chose another
	return end, nil
}

// whole reports whether the zstd frame with the header h, at the beginning of part, ends where part does. A decoder would go on with
// what follows as with another frame.
func whole(h *zstd.Header, part []byte) bool {
	for rest := part[h.HeaderSize:]; len(rest) >= 3; {
		block := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		size, last := int(block>>3), block&1 != 0
		if block>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if rest = rest[3:]; size > len(rest) {
			return false
		}
		rest = rest[size:]
		if last {
			return len(rest) == 4*int(flag(h.HasCheckSum))
		}
	}
	return false
}

// run follows the operations.
func (u *unpacker) run(block, inserted []byte, start int64) error {
	at := start
	for len(block) > 0 {
		copied, literal, shift, turn := u.d.operation()
		if copied > int64(len(block)) || literal > int64(len(block))-copied || copied+literal == 0 {
			return fmt.Errorf("operation of %d and %d bytes, %d left in the block: %w", copied, literal, len(block), ErrBounds)
		}
		if literal > int64(len(inserted)) || int64(len(inserted)) > int64(len(block))-copied {
			return fmt.Errorf("%d bytes to copy and %d to insert, %d of them left: %w", copied, literal, len(inserted), ErrBounds)
		}
		if copied > 0 {
			if from := at + shift; from < 0 || from > u.h.oldSize-copied {
				return fmt.Errorf("copy of %d bytes at %d of an old image of %d: %w", copied, from, u.h.oldSize, ErrBounds)
			}
			if u.used.copy(at+shift, copied); u.used.pages > maxPages(u.h.frameSize) {
				return fmt.Errorf("copies from %d pages of the old image, at most %d: %w", u.used.pages, maxPages(u.h.frameSize), ErrReads)
			}
			if err := u.copy(block[:copied], at, shift, turn); err != nil {
				return err
			}
		}
		copy(block[copied:], inserted[:literal])
		block, inserted, at = block[copied+literal:], inserted[literal:], at+copied+literal
	}
	return nil
}

// copy fills new, at position at, from the old image and the corrections. The range was checked.
func (u *unpacker) copy(new []byte, at, shift int64, turn uint8) error {
	for len(new) > 0 {
		n := min(piece-at%quiet, int64(len(new)))
		w, err := u.old.turned(at+shift, n, turn)
		if err != nil {
			return err
		}
		u.d.span(w, new[:n], at)
		new, at = new[n:], at+n
	}
	return nil
}
