// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"fmt"
	"io"
)

const (
	oldPage  = 4 << 10 // what a frame uses of the old image is counted in pages of so many bytes
	held     = 4       // pages that a reader holds, those used last
	viewSize = 2 * oldPage
	views    = held + 1 // so that none is read again that does not count again
	piece    = oldPage  // bytes asked for at once
	slack    = 3 * margin
)

// A window shows pieces of the old image, those that were asked for last: copies jump between few places. Around the image there are zeros.
type window struct {
	ctx   context.Context
	old   io.ReaderAt
	size  int64
	views [views]view // the latest first
	bent  []byte      // the piece that was turned last
}

// A view holds two pages from lo on, margin bytes before them and twice as many behind them.
type view struct {
	lo  int64 // -1: nothing
	buf []byte
}

func newWindow(ctx context.Context, old io.ReaderAt, size int64) *window {
	w, buf := &window{ctx: ctx, old: old, size: size}, make([]byte, views*(viewSize+slack))
	for i := range w.views {
		w.views[i] = view{-1, buf[i*(viewSize+slack):][:viewSize+slack]}
	}
	return w
}

func (v *view) has(from, n int64) bool { return v.lo >= 0 && from >= v.lo && from+n <= v.lo+viewSize }

// around returns the n bytes at from, at most piece, with margin bytes before and twice as many behind them. They hold until the next call.
func (w *window) around(from, n int64) ([]byte, error) {
	i := 0
	for i < len(w.views)-1 && !w.views[i].has(from, n) {
		i++
	}
	v := w.views[i]
	copy(w.views[1:i+1], w.views[:i])
	w.views[0] = v
	if !v.has(from, n) {
		if err := w.fill(&w.views[0], from-from%oldPage); err != nil {
			return nil, err
		}
		v = w.views[0]
	}
	return v.buf[from-v.lo:][:n+slack], nil
}

// turned is around for an image that begins turn bits later, if turn is not 0.
func (w *window) turned(from, n int64, turn uint8) ([]byte, error) {
	p, err := w.around(from, n)
	if err != nil || turn == 0 {
		return p, err
	}
	if w.bent == nil {
		w.bent = make([]byte, piece+slack)
	}
	turnBits(w.bent, p, turn)
	return w.bent[:len(p)-1], nil
}

// turnBits fills all but the last byte of as much of to as from has, with from turned.
func turnBits(to, from []byte, turn uint8) {
	for i := range len(from) - 1 {
		to[i] = from[i]>>turn | from[i+1]<<(8-turn)
	}
}

// fill makes v the view from lo on.
func (w *window) fill(v *view, lo int64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	v.lo = -1
	from, to := lo-margin, lo-margin+int64(len(v.buf))
	a, b := max(from, 0), min(to, w.size)
	clear(v.buf[:a-from])
	clear(v.buf[max(0, b-from):])
	if a < b {
		if err := readFull(w.old, v.buf[a-from:b-from], a); err != nil {
			return fmt.Errorf("read old image at %d: %w", a, err)
		}
	}
	v.lo = lo
	return nil
}

// equal returns how many bytes b has in common with the old image from pos on.
func (w *window) equal(b []byte, pos int64) (int, error) {
	n := 0
	for n < len(b) && pos >= 0 && pos < w.size {
		if _, err := w.around(pos, 1); err != nil {
			return 0, err
		}
		v := &w.views[0]
		rest := v.buf[margin+pos-v.lo : margin+min(v.lo+viewSize, w.size)-v.lo]
		k := common(rest, b[n:])
		n, pos = n+k, pos+int64(k)
		if k < len(rest) {
			break
		}
	}
	return n, nil
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

// A usage counts the pages of the old image that a frame uses and that its reader does not hold.
type usage struct {
	last  [held]int64 // pages and 1, the latest first
	pages int64       // a window reads at most about two for each
}

// maxPages is how many pages a frame may use: 64 times as many bytes as it makes.
func maxPages(frameSize int64) int64 { return 64 * frameSize / oldPage }

// copy counts what copying n bytes from from on uses.
func (u *usage) copy(from, n int64) {
	for page := from/oldPage + 1; page <= (from+n-1)/oldPage+1; page++ {
		i := 0
		for i < held && u.last[i] != page {
			i++
		}
		if i == held {
			u.pages++
			i--
		}
		copy(u.last[1:i+1], u.last[:i])
		u.last[0] = page
	}
}
