// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"math/bits"
	"slices"
)

// A span says where a run of the new image comes from.
type span struct {
	start, end int64 // in the new image
	shift      int64 // old position minus new position
	turn       uint8 // by so many bits the old image is turned
	inserted   bool
}

// clip returns what of s lies between start and end.
func (s span) clip(start, end int64) span {
	s.start, s.end = max(s.start, start), min(s.end, end)
	return s
}

// A price list says what an encoding is expected to cost, in 1/64 bit.
type prices struct {
	equal    int64 // byte that the old image has at the same shift
	differs  int64 // byte that it has not, after one that it has
	again    int64 // byte that it has not, after one or two other such bytes
	noise    int64 // byte that it has not, after more of them: nothing that a model knows
	inserted int64 // byte that is not taken from the old image at all
	change   int64 // beginning another span, beside its shift
	shiftBit int64 // per bit of the difference of shifts
}

// usual is what code images cost on average.
func usual() prices {
	return prices{equal: 1, differs: 13 * 64, again: 9 * 64, noise: 9 * 64, inserted: 6 * 64, change: 14 * 64, shiftBit: 48}
}

const (
	minFound    = 4    // bytes; shorter finds are not worth a look
	maxTracks   = 16   // shifts followed at once
	history     = 2048 // positions over which a find is followed back
	neighbors   = 6    // suffixes looked at on either side of the longest find
	sure        = 32   // a find this long ends the search, but for its last bytes
	certain     = 8    // so do as many bytes that are equal on the cheapest way so far
	ahead       = 32   // where of as many bytes no more than strayed differ on it, it is likely to go on,
	strayed     = 6    // and the search waits
	longestFind = 2048 // what lies behind it will be found equal anyway
)

// A parser looks for the cheapest way to say new in terms of old: at every position it keeps the cheapest ways that
// end in a given shift (tracks) or in inserted bytes, and drops those that a change of shift would undercut. Positions
// are those in new and in old's text, wherever these are in the images. Its memory is used again for the next parse.
type parser struct {
	old    *text
	new    []byte
	from   int // where parsing began
	price  prices
	nodes  []node
	tracks []track
	lit    literal
	past   [history]point // past[i%history] is the cheapest way to position i
	spans  []span
	finds  []find
	known  int // how many of finds were used; those that are left are of an earlier attempt at the same bytes
}

// A find is where old has the longest beginning of what new has at a position, and the nearest to the shift then of others as long.
type find struct{ at, best, nearest, next int32 }

// A node is a span whose end is not known yet: it ends where its successor begins.
type node struct {
	start, parent, shift int32
	inserted             bool
}

type track struct {
	cost  int64
	shift int64
	node  int32
	miss  int // how many of the last bytes differed
}

// A literal is the cheapest way that ends in inserted bytes; its node is made when somebody continues from it.
type literal struct {
	cost   int64
	start  int
	parent int32
}

// A point is the cheapest way to a position: a track's node, or the literal that began at start.
type point struct {
	cost     int64
	node     int32
	start    int
	inserted bool
}

// missed is the price of a byte that differs after miss others.
func (p *prices) missed(miss int) int64 {
	switch {
	case miss == 0:
		return p.differs
	case miss < 3:
		return p.again
	}
	return p.noise
}

// parse returns the spans of new[from:to], in order; they hold until the next call. before and after are shifts that copying comes from and goes on with, if known.
func (p *parser) parse(new []byte, from, to int, before, after *int64) []span {
	p.new, p.from = new, from
	p.nodes = append(p.nodes[:0], node{start: int32(from), parent: -1})
	p.tracks = p.tracks[:0]
	p.lit = literal{start: from, parent: 0}
	p.past[from%history] = point{start: from, inserted: true}
	if before != nil {
		p.nodes = append(p.nodes, node{start: int32(from), parent: 0, shift: int32(*before)})
		p.tracks = append(p.tracks, track{shift: *before, node: 1})
		p.past[from%history] = point{node: 1}
		p.lit = literal{start: from, parent: 1, cost: p.price.change}
	}
	next := from
	for i := from; i < to; i++ {
		if i >= next {
			if p.known < len(p.finds) {
				next = p.use(&p.finds[p.known])
				p.known++
			} else {
				next = p.search(i, to)
			}
		}
		if n := p.run(i, min(next, to)); n > 1 {
			i += n - 1
			continue
		}
		p.step(i)
	}
	if after != nil {
		p.end(to, *after)
	}
	return p.trace(to)
}

