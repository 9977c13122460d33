// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"fmt"
	"io"
)

const (
	windowSize = 32 << 10
	behind     = 4 << 10 // kept of what lies before the bytes asked for: copies jump back as often as forth
	piece      = (windowSize - behind - 2*margin) / quiet * quiet
)

// A window shows pieces of the old image. Around it there are zeros.
type window struct {
	old    io.ReaderAt
	size   int64
	lo, hi int64 // what buf holds
	buf    []byte
}

func newWindow(old io.ReaderAt, size int64) *window {
	return &window{old: old, size: size, buf: make([]byte, windowSize)}
}

// around returns the n bytes at from, at most piece, with margin bytes before and behind them. They hold until the next call.
func (w *window) around(from, n int64) ([]byte, error) {
	from, n = from-margin, n+2*margin
	if from < w.lo || from+n > w.hi {
		w.lo, w.hi = 0, 0
		lo := from - behind
		hi := lo + windowSize
		clear(w.buf[:max(0, min(-lo, windowSize))])
		clear(w.buf[max(0, min(w.size-lo, windowSize)):])
		a, b := max(lo, 0), min(hi, w.size)
		if a < b {
			if err := readFull(w.old, w.buf[a-lo:b-lo], a); err != nil {
				return nil, fmt.Errorf("read old image at %d: %w", a, err)
			}
		}
		w.lo, w.hi = lo, hi
	}
	return w.buf[from-w.lo : from-w.lo+n], nil
}

// equal returns how many bytes b has in common with the old image from pos on.
func (w *window) equal(b []byte, pos int64) (int, error) {
	n := 0
	for n < len(b) && pos >= 0 && pos < w.size {
		if _, err := w.around(pos, 1); err != nil {
			return 0, err
		}
		rest := w.buf[pos-w.lo : min(w.hi, w.size)-w.lo]
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
