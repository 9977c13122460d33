// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

// choose takes the cheapest way out of those that are left. What does not fit in the budget is not begun.
func (r *run) choose(ctx context.Context) (way, error) {
	at, err := r.at(ctx)
	if err != nil {
		return nil, err
	}
	n := 0
	for i, w := range r.ways {
		if w.cost(at) < r.ways[n].cost(at) {
			n = i
		}
	}
	w := r.ways[n]
	if err := r.affords(w, at); err != nil {
		return nil, err
	}
	r.ways = slices.Delete(r.ways, n, n+1)
	return w, nil
}

// affords is a *BudgetError if w does not fit in the budget.
func (r *run) affords(w way, at int64) error {
	left := r.net.Left()
	if left < 0 || at == r.res.Size {
		return nil
	}
	needed := w.least(at)
	if r.res.Chunks != nil {
		needed += r.pages(at)
	}
	if needed > left {
		return &BudgetError{w.way(), needed, left, r.asked.MaxBytes}
	}
	return nil
}

// pages is how much of the page file is needed from offset at on, at most.
func (r *run) pages(at int64) int64 {
	l, err := fetch.NewLayout(r.res.Size, r.res.Chunks.Size)
	if err != nil {
		return 0 // the writer refuses
	}
	leaves := (l.Chunks()-1)/fetch.PageDigests - at/r.res.Chunks.Size/fetch.PageDigests + 1
	return min(l.Pages(), leaves*2+int64(l.Levels())) * fetch.PageSize
}

// share is n * part / whole, rounded up; part is at most whole.
func share(n, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(part))
	q, rest := bits.Div64(hi, lo, uint64(whole))
	if rest > 0 {
		q++
	}
	return int64(q)
}

// offered adds the ways that are offered for the resource and possible here.
func (r *run) offered(ctx context.Context, at int64) error {
	offers, err := Parse(r.help.Offers)
	if err != nil {
		r.leave(fetch.WayNone, err)
		return nil
	}
	p := offers.Find(r.res.Digest, r.res.Size)
	if p == nil {
		return nil
	}
	old, err := r.identify(ctx, p)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.leave(fetch.WayDelta, err)
	}
	for _, d := range p.Deltas {
		if !slices.Contains(old, d.From) {
			continue
		}
		if err := r.delta(d); err != nil {
			r.leave(fetch.WayDelta, err)
		}
	}
	if p.Index != nil && (r.help.Running != nil || len(r.help.Seeds) > 0) {
		if err := r.chunks(*p.Index, old, at); err != nil {
			r.leave(fetch.WayChunks, err)
		}
	}
	return nil
}

// delta adds a delta from an image at hand.
func (r *run) delta(d Delta) (err error) {
	if d.Memory > r.p.MaxMemory {
		return fmt.Errorf("%d bytes, at most %d allowed: %w", d.Memory, r.p.MaxMemory, delta.ErrMemory)
	}
	if d.URI, err = r.resolve(d.URI); err == nil {
		r.ways = append(r.ways, &deltaWay{r: r, d: d, old: r.running()})
	}
	return err
}

// chunks adds the way by chunks. If the offer does not say what the image that runs has, an index is tried that takes little.
func (r *run) chunks(x Index, old []Old, at int64) (err error) {
	if x.Size > r.p.MaxIndex {
		return fmt.Errorf("index of %d bytes, at most %d allowed: %w", x.Size, r.p.MaxIndex, delta.ErrMemory)
	}
	w := &chunksWay{r: r, x: x, missing: -1}
	for _, f := range x.From {
		if slices.Contains(old, f.From) && (w.missing < 0 || f.Bytes < w.missing) {
			w.missing = min(f.Bytes, r.res.Size)
		}
	}
	if w.missing < 0 && x.Size > (r.res.Size-at)/8 {
		return errNothing
	}
	if w.x.URI, err = r.resolve(x.URI); err == nil {
		r.ways = append(r.ways, w)
	}
	return err
}

func (r *run) resolve(uri string) (string, error) {
	if r.help.Resolve == nil {
		return uri, nil
	}
	return r.help.Resolve(uri)
}

// running is the image that runs, the empty one if nobody knows it.
func (r *run) running() *io.SectionReader {
	if r.help.Running == nil {
		return io.NewSectionReader(bytes.NewReader(nil), 0, 0)
	}
	return r.help.Running
}

// identify returns those of the old images that p names with which the running one begins, byte for byte: all of them, since it may begin with one and be another, and
// what is offered from each applies. The empty image is one that everybody has. The running one is read once, as far as the largest that fits into it reaches.
//
// delta.ErrBase if something is offered from others only.
func (r *run) identify(ctx context.Context, p *Payload) ([]Old, error) {
	var named []Old
	for _, d := range p.Deltas {
		named = append(named, d.From)
	}
	if p.Index != nil {
		for _, f := range p.Index.From {
			named = append(named, f.From)
		}
	}
	slices.SortFunc(named, func(a, b Old) int { return cmp.Compare(a.Size, b.Size) })
	running := r.running()
	var found []Old
	h, at, buf := sha256.New(), int64(0), make([]byte, 64<<10)
	for _, o := range named {
		if o.Size > running.Size() {
			break
		}
		for at < o.Size {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			n, err := running.ReadAt(buf[:min(int64(len(buf)), o.Size-at)], at)
			h.Write(buf[:n])
			if at += int64(n); n == 0 {
				return found, fmt.Errorf("read the running image at %d: %w", at, cmp.Or(err, io.ErrNoProgress))
			}
		}
		if o.Digest.Hash() == verify.SHA256 && bytes.Equal(o.Digest.Bytes(), h.Sum(nil)) {
			found = append(found, o)
		}
	}
	if n := len(named); r.help.Running != nil && n > 0 && named[n-1].Size > 0 && (len(found) == 0 || found[len(found)-1].Size == 0) {
		return found, fmt.Errorf("the running image is none of those that something is offered from: %w", delta.ErrBase)
	}
	return found, nil
}

// fullWay is the payload itself.
type fullWay struct{ r *run }

func (w fullWay) way() fetch.Way                                { return fetch.WayFull }
func (w fullWay) cost(at int64) int64                           { return w.r.res.Size - at }
func (w fullWay) least(at int64) int64                          { return w.cost(at) }
func (w fullWay) prepare(context.Context) (fetch.Source, error) { return w.r.net, nil }
func (w fullWay) left(context.Context, error) error             { return nil }
func (w fullWay) reused(int64) int64                            { return 0 }
