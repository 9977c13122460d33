// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"context"
	"fmt"
	"iter"
	"sort"
)

// An anchor is a run of the new image that the old one has byte for byte. Images too large to be sorted are anchored first:
// only what lies between anchors is parsed, against what of the old image no anchor took.
type anchor struct{ start, end, shift int64 }

// minAnchor is the shortest anchor, unless there would be more than maxAnchors.
const (
	minAnchor  = 256
	maxAnchors = 1 << 20
)

// between returns the anchors that reach into from..to.
func between(all []anchor, from, to int64) iter.Seq[anchor] {
	return func(yield func(anchor) bool) {
		n := sort.Search(len(all), func(i int) bool { return all[i].end > from })
		for ; n < len(all) && all[n].start < to && yield(all[n]); n++ {
		}
	}
}

// grain is how many bytes of the old image share a bit that says that anchors took them.
const grain = 64

// An anchorer finds anchors: it knows a hash of each block of the old image, and compares that of every block's worth of
// bytes of the new one.
type anchorer struct {
	old, new Image
	step     int64   // from one block to the next
	blocks   table   // their numbers
	along    *window // at the last shift
	there    *window // anywhere
	all      []anchor
	taken    bitmap
	shortest int64
}

// hashed is how many bytes are hashed: hash is the sum of each times a power of factor, the last times 1.
const (
	hashed = 32
	factor = 0x9E3779B97F4A7C15
)

var leading = func() uint64 { // factor^hashed
	p := uint64(1)
	for range hashed {
		p *= factor
	}
	return p
}()

func hash(p []byte) (h uint64) {
	for _, b := range p[:hashed] {
		h = h*factor + uint64(b) + 1
	}
	return h
}

// newAnchorer has an index of the old image in words.
func newAnchorer(ctx context.Context, old, new Image, words []int32) (*anchorer, error) {
	a := &anchorer{old: old, new: new, step: hashed, along: newWindow(ctx, old, old.Size()), there: newWindow(ctx, old, old.Size()), shortest: max(minAnchor, new.Size()/maxAnchors)}
	a.blocks = table(words[:len(words)&^1])
	clear(a.blocks)
	for old.Size()/a.step > int64(len(words)/2)*7/8 {
		a.step *= 2
	}
	a.taken = newBitmap(int(old.Size()/grain) + 1)
	buf := make([]byte, max(256<<10, a.step))
	for at := int64(0); at < old.Size(); at += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), old.Size()-at)]
		if err := readFull(old, b, at); err != nil {
			return nil, fmt.Errorf("read old image at %d: %w", at, err)
		}
		for i := int64(0); i+hashed <= int64(len(b)); i += a.step {
			a.blocks.add(hash(b[i:]), int32((at+i)/a.step))
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// find finds all anchors.
func (a *anchorer) find(ctx context.Context) error {
	const chunk = 1 << 20
	buf := make([]byte, chunk)
	shift := int64(0)
	for at := int64(0); at < a.new.Size(); at += chunk {
		b := buf[:min(chunk, a.new.Size()-at)]
		if err := readFull(a.new, b, at); err != nil {
			return fmt.Errorf("read new image at %d: %w", at, err)
		}
		var err error
		if shift, err = a.scan(b, at, shift); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// scan finds the anchors in b, which begins at base. shift is that of the anchor before; scan returns that of the last.
func (a *anchorer) scan(b []byte, base, shift int64) (int64, error) {
	from := 0 // where the last anchor ended
	// Where the last shift goes on, it goes on, however short.
	n, err := a.along.equal(b, base+shift)
	if err != nil {
		return 0, err
	}
	if int64(n) >= a.shortest || n == len(b) {
		a.take(anchor{base, base + int64(n), shift})
		from = n
	}
	var h uint64
	rolled := false
	for i := from; i+hashed <= len(b); i++ {
		if rolled {
			h = h*factor + uint64(b[i+hashed-1]) + 1 - (uint64(b[i-1])+1)*leading
		} else {
			h, rolled = hash(b[i:]), true
		}
		block := a.blocks.look(h)
		if block < 0 {
			continue
		}
		pos := int64(block) * a.step
		s, n, err := a.better(b[i:], base+int64(i), shift, pos)
		if err != nil {
			return 0, err
		}
		if n < hashed {
			continue // another block of that hash
		}
		back, err := a.before(b[from:i], base+int64(i)+s)
		if err != nil {
			return 0, err
		}
		if int64(n+back) < a.shortest {
			i, rolled = i+n-hashed, false
			continue
		}
		a.take(anchor{base + int64(i-back), base + int64(i+n), s})
		i, from, shift, rolled = i+n-1, i+n, s, false
	}
	return shift, nil
}

// better returns the shift of the longer of two runs of bytes equal to b's first: the one at the last shift, and the one at pos.
func (a *anchorer) better(b []byte, at, shift, pos int64) (int64, int, error) {
	n, err := a.along.equal(b, at+shift)
	if err != nil || at+shift == pos || int64(n) >= a.shortest {
		return shift, n, err
	}
	m, err := a.there.equal(b, pos)
	if m > n {
		return pos - at, m, err
	}
	return shift, n, err
}

// before returns how many of the last bytes of b the old image has before pos.
func (a *anchorer) before(b []byte, pos int64) (int, error) {
	n := 0
	for n < len(b) && pos > 0 {
		back := min(int64(len(b)-n), pos, 512)
		w, err := a.there.around(pos-back, back)
		if err != nil {
			return 0, err
		}
		for k := back; k > 0; k-- {
			if w[margin+k-1] != b[len(b)-n-1] {
				return n, nil
			}
			n++
		}
		pos -= back
	}
	return n, nil
}

// take keeps an anchor.
func (a *anchorer) take(n anchor) {
	if k := len(a.all) - 1; k >= 0 && a.all[k].end == n.start && a.all[k].shift == n.shift {
		a.all[k].end = n.end
	} else {
		a.all = append(a.all, n)
	}
	for g := (n.start + n.shift + grain - 1) / grain; (g+1)*grain <= n.end+n.shift; g++ {
		a.taken.set(int(g))
	}
}