// end chooses the way that is the cheapest if copying goes on with shift.
func (p *parser) end(to int, shift int64) {
	best := p.past[to%history]
	cost := best.cost + p.changeCost(p.shiftOf(best), shift)
	p.follow(to, shift)
	for _, t := range p.tracks {
		c := t.cost
		if t.shift != shift {
			c += p.changeCost(t.shift, shift)
		}
		if c < cost {
			cost, best = c, point{cost: t.cost, node: t.node}
		}
	}
	p.past[to%history] = best
}

// search looks for finds at i, follows them, and returns where to look again.
func (p *parser) search(i, to int) int {
	rest := p.new[i:min(to, i+longestFind)]
	if len(rest) < minFound {
		return p.found(find{int32(i), -1, -1, int32(to)})
	}
	along := p.along(i)
	if n := common(along, rest); n >= certain {
		return p.found(find{int32(i), -1, -1, int32(i + n - certain/2)})
	}
	if alike(along, rest) {
		return p.found(find{int32(i), -1, -1, int32(i + certain)})
	}
	at, n, index := p.old.longest(rest)
	if n < minFound {
		return p.found(find{int32(i), -1, -1, int32(i + 1)})
	}
	here := p.shiftAt(i)
	// Of the others that are about as long, the one nearest to the current shift is the cheapest to say.
	nearest, distance := at, abs(int64(at-i)-here)
	for _, dir := range [2]int{-1, 1} {
		for k := 1; k <= neighbors; k++ {
			j := index + dir*k
			if j < 0 || j >= len(p.old.array) {
				break
			}
			pos := int(p.old.array[j])
			if common(p.old.data[pos:], rest) < max(minFound, n-2) {
				break
			}
			if d := abs(int64(pos-i) - here); d < distance {
				nearest, distance = pos, d
			}
		}
	}
	// A way that would be found between here and the find's end will be found at its end, and followed back.
	step := max(1, n/2-1)
	if n >= sure {
		step = n - sure/2
	}
	return p.found(find{int32(i), int32(at), int32(nearest), int32(i + step)})
}

// along returns what old has on the cheapest way to i, from there on: nothing if that way inserts.
func (p *parser) along(i int) []byte {
	b := &p.past[i%history]
	pos := int64(i) + p.shiftOf(*b)
	if b.inserted || pos < 0 || pos >= int64(len(p.old.data)) {
		return nil
	}
	return p.old.data[pos:]
}

// alike reports whether few of the first bytes of a and b differ.
func alike(a, b []byte) bool {
	if len(a) < ahead || len(b) < ahead {
		return false
	}
	differ := 0
	for i, c := range a[:ahead] {
		if c != b[i] {
			differ++
		}
	}
	return differ <= strayed
}

func (p *parser) found(f find) int {
	p.finds = append(p.finds, f)
	p.known++
	return p.use(&f)
}

// use follows finds.
func (p *parser) use(f *find) int {
	if f.best >= 0 {
		p.follow(int(f.at), int64(f.best-f.at))
		if f.nearest != f.best {
			p.follow(int(f.at), int64(f.nearest-f.at))
		}
	}
	return int(f.next)
}

// shiftAt is the shift of the cheapest way to i.
func (p *parser) shiftAt(i int) int64 { return p.shiftOf(p.past[i%history]) }

