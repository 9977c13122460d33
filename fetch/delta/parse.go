// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import "math/bits"

// A span says where a run of the new image comes from.
type span struct {
	start, end int   // in the new image
	shift      int64 // old position minus new position; of an inserted span, that of the span before
	inserted   bool
}

// A price list says what an encoding is expected to cost, in 1/64 bit.
type prices struct {
	equal    int64 // byte that the old image has at the same shift
	differs  int64 // byte that it has not, after one that it has
	again    int64 // byte that it has not, after another such byte
	inserted int64 // byte that is not taken from the old image at all
	change   int64 // beginning another span, beside its shift
	shiftBit int64 // per bit of the difference of shifts
}

// usual is what code images cost on average.
func usual() prices {
	return prices{equal: 1, differs: 13 * 64, again: 9 * 64, inserted: 6 * 64, change: 14 * 64, shiftBit: 48}
}

const (
	minFound  = 4    // bytes; shorter finds are not worth a look
	maxTracks = 16   // shifts followed at once
	history   = 2048 // positions over which a find is followed back
	neighbors = 6    // suffixes looked at on either side of the longest find
	sure      = 32   // a find this long ends the search, but for its last bytes
)

// A parser looks for the cheapest way to say new in terms of old: at every position it keeps the cheapest ways that
// end in a given shift (tracks) or in inserted bytes, and drops those that a change of shift would undercut.
type parser struct {
	old    *suffixes
	new    []byte
	from   int // where this part of new begins
	price  prices
	nodes  []node
	tracks []track
	lit    literal
	past   [history]point // past[i%history] is the cheapest way to position i
}

// A node is a span whose end is not known yet: it ends where its successor begins.
type node struct {
	start    int
	parent   int32
	shift    int64
	inserted bool
}

type track struct {
	cost  int64
	shift int64
	node  int32
	miss  bool // the last byte differed
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

// parse returns the spans of new[from:to], in order.
func parse(old *suffixes, new []byte, from, to int, price prices) []span {
	p := &parser{old: old, new: new, from: from, price: price}
	p.nodes = append(p.nodes, node{start: from, parent: -1})
	p.lit = literal{start: from, parent: 0}
	p.past[from%history] = point{start: from, inserted: true}
	next := from // where to search next
	for i := from; i < to; i++ {
		if i >= next {
			next = i + p.search(i, to)
		}
		if n := p.run(i, min(next, to)); n > 1 {
			i += n - 1
			continue
		}
		p.step(i)
	}
	return p.trace(to)
}

// search looks for finds at i, follows them, and returns after how many bytes to look again.
func (p *parser) search(i, to int) int {
	rest := p.new[i:to]
	if len(rest) < minFound {
		return len(rest) + 1
	}
	at, n, index := p.old.longest(rest)
	if n < minFound {
		return 1
	}
	p.follow(i, int64(at-i))
	here := p.shiftAt(i)
	// Of the others that are about as long, the one nearest to the current shift is the cheapest to say.
	nearest, distance := int64(at-i), abs(int64(at-i)-here)
	for _, dir := range [2]int{-1, 1} {
		for k := 1; k <= neighbors; k++ {
			j := index + dir*k
			if j < 0 || j >= len(p.old.array) {
				break
			}
			pos := int(p.old.array[j])
			if common(p.old.text[pos:], rest) < max(minFound, n-2) {
				break
			}
			if d := abs(int64(pos-i) - here); d < distance {
				nearest, distance = int64(pos-i), d
			}
		}
	}
	if nearest != int64(at-i) {
		p.follow(i, nearest)
	}
	if n >= sure {
		return n - sure/2
	}
	return 1
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
	old := p.old.text
	var along int64 // cost from j to i on the track
	best, bestAt := int64(1)<<62, -1
	differed := false
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
			differed = false
		case differed:
			along += p.price.again
		default:
			along += p.price.differs
			differed = true
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
		p.nodes = append(p.nodes, node{start: b.start, parent: b.node, shift: p.nodes[b.node].shift, inserted: true})
		parent = int32(len(p.nodes) - 1)
	}
	p.nodes = append(p.nodes, node{start: bestAt, parent: parent, shift: shift})
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

func (p *parser) shiftOf(b point) int64 { return p.nodes[b.node].shift }

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
	if t.cost > p.past[i%history].cost || pos < 0 || pos >= int64(len(p.old.text)) {
		return 0
	}
	n := common(p.old.text[pos:], p.new[i:to])
	if n < 16 {
		return 0
	}
	for k := max(1, n-history+1); k <= n; k++ {
		p.past[(i+k)%history] = point{cost: t.cost + int64(k)*p.price.equal, node: t.node}
	}
	t.cost += int64(n) * p.price.equal
	t.miss = false
	p.lit = literal{cost: t.cost + p.price.change, start: i + n, parent: t.node}
	return n
}

// step moves all ways over the byte at i.
func (p *parser) step(i int) {
	old, c := p.old.text, p.new[i]
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
			t.miss = false
		case t.miss:
			t.cost += p.price.again
		default:
			t.cost += p.price.differs
			t.miss = true
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
	var spans []span
	end := to
	if b.inserted {
		if b.start < end {
			spans = append(spans, span{b.start, end, p.nodes[b.node].shift, true})
			end = b.start
		}
	}
	for n := b.node; n > 0; n = p.nodes[n].parent {
		d := p.nodes[n]
		if d.start < end {
			spans = append(spans, span{d.start, end, d.shift, d.inserted})
			end = d.start
		}
	}
	for i, j := 0, len(spans)-1; i < j; i, j = i+1, j-1 {
		spans[i], spans[j] = spans[j], spans[i]
	}
	return spans
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
