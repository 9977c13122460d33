// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"fmt"
	"io"
)

// A Reader yields the new image from an offset on, for a writer that verifies and resumes by itself, as a fetch.Fetcher does. Every
// block was compared with its digest in the patch before a byte of it is given out. Close it when done; not safe for concurrent use.
type Reader struct {
	p     *Patch
	ctx   context.Context
	u     *unpacker
	at    int64 // of the next byte to be given out
	block []byte
	rest  []byte // of block, not given out yet
}

// Reader returns a Reader from offset on, which may be within a frame: that frame is made again. It reads nothing yet, and does not compare old with its
// digest: see CheckBase. An offset outside of the image is ErrUse.
func (p *Patch) Reader(ctx context.Context, old io.ReaderAt, offset int64) (*Reader, error) {
	if offset < 0 || offset > p.h.newSize {
		return nil, fmt.Errorf("read at %d of %d: %w", offset, p.h.newSize, ErrUse)
	}
	u, err := newUnpacker(ctx, &p.h, old)
	if err != nil {
		return nil, err
	}
	return &Reader{p: p, ctx: ctx, u: u, at: offset, block: make([]byte, min(p.h.frameSize, p.h.newSize))}, nil
}

// Read makes the next frame if there is nothing left of the last one. Errors: those of Apply, but for those of a sink; after one, nothing more is given out.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 {
		if r.at == r.p.h.newSize {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, r.rest)
	r.rest, r.at = r.rest[n:], r.at+int64(n)
	return n, nil
}

func (r *Reader) next() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	start := r.at - r.at%r.p.h.frameSize
	block := r.block[:min(r.p.h.frameSize, r.p.h.newSize-start)]
	if err := r.p.block(r.ctx, r.u, block, start, nil); err != nil {
		return fmt.Errorf("frame %d: %w", start/r.p.h.frameSize, err)
	}
	r.rest = block[r.at-start:]
	return nil
}

// Close releases what unpacking took.
func (r *Reader) Close() error {
	r.u.zstd.Close()
	return nil
}

var _ io.ReadCloser = (*Reader)(nil)
