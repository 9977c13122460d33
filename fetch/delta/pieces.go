// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"fmt"
	"slices"
	"sort"
)

const (
	// around is how many bytes on either side of what no anchor took are sorted with it.
	edge = 512
	// stage is how much of the new image is made with one choice of pieces, if not all of them can be sorted at once.
	stage = 32 << 20
)

// pieces makes all parts with anchors, within bounded memory: the same words are first the anchors' index, then the suffixes.
func (m *maker) pieces(ctx context.Context) error {
	words, buf := make([]int32, sortedPieces), make([]byte, sortedPieces)
	a, err := newAnchorer(ctx, m.old, m.new, words)
	if err != nil {
		return err
	}
	if err := a.find(ctx); err != nil {
		return err
	}
	m.anchors = a.all
	left := a.left()
	total := int64(0)
	for _, s := range left {
		total += s.length
	}
	size := m.h.newSize
	if total > sortedPieces {
		size = stage
	}
	for from := int64(0); from < m.h.newSize; from += size {
		to := min(from+size, m.h.newSize)
		chosen := left
		if total > sortedPieces {
			chosen = nearest(left, m.middle(from, to), sortedPieces)
		}
		if err := m.text.load(m.old, chosen, buf, words); err != nil {
			return fmt.Errorf("read old image: %w", err)
		}
		if err := m.parts(ctx, from, to); err != nil {
			return err
		}
	}
	return nil
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
	slices.SortFunc(all, func(a, b place) int { return int(min(max(a.at-b.at, -1), 1)) })
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
	slices.SortFunc(chosen, func(a, b stretch) int { return int(min(max(a.start-b.start, -1), 1)) })
	return chosen
}
