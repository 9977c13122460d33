// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
)

// holder is a Holder in memory.
type holder struct {
	*scattered
	held int64
}

func (h *holder) Held() int64 { return h.held }

// What a sink holds is looked at, chunk by chunk: what is right is there, whoever wrote it, and a bad byte costs its chunk. NET-16
func TestHolder(t *testing.T) {
	r := wideRelease()
	chunkOf := func(n int64) string { return fmt.Sprintf("%d+%d", n*wide, min(wide, broad-n*wide)) }
	for name, c := range map[string]struct {
		held int64
		bent []int64 // chunks
		want []string
		left int64 // ResumedFrom
	}{
		"all of it":              {broad, nil, nil, broad},
		"longer than the file":   {2 * broad, nil, nil, broad},
		"half":                   {broad / 2, nil, []string{fmt.Sprintf("%d+0", broad/2/wide*wide)}, broad / 2 / wide * wide},
		"one bad chunk":          {broad, []int64{7}, []string{chunkOf(7)}, 7 * wide},
		"two, and one at an end": {broad, []int64{0, 33, 160}, []string{chunkOf(0), chunkOf(33), fmt.Sprintf("%d+0", 160*wide)}, 0},
	} {
		for parallel := 1; parallel <= 2; parallel++ {
			src, sink := newServer(r), &holder{newScattered(), c.held}
			copy(sink.medium, r.data)
			for _, n := range c.bent {
				sink.medium[n*wide+5] ^= 1
			}
			st, err := newFetcher(t, fetch.Options{Source: src, Parallel: parallel}).Fetch(t.Context(), r.res, sink)
			if err != nil || sink.wrong != nil || !bytes.Equal(sink.medium, r.data) || sink.offset != broad {
				t.Errorf("%s: %v, %v, stands at %d", name, err, sink.wrong, sink.offset)
			}
			var got []string
			for _, q := range src.seen() {
				got = append(got, fmt.Sprintf("%d+%d", q.offset, q.length))
			}
			if parallel == 1 && fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s: asked for %v, want %v", name, got, c.want)
			}
			if st.Fetched != r.res.Size-st.Kept || st.ResumedFrom != c.left {
				t.Errorf("%s, %d at a time: %+v, want it to resume from %d", name, parallel, st, c.left)
			}
		}
	}
}

// With seeds of its own the source is read in order, and its sink is not looked at.
func TestHolderUnderOrderedSource(t *testing.T) {
	r := wideRelease()
	sink := &holder{newScattered(), broad}
	copy(sink.medium, r.data)
	src := newServer(r)
	o := fetch.Options{Source: ordered{src}}
	if st, err := newFetcher(t, o).Fetch(t.Context(), r.res, &inOrder{sink}); err != nil || st.Kept != 0 || len(src.seen()) != 1 {
		t.Errorf("%v, %+v, %v", err, st, src.seen())
	}
}

type ordered struct{ *server }

func (ordered) ReadInOrder() {}

// inOrder takes bytes in order, too.
type inOrder struct{ *holder }

func (s *inOrder) Write(p []byte) (int, error) {
	n, err := s.WriteAt(p, s.offset)
	s.offset += int64(n)
	return n, err
}
