// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"fmt"
	"io"
)

const (
	oldPage  = 4 << 10     // what a frame uses of the old image is counted in pages of so many bytes
	held     = 4           // pages that a reader holds, those used last
	views    = held + 1    // so that none is read again that does not count again
	piece    = 2 * oldPage // bytes asked for at once
	viewSize = piece + oldPage
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

// A view holds whole pages from the page lo on, margin bytes before them and twice as many behind them. No two begin with the same page.
type view struct {
	lo, size int64 // size 0: nothing
	buf      []byte
}

func newWindow(ctx context.Context, old io.ReaderAt, size int64) *window {
	w, buf := &window{ctx: ctx, old: old, size: size}, make([]byte, views*(viewSize+slack))
	for i := range w.views {
		w.views[i] = view{buf: buf[i*(viewSize+slack):][:viewSize+slack]}
	}
	return w
}

func (v *view) has(from, n int64) bool { return from >= v.lo && from+n <= v.lo+v.size }

// around returns the n bytes at from, at most piece, with margin bytes before and twice as many behind them. They hold until the next call.
func (w *window) around(from, n int64) ([]byte, error) {
	page := from - from%oldPage
	i := 0
	for i < len(w.views)-1 && !w.views[i].has(from, n) && !w.views[i].begins(page) {
		i++
	}
	v := w.views[i]
	copy(w.views[1:i+1], w.views[:i])
	w.views[0] = v
	if !v.has(from, n) {
		if !v.begins(page) {
			w.views[0].lo, w.views[0].size = page, 0
		}
		if err := w.fill(&w.views[0], (from+n-page+oldPage-1)/oldPage*oldPage); err != nil {
			return nil, err
		}
		v = w.views[0]
	}
	return v.buf[from-v.lo:][:n+slack], nil
}

func (v *view) begins(page int64) bool { return v.size > 0 && v.lo == page }

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

// fill makes v have size bytes, more than it has.
func (w *window) fill(v *view, size int64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	from, to := v.lo-margin, v.lo+size+2*margin
	if v.size > 0 {
		from = v.lo + v.size + 2*margin
	}
	p := v.buf[margin+from-v.lo : margin+to-v.lo]
	v.size = 0
	a, b := max(from, 0), min(to, w.size)
	clear(p[:a-from])
	clear(p[max(0, b-from):])
	if a < b {
		if err := readFull(w.old, p[a-from:b-from], a); err != nil {
			return fmt.Errorf("read old image at %d: %w", a, err)
		}
	}
	v.size = size
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
		rest := v.buf[margin+pos-v.lo : margin+min(v.lo+v.size, w.size)-v.lo]
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
	pages int64       // a window reads at most three for each, and margins
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
