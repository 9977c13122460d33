// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"fmt"
	"io"
)

const (
	windowSize = 32 << 10
	viewSize   = windowSize / 4
	behind     = 512 // kept of what lies before the bytes asked for: copies jump back as often as forth
	piece      = (viewSize - behind - 2*margin) / quiet * quiet
)

// A window shows pieces of the old image, those that were asked for last: copies jump between few places. Around the image there are zeros.
type window struct {
	old   io.ReaderAt
	size  int64
	views [windowSize / viewSize]view // the latest first
}

// A view holds the bytes from lo to hi.
type view struct {
	lo, hi int64
	buf    []byte
}

func newWindow(old io.ReaderAt, size int64) *window {
	w, buf := &window{old: old, size: size}, make([]byte, windowSize)
	for i := range w.views {
		w.views[i].buf = buf[i*viewSize:][:viewSize]
	}
	return w
}

// around returns the n bytes at from, at most piece, with margin bytes before and behind them. They hold until the next call.
func (w *window) around(from, n int64) ([]byte, error) {
	from, n = from-margin, n+2*margin
	i := 0
	for i < len(w.views)-1 && (from < w.views[i].lo || from+n > w.views[i].hi) {
		i++
	}
	v := w.views[i]
	copy(w.views[1:i+1], w.views[:i])
	w.views[0] = v
	if from < v.lo || from+n > v.hi {
		if err := w.fill(&w.views[0], from-behind); err != nil {
			return nil, err
		}
		v = w.views[0]
	}
	return v.buf[from-v.lo:][:n], nil
}

// fill makes v the view from lo on.
func (w *window) fill(v *view, lo int64) error {
	v.lo, v.hi = 0, 0
	hi := lo + viewSize
	clear(v.buf[:max(0, min(-lo, viewSize))])
	clear(v.buf[max(0, min(w.size-lo, viewSize)):])
	a, b := max(lo, 0), min(hi, w.size)
	if a < b {
		if err := readFull(w.old, v.buf[a-lo:b-lo], a); err != nil {
			return fmt.Errorf("read old image at %d: %w", a, err)
		}
	}
	v.lo, v.hi = lo, hi
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
		rest := v.buf[pos-v.lo : min(v.hi, w.size)-v.lo]
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
