// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// piece is how many bytes of the old image are read at once.
const piece = 16 << 10

// An unpacker makes blocks out of frames. Its memory is used again for the next frame.
type unpacker struct {
	h        *header
	old      io.ReaderAt
	zstd     *zstd.Decoder
	c        corrector
	control  []byte
	inserted []byte
	window   []byte
}

func newUnpacker(h *header, old io.ReaderAt) (*unpacker, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(uint64(h.frameSize)), zstd.WithDecoderMaxWindow(uint64(MaxFrameSize)), zstd.IgnoreChecksum(true))
	if err != nil {
		return nil, err
	}
	return &unpacker{h: h, old: old, zstd: z, window: make([]byte, piece+2*margin)}, nil
}

// unpack fills block, which begins at start in the new image, from a frame. The frame may be anything.
func (u *unpacker) unpack(frame, block []byte, start int64) error {
	n, frame, err := varint(frame)
	if err != nil {
		return err
	}
	m, frame, err := varint(frame)
	if err != nil {
		return err
	}
	if n > int64(len(frame)) || m > int64(len(frame))-n {
		return fmt.Errorf("parts of %d and %d bytes in %d: %w", n, m, len(frame), ErrBounds)
	}
	// What the header did not declare is not allocated.
	left := u.h.memory - needed(u.h.frameSize, int64(len(frame)), 0, 0)
	if u.control, err = u.expand(u.control, frame[:n], min(left, maxControl(u.h.frameSize))); err != nil {
		return fmt.Errorf("control: %w", err)
	}
	left -= int64(len(u.control))
	if u.inserted, err = u.expand(u.inserted, frame[n:n+m], min(left, int64(len(block)))); err != nil {
		return fmt.Errorf("inserted: %w", err)
	}
	u.c.reset(nil, newBitReader(frame[n+m:]))
	return u.run(block, start)
}

// maxControl bounds the unpacked control bytes of a frame.
func maxControl(frameSize int64) int64 { return frameSize }

// expand is zstd's decoding of p, which makes at most limit bytes. Nothing is made of nothing.
func (u *unpacker) expand(dst, p []byte, limit int64) ([]byte, error) {
	if len(p) == 0 {
		return dst[:0], nil
	}
	var h zstd.Header
	if err := h.Decode(p); err != nil || h.Skippable || h.HasFCS && h.FrameContentSize > uint64(limit) || !h.HasFCS {
		return dst, fmt.Errorf("zstd frame of unknown or too large size, at most %d: %w", limit, ErrBounds)
	}
	if int64(cap(dst)) < int64(h.FrameContentSize) {
		dst = make([]byte, 0, h.FrameContentSize)
	}
	dst, err := u.zstd.DecodeAll(p, dst[:0])
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if int64(len(dst)) > limit {
		return dst, fmt.Errorf("%d bytes unpacked, at most %d: %w", len(dst), limit, ErrBounds)
	}
	return dst, nil
}

// run follows the operations.
func (u *unpacker) run(block []byte, start int64) error {
	control, inserted := u.control, u.inserted
	shift, at := int64(0), start
	for len(block) > 0 {
		copied, rest, err := varint(control)
		if err != nil {
			return err
		}
		literal, rest, err := varint(rest)
		if err != nil {
			return err
		}
		control = rest
		if copied > int64(len(block)) || literal > int64(len(block))-copied || copied+literal == 0 {
			return fmt.Errorf("operation of %d and %d bytes, %d left in the block: %w", copied, literal, len(block), ErrBounds)
		}
		if literal > int64(len(inserted)) {
			return fmt.Errorf("%d bytes to insert, %d left: %w", literal, len(inserted), ErrBounds)
		}
		if copied > 0 {
			move, n := binary.Varint(control)
			if n <= 0 || move > 2*MaxImageSize || move < -2*MaxImageSize {
				return fmt.Errorf("unreadable shift: %w", ErrBounds)
			}
			control, shift = control[n:], shift+move
			if from := at + shift; from < 0 || from > u.h.oldSize-copied {
				return fmt.Errorf("copy of %d bytes at %d of an old image of %d: %w", copied, from, u.h.oldSize, ErrBounds)
			}
			if err := u.copy(block[:copied], at, shift); err != nil {
				return err
			}
		}
		copy(block[copied:], inserted[:literal])
		block, inserted, at = block[copied+literal:], inserted[literal:], at+copied+literal
	}
	if len(control)+len(inserted) > 0 {
		return fmt.Errorf("%d control and %d inserted bytes too many: %w", len(control), len(inserted), ErrBounds)
	}
	return nil
}

// copy fills new, at position at, from the old image and the corrections. The range was checked.
func (u *unpacker) copy(new []byte, at, shift int64) error {
	for len(new) > 0 {
		n := min(piece-at%piece, int64(len(new)))
		lo := at + shift - margin
		w := u.window[:n+2*margin]
		clear(w[:margin])
		clear(w[n+margin:])
		from, to := max(lo, 0), min(lo+int64(len(w)), u.h.oldSize)
		if err := readFull(u.old, w[from-lo:to-lo], from); err != nil {
			return fmt.Errorf("read old image at %d: %w", from, err)
		}
		u.c.span(w, new[:n], at)
		new, at = new[n:], at+n
	}
	return nil
}

// varint reads an unsigned number below 2^62.
func varint(p []byte) (int64, []byte, error) {
	v, n := binary.Uvarint(p)
	if n <= 0 || v >= 1<<62 {
		return 0, nil, fmt.Errorf("unreadable number: %w", ErrBounds)
	}
	return int64(v), p[n:], nil
}

// readFull fills p. The end of the file within p is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, p []byte, offset int64) error {
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
