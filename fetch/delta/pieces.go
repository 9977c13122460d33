// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sort"
)

const (
	// edge is how many bytes on either side of what no anchor took are sorted with it.
	edge = 512
	// reach is how far from where an anchor ends the old image is looked at for what follows in the new one, at least; it is
	// as far as the next anchor, if that is farther.
	reach = 256 << 10
)

// pieces makes all parts with anchors, within bounded memory: the same words are first the anchors' index, then the suffixes.
func (m *maker) pieces(ctx context.Context) error {
	words, buf := make([]int32, m.sorted), make([]byte, m.sorted)
	a, err := newAnchorer(ctx, m.old, m.new, words)
	if err != nil {
		return err
	}
	if err := a.find(ctx); err != nil {
		return err
	}
	m.anchors = a.all
	left := a.left()
	if m.h.oldSize > 0 && m.h.oldSize <= m.sorted { // then there is no need to choose
		left = []stretch{{length: m.h.oldSize}}
	}
	turnings, err := m.turnings(ctx, left, m.gaps(), func() []int32 { return words })
	if err != nil {
		return err
	}
	all, size := total(left), m.h.newSize
	if all > m.sorted {
		size = m.stage
	}
	for from := int64(0); from < m.h.newSize; from += size {
		to := min(from+size, m.h.newSize)
		turned := turned(turnings, from, to, max(m.sorted/4, m.sorted-all), m.h.oldSize)
		chosen := left
		if room := m.sorted - total(turned); all > room {
			chosen = nearest(both(left, m.wanted(from, to)), m.middle(from, to), room)
		}
		chosen = append(slices.Clip(chosen), turned...)
		if err := m.text.load(m.old, chosen, buf, words); err != nil {
			return fmt.Errorf("read old image: %w", err)
		}
		if err := m.parts(ctx, from, to); err != nil {
			return err
		}
	}
	return nil
}

// gaps returns what no anchor has of the new image.
func (m *maker) gaps() []stretch {
	var all []stretch
	last := int64(0)
	for _, a := range m.anchors {
		if a.start > last {
			all = append(all, stretch{start: last, length: a.start - last})
		}
		last = a.end
	}
	return append(all, stretch{start: last, length: m.h.newSize - last})
}

// left returns what no anchor took of the old image, and some more around it.
func (a *anchorer) left() []stretch {
	var all []stretch
	size := a.old.Size()
	for g := int64(0); g*grain < size; g++ {
		if a.taken.has(int(g)) {
			continue
		}
		from, to := max(0, g*grain-edge), min(size, (g+1)*grain+edge)
		if n := len(all) - 1; n >= 0 && all[n].start+all[n].length >= from {
			all[n].length = to - all[n].start
		} else {
			all = append(all, stretch{start: from, length: to - from})
		}
	}
	return all
}

// wanted returns where the old image may have what is between the anchors of from..to: around the ends of these.
func (m *maker) wanted(from, to int64) []stretch {
	var all []stretch
	add := func(at, length int64) {
		far := max(reach, length)
		start := max(0, at-far)
		all = append(all, stretch{start: start, length: min(m.h.oldSize, at+far) - start})
	}
	last, end := from, from
	for a := range between(m.anchors, from, to) {
		if gap := a.start - last; gap > 0 {
			add(end, gap)
			add(a.start+a.shift, gap)
		}
		last, end = a.end, a.end+a.shift
	}
	if last < to {
		add(end, to-last)
	}
	return merged(all)
}

// merged returns all in order, those that meet as one.
func merged(all []stretch) []stretch {
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.start, b.start)) })
	out := all[:0]
	for _, s := range all {
		if n := len(out) - 1; n >= 0 && s.turn == out[n].turn && s.start <= out[n].start+out[n].length {
			out[n].length = max(out[n].length, s.start+s.length-out[n].start)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// both returns what lies in stretches of a and of b, each of which is in order.
func both(a, b []stretch) []stretch {
	var all []stretch
	for len(a) > 0 && len(b) > 0 {
		end := min(a[0].start+a[0].length, b[0].start+b[0].length)
		if start := max(a[0].start, b[0].start); start < end {
			all = append(all, stretch{start: start, length: end - start})
		}
		if a[0].start+a[0].length == end {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return all
}

// middle returns about where the old image has what is between the anchors of from..to: the median of their places, each
// counting as much as the gap before it is long.
func (m *maker) middle(from, to int64) int64 {
	type place struct{ at, weight int64 }
	var all []place
	sum, last := int64(0), from
	for a := range between(m.anchors, from, to) {
		if gap := a.start - last; gap > 0 {
			all = append(all, place{a.start + a.shift, gap})
			sum += gap
		}
		last = a.end
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	half := int64(0)
	for _, p := range all {
		if half += p.weight; half >= sum/2 {
			return p.at
		}
	}
	return int64(float64(from+to) / 2 / float64(m.h.newSize) * float64(m.h.oldSize))
}

// nearest returns stretches of at most size bytes in all, those around the position at.
func nearest(all []stretch, at, size int64) []stretch {
	hi := sort.Search(len(all), func(i int) bool { return all[i].start >= at })
	lo := hi
	var chosen []stretch
	for size > 0 && (lo > 0 || hi < len(all)) {
		var s stretch
		if hi == len(all) || lo > 0 && at-(all[lo-1].start+all[lo-1].length) < all[hi].start-at {
			lo--
			s = all[lo]
			if s.length > size { // its end is nearer
				// unless at is in it
				end := min(s.start+s.length, max(s.start+size, at+size/2))
				s.start, s.length = end-size, size
			}
		} else {
			s = all[hi]
			hi++
			s.length = min(s.length, size)
		}
		chosen = append(chosen, s)
		size -= s.length
	}
	slices.SortFunc(chosen, func(a, b stretch) int { return cmp.Compare(a.start, b.start) })
	return chosen
}
