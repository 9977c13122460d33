// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A packer writes frames. Its memory is used again for the next frame.
type packer struct {
	old      *window
	zstd     *zstd.Encoder
	c        corrector
	inserted []byte
	literal  []byte // packed
	decided  []byte
	out      []byte
	used     usage
	bill
}

// A bill tells what frames are made of, and what that took.
type bill struct {
	copies, insert                int // spans; bytes
	differ, again, noise          int // bytes that differ: first ones, after one or two, after more
	inserted, operations, changes int // packed bytes
}

// packWithin is pack, but copies that are shorter than others are inserted until the frame uses no more of the old image than a reader
// allows.
func (k *packer) packWithin(most int64, block []byte, start int64, spans []span) ([]byte, error) {
	for short := int64(8); ; short += short / 2 {
		before := k.bill
		frame, err := k.pack(block, start, spans)
		if err != nil || k.used.pages <= most {
			return frame, err
		}
		k.bill = before
		for i := range spans {
			if s := &spans[i]; s.end-s.start < short {
				*s = span{start: s.start, end: s.end, inserted: true}
			}
		}
	}
}

func newPacker(ctx context.Context, old io.ReaderAt, h *header) (*packer, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderCRC(false),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(int(h.frameSize)), zstd.WithSingleSegment(true))
	if err != nil {
		return nil, err
	}
	return &packer{old: newWindow(ctx, old, h.oldSize), zstd: z}, nil
}

// pack returns the frame that makes block, which begins at start in the new image, out of the spans that it consists of. It holds
// until the next call.
func (k *packer) pack(block []byte, start int64, spans []span) ([]byte, error) {
	k.inserted, k.used = k.inserted[:0], usage{}
	k.c.write(k.decided[:0])
	k.c.model = *fresh
	for len(spans) > 0 {
		// One operation: copied bytes, then inserted ones; either may be none.
		var copied span
		if !spans[0].inserted {
			copied = spans[0]
			spans = spans[1:]
			k.copies++
		}
		literal := int64(0)
		for len(spans) > 0 && spans[0].inserted {
			s := spans[0]
			k.inserted = append(k.inserted, block[s.start-start:s.end-start]...)
			literal += s.end - s.start
			spans = spans[1:]
		}
		before := len(k.c.data)
		k.c.operation(copied.end-copied.start, literal, copied.shift, copied.turn)
		k.operations += len(k.c.data) - before
		if err := k.correct(block[max(0, copied.start-start):max(0, copied.end-start)], copied); err != nil {
			return nil, err
		}
	}
	corrections := k.c.close()
	k.decided = k.c.data
	if len(k.inserted) > 0 {
		k.literal = k.zstd.EncodeAll(k.inserted, k.literal[:0])
	} else {
		k.literal = k.literal[:0]
	}
	k.insert += len(k.inserted)
	k.bill.inserted += len(k.literal)
	k.changes += len(corrections)
	k.out = binary.AppendUvarint(k.out[:0], uint64(len(k.literal)))
	k.out = append(k.out, k.literal...)
	k.out = append(k.out, corrections...)
	return k.out, nil
}

// correct codes the bytes of new, which s copies from the old image.
func (k *packer) correct(new []byte, s span) error {
	if len(new) > 0 {
		k.used.copy(s.start+s.shift, s.end-s.start)
	}
	for at := s.start; len(new) > 0; {
		n := min(piece-at%quiet, int64(len(new)))
		w, err := k.old.turned(at+s.shift, n, s.turn)
		if err != nil {
			return err
		}
		k.count(w[margin:], new[:n])
		k.c.span(w, new[:n], at)
		new, at = new[n:], at+n
	}
	return nil
}

func (k *packer) count(old, new []byte) {
	missed := 0
	for i := 0; i < len(new); {
		if n := common(old[i:], new[i:]); n > 0 {
			i, missed = i+n, 0
			continue
		}
		switch {
		case missed == 0:
			k.differ++
		case missed < 3:
			k.again++
		default:
			k.noise++
		}
		missed++
		i++
	}
}
