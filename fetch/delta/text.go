// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"io"
	"sort"
)

// A stretch is a run of the old image that lies in a text.
type stretch struct {
	start, length int64
	turn          uint8 // by so many bits
	at            int   // where it begins in the text
}

// load makes the text that has the given stretches of the old image, sorted, the turned ones last. buf and array have room for all of them.
func (t *text) load(old io.ReaderAt, stretches []stretch, buf []byte, array []int32) error {
	t.pieces, t.data, t.plain = stretches, buf[:0], len(stretches)
	for i := range stretches {
		s := &stretches[i]
		s.at = len(t.data)
		t.data = t.data[:len(t.data)+int(s.length)]
		if err := readFull(old, t.data[s.at:], s.start); err != nil {
			return err
		}
		if s.turn > 0 {
			t.plain = min(t.plain, i)
			turnBits(t.data[s.at:], t.data[s.at:], s.turn)
			t.data = t.data[:len(t.data)-1]
			s.length--
		}
	}
	t.sort(array)
	return nil
}

// local returns where the text has the byte at position at of the old image, not turned.
func (t *text) local(at int64) (int, bool) {
	n := sort.Search(t.plain, func(i int) bool { return t.pieces[i].start > at }) - 1
	if n < 0 || at >= t.pieces[n].start+t.pieces[n].length {
		return 0, false
	}
	return t.pieces[n].at + int(at-t.pieces[n].start), true
}

// global appends spans to all, which a parser found in new bytes that begin at position base of the new image: what it
// copied from one place of the text may lie in several of the old image.
func (t *text) global(all, spans []span, base int64) []span {
	for _, s := range spans {
		if s.inserted {
			all = append(all, span{start: s.start + base, end: s.end + base, inserted: true})
			continue
		}
		for s.start < s.end {
			at := int(s.start + s.shift)
			p := t.pieces[sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].at > at })-1]
			n := min(s.end-s.start, p.length-int64(at-p.at))
			all = append(all, span{s.start + base, s.start + n + base, p.start + int64(at-p.at) - s.start - base, p.turn, false})
			s.start += n
		}
	}
	return all
}
