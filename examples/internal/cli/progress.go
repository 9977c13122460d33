// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// barWidth is the number of cells of a progress bar.
const barWidth = 30

// A Bar shows a download: one line that redraws itself on a terminal, elsewhere a plain line for every tenth, once.
type Bar struct {
	w        io.Writer
	label    string
	terminal bool
	tenth    int64
	total    int64
	open     bool
}

// NewBar returns a bar on w.
func NewBar(w io.Writer, label string) *Bar {
	b := &Bar{w: w, label: label, tenth: -1}
	if f, ok := w.(*os.File); ok {
		st, err := f.Stat()
		b.terminal = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// Set shows done of total bytes.
func (b *Bar) Set(done, total int64) { b.SetRate(done, total, 0, 0) }

// SetRate is Set with the bytes per second and the time that is left, if rate is not zero.
func (b *Bar) SetRate(done, total, rate int64, left time.Duration) {
	if total <= 0 {
		return
	}
	start, end := "\r", ""
	if !b.terminal {
		t := done * 10 / total
		if t <= b.tenth && total == b.total {
			return
		}
		b.tenth, b.total, start, end = t, total, "", "\n"
	}
	b.open = b.terminal
	pace := ""
	if rate > 0 {
		pace = fmt.Sprintf(", %s/s, %v left", Bytes(rate), left)
	}
	if b.terminal {
		end = "\x1b[K" // what a longer line left behind
	}
	fmt.Fprintf(b.w, "%s%s [%s] %3d %% %s of %s%s%s", start, b.label, cells(done, total), done*100/total, Bytes(done), Bytes(total), pace, end)
}

// Done ends the line.
func (b *Bar) Done() {
	if b.open {
		fmt.Fprintln(b.w)
		b.open = false
	}
}

func cells(done, total int64) string {
	n := int(done * barWidth / total)
	return strings.Repeat("#", n) + strings.Repeat(".", barWidth-n)
}

// Bytes writes n for people.
func Bytes(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// Count writes a number with its noun, such as "1 chunk" and "2 chunks".
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