// follow begins a track with shift, at the position before i from which it is cheapest.
func (p *parser) follow(i int, shift int64) {
	for t := range p.tracks {
		if p.tracks[t].shift == shift {
			return
		}
	}
	old := p.old.data
	var along int64 // cost from j to i on the track
	best, bestAt := int64(1)<<62, -1
	differed := 0
	now := p.past[i%history].cost
	for j := i; ; j-- {
		b := p.past[j%history]
		if c := b.cost + along + p.changeCost(p.shiftOf(b), shift); c < best {
			best, bestAt = c, j
		}
		if j == p.from || i-j == history-1 || along-(now-b.cost) > 20*64*2 {
			break
		}
		pos := int64(j-1) + shift
		switch {
		case pos < 0 || pos >= int64(len(old)):
			j = p.from // nothing before it
		case old[pos] == p.new[j-1]:
			along += p.price.equal
			differed = 0
		default:
			along += p.price.missed(differed)
			differed++
		}
		if j == p.from {
			break
		}
	}
	if lowest := p.past[i%history].cost; best > lowest+p.price.change+48*p.price.shiftBit {
		return
	}
	b := p.past[bestAt%history]
	parent := b.node
	if b.inserted {
		p.nodes = append(p.nodes, node{start: int32(b.start), parent: b.node, shift: p.nodes[b.node].shift, inserted: true})
		parent = int32(len(p.nodes) - 1)
	}
	p.nodes = append(p.nodes, node{start: int32(bestAt), parent: parent, shift: int32(shift)})
	t := track{cost: best, shift: shift, node: int32(len(p.nodes) - 1)}
	if len(p.tracks) < maxTracks {
		p.tracks = append(p.tracks, t)
		return
	}
	worst := 0
	for k := range p.tracks {
		if p.tracks[k].cost > p.tracks[worst].cost {
			worst = k
		}
	}
	if p.tracks[worst].cost > t.cost {
		p.tracks[worst] = t
	}
}

func (p *parser) shiftOf(b point) int64 { return int64(p.nodes[b.node].shift) }

func (p *parser) changeCost(from, to int64) int64 {
	return p.price.change + p.price.shiftBit*int64(bits.Len64(uint64(abs(to-from))))
}

// run moves over bytes that are equal on the only track, all at once.
func (p *parser) run(i, to int) int {
	if len(p.tracks) != 1 || to-i < 16 {
		return 0
	}
	t := &p.tracks[0]
	pos := int64(i) + t.shift
	if t.cost > p.past[i%history].cost || pos < 0 || pos >= int64(len(p.old.data)) {
		return 0
	}
	n := common(p.old.data[pos:], p.new[i:to])
	if n < 16 {
		return 0
	}
	for k := max(1, n-history+1); k <= n; k++ {
		p.past[(i+k)%history] = point{cost: t.cost + int64(k)*p.price.equal, node: t.node}
	}
	t.cost += int64(n) * p.price.equal
	t.miss = 0
	p.lit = literal{cost: t.cost + p.price.change, start: i + n, parent: t.node}
	return n
}

// step moves all ways over the byte at i.
func (p *parser) step(i int) {
	old, c := p.old.data, p.new[i]
	best := point{cost: p.lit.cost + p.price.inserted, node: p.lit.parent, start: p.lit.start, inserted: true}
	p.lit.cost = best.cost
	for k := 0; k < len(p.tracks); k++ {
		t := &p.tracks[k]
		pos := int64(i) + t.shift
		switch {
		case pos < 0 || pos >= int64(len(old)):
			t.cost = 1 << 62
		case old[pos] == c:
			t.cost += p.price.equal
			t.miss = 0
		default:
			t.cost += p.price.missed(t.miss)
			t.miss++
		}
		if t.cost < best.cost {
			best = point{cost: t.cost, node: t.node}
		}
	}
	limit := best.cost + p.price.change + 16*p.price.shiftBit
	kept := p.tracks[:0]
	for _, t := range p.tracks {
		if t.cost <= limit {
			kept = append(kept, t)
		}
	}
	p.tracks = kept
	p.past[(i+1)%history] = best
	if !best.inserted && p.lit.cost > best.cost+p.price.change {
		p.lit = literal{cost: best.cost + p.price.change, start: i + 1, parent: best.node}
	}
}

// trace follows the cheapest way back from to.
func (p *parser) trace(to int) []span {
	b := p.past[to%history]
	spans := p.spans[:0]
	end := to
	add := func(start int, shift int64, inserted bool) {
		if start < end {
			spans = append(spans, span{start: int64(start), end: int64(end), shift: shift, inserted: inserted})
			end = start
		}
	}
	if b.inserted {
		add(b.start, 0, true)
	}
	for n := b.node; n > 0; n = p.nodes[n].parent {
		add(int(p.nodes[n].start), int64(p.nodes[n].shift), p.nodes[n].inserted)
	}
	slices.Reverse(spans)
	p.spans = spans
	return spans
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
