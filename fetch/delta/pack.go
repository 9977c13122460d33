// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
)

// A packer writes frames. Its memory is used again for the next frame.
type packer struct {
	zstd     *zstd.Encoder
	c        corrector
	control  []byte
	inserted []byte
	bits     []byte
	window   []byte
	parts    sizes // of the last frame
}

// sizes are the packed bytes of a frame by kind.
type sizes struct{ control, inserted, corrections int }

func newPacker(frameSize int64) (*packer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(int(frameSize)), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, err
	}
	return &packer{zstd: z, window: make([]byte, piece+2*margin)}, nil
}

// pack returns the frame that makes block, which begins at start in the new image, out of spans that cover it.
func (k *packer) pack(old []byte, block []byte, start int64, spans []span) []byte {
	k.control, k.inserted = k.control[:0], k.inserted[:0]
	w := newBitWriter(k.bits[:0])
	k.c.reset(w, nil)
	shift := int64(0)
	end := start + int64(len(block))
	for len(spans) > 0 {
		// One operation: copied bytes, then inserted ones; either may be none.
		var copied, inserted int64
		move := int64(0)
		if s := spans[0]; !s.inserted {
			lo, hi := max(int64(s.start), start), min(int64(s.end), end)
			copied = hi - lo
			move, shift = s.shift-shift, s.shift
			k.correct(old, block[lo-start:hi-start], lo, shift)
			spans = spans[1:]
		}
		for len(spans) > 0 && spans[0].inserted {
			lo, hi := max(int64(spans[0].start), start), min(int64(spans[0].end), end)
			k.inserted = append(k.inserted, block[lo-start:hi-start]...)
			inserted += hi - lo
			spans = spans[1:]
		}
		k.control = binary.AppendUvarint(k.control, uint64(copied))
		k.control = binary.AppendUvarint(k.control, uint64(inserted))
		if copied > 0 {
			k.control = binary.AppendVarint(k.control, move)
		}
	}
	k.bits = w.close()
	control := k.zstd.EncodeAll(k.control, nil)
	var literal []byte
	if len(k.inserted) > 0 {
		literal = k.zstd.EncodeAll(k.inserted, nil)
	}
	k.parts = sizes{len(control), len(literal), len(k.bits)}
	out := binary.AppendUvarint(nil, uint64(len(control)))
	out = binary.AppendUvarint(out, uint64(len(literal)))
	out = append(out, control...)
	out = append(out, literal...)
	return append(out, k.bits...)
}

// correct codes the bytes of new, at position at, against the old image.
func (k *packer) correct(old, new []byte, at, shift int64) {
	for len(new) > 0 {
		n := min(piece-at%piece, int64(len(new)))
		lo := at + shift - margin
		w := k.window[:n+2*margin]
		clear(w)
		from := max(lo, 0)
		copy(w[from-lo:], old[min(from, int64(len(old))):])
		k.c.span(w, new[:n], at)
		new, at = new[n:], at+n
	}
}
