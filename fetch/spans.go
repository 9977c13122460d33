// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"slices"
	"sync"
)

// A span is the bytes from start up to end.
type span struct{ start, end int64 }

// spans are the bytes that are there: in order, apart from each other, none empty.
type spans []span

// add returns s with n, which must not overlap any of s.
func (s spans) add(n span) spans {
	i := len(s) // they are few, and most come at the end
	for i > 0 && s[i-1].start > n.start {
		i--
	}
	before, behind := i > 0 && s[i-1].end == n.start, i < len(s) && s[i].start == n.end
	switch {
	case before && behind:
		s[i-1].end = s[i].end
		return append(s[:i], s[i+1:]...)
	case before:
		s[i-1].end = n.end
	case behind:
		s[i].start = n.start
	default:
		s = append(s, n)
		copy(s[i+1:], s[i:])
		s[i] = n
	}
	return s
}

// without returns s without n, of which any part may be in s.
func (s spans) without(n span) (rest spans) {
	for _, x := range s {
		for _, part := range []span{{x.start, min(x.end, n.start)}, {max(x.start, n.end), x.end}} {
			if part.start < part.end {
				rest = append(rest, part)
			}
		}
	}
	return rest
}

// bytes returns how many there are.
func (s spans) bytes() (n int64) {
	for _, x := range s {
		n += x.end - x.start
	}
	return n
}

// prefix returns how far the bytes from 0 on reach.
func (s spans) prefix() int64 {
	if len(s) > 0 && s[0].start == 0 {
		return s[0].end
	}
	return 0
}

// A plan deals out what is missing, in order, in pieces that become one request each. Safe for concurrent use.
type plan struct {
	mu     sync.Mutex
	todo   spans // what nobody works on yet
	piece  int64 // the most that is dealt out at a time; 0: no limit
	active int   // lanes at work
}

// newPlan returns the plan for what is missing of size bytes, for a number of lanes.
func newPlan(have spans, size, piece int64, lanes int) *plan {
	p := &plan{piece: piece, active: lanes}
	at := int64(0)
	for _, x := range append(slices.Clone(have), span{size, size}) {
		if at < x.start {
			p.todo = append(p.todo, span{at, x.start})
		}
		at = x.end
	}
	return p
}

// take deals out the next piece. If there is none, the lane that asked ends.
func (p *plan) take() (from, to int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.todo) == 0 {
		p.active--
		return 0, 0, false
	}
	from, to = p.todo[0].start, p.todo[0].end
	if p.piece > 0 {
		to = min(to, from+p.piece)
	}
	if p.todo[0].start = to; to == p.todo[0].end {
		p.todo = p.todo[1:]
	}
	return from, to, true
}

// pieces reports whether the plan is still dealt out in pieces.
func (p *plan) pieces() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.piece > 0
}

// alone is called by a lane whose server does not serve ranges: from then on everything is dealt out whole. It reports whether the lane is the
// last one and has to go on; otherwise its piece is given back, and the lane ends.
func (p *plan) alone(from, to int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.piece = 0
	if p.active == 1 {
		return true
	}
	p.active--
	p.todo = p.todo.add(span{from, to})
	return false
}

// rest takes what follows end without a gap, and returns where it ends: a body that cannot be had from the middle is read on.
func (p *plan) rest(end int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.todo) > 0 && p.todo[0].start == end {
		end = p.todo[0].end
		p.todo = p.todo[1:]
	}
	return end
}
