// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/firmament-dev/firmament/fetch"
)

// A Seed is an image at hand whose chunks may be used again: the running slot, a slot written halfway, any file.
// Its index says what it held once. Neither is trusted: what is read is compared with the chunk's name, and a
// chunk that turned bad is fetched like one that was never there.
type Seed struct {
	Image io.ReaderAt
	// Index is made by the same chunker as the wanted index, see BuildIndex. Nil says that Image is where the payload itself is being
	// written: what comes again in it, and no other seed has, is read from there.
	Index *Index
}

// Reuse is a fetch.Source that serves one payload from seeds as far as they go, and the rest from the origin, a range for
// each run of missing chunks. Everything else it passes to the origin.
//
// What the origin sends is compared with the index, too, before a byte of a chunk is given out: a bad byte costs its chunk also if only the whole is signed. If the
// origin says the same when asked again, it is the index that is wrong, and nothing is compared with it any more.
//
// A fetch.Fetcher over it compares what arrives with the author's chunk digests as always. A chunk that is wrong all
// the same, because the index lied, is asked for again by range, and ranges come from the origin alone: a bad index costs
// what it is wrong about. An origin that turns out to serve no ranges, or wrong ones twice in a row, is read as a whole from then on, and seeds no more: each run of missing
// chunks would cost the payload up to there. One that has a file of another size is rejected, as a Fetcher does (fetch.OpenPart). It is a fetch.OrderedSource. Safe for concurrent use.
type Reuse struct {
	origin fetch.Source
	uri    string
	index  *Index
	seeds  []Seed
	where  []place      // by the number of the wanted chunk
	wrong  atomic.Int32 // ranges in a row that were not what was asked for
	whole  atomic.Bool  // the origin serves no ranges
	doubt  doubt

	reused, fetched atomic.Int64
	requests        atomic.Int64
}

var (
	_ fetch.RangeSource   = (*Reuse)(nil)
	_ fetch.OrderedSource = (*Reuse)(nil)
	_ fetch.Rejecter      = (*Reuse)(nil)
)

// A place is where a seed claims to have a chunk; the zero value is nowhere.
type place struct {
	seed   *Seed
	offset int64
}

// NewReuse returns a Reuse for the payload at uri, which index describes. Of two seeds that hold a chunk the first is used.
func NewReuse(origin fetch.Source, uri string, index *Index, seeds ...Seed) *Reuse {
	r := &Reuse{origin: origin, uri: uri, index: index, seeds: slices.Clone(seeds), where: make([]place, index.Chunks())}
	// The wanted chunks by their names: a map would take several times as much memory, and a device has little.
	order := make([]int32, index.Chunks())
	for n := range order {
		order[n] = int32(n)
	}
	slices.SortFunc(order, func(a, b int32) int { return bytes.Compare(index.ids[a][:], index.ids[b][:]) })
	again := Seed{}
	seen := make([]bool, index.Chunks()) // by the first place in order with a name: images are full of zeros, and each of those chunks in one is each of those in the other
	for i := range r.seeds {
		s := &r.seeds[i]
		if s.Index == nil {
			again = *s
			continue
		}
		for n := range s.Index.Chunks() {
			offset, length, id := s.Index.Chunk(n)
			at, found := slices.BinarySearchFunc(order, id, func(n int32, id [32]byte) int { return bytes.Compare(index.ids[n][:], id[:]) })
			if !found || seen[at] {
				continue
			}
			seen[at] = true
			for ; at < len(order) && index.ids[order[at]] == id; at++ {
				wanted := int(order[at])
				if _, want, _ := index.Chunk(wanted); r.where[wanted].seed == nil && want == length {
					r.where[wanted] = place{s, offset}
				}
			}
		}
	}
	if again.Image != nil {
		r.repeats(&again, order)
	}
	return r
}

// repeats finds for chunks that no seed has the first place in the payload itself that does. order has the chunks by their names.
func (r *Reuse) repeats(s *Seed, order []int32) {
	for len(order) > 0 {
		n := 1
		for n < len(order) && r.index.ids[order[n]] == r.index.ids[order[0]] {
			n++
		}
		first := slices.Min(order[:n])
		offset, length, _ := r.index.Chunk(int(first))
		for _, again := range order[:n] {
			if _, l, _ := r.index.Chunk(int(again)); again != first && l == length && !r.claimed(int(again)) {
				r.where[again] = place{s, offset}
			}
		}
		order = order[n:]
	}
}

// ReuseStats tells where the payload's bytes came from.
type ReuseStats struct {
	Reused   int64 // bytes that seeds gave
	Fetched  int64 // bytes that the origin gave; of a Store, what its files unpack to
	Requests int64 // to the origin, for the payload
}

// Stats returns the counts so far.
func (r *Reuse) Stats() ReuseStats {
	return ReuseStats{r.reused.Load(), r.fetched.Load(), r.requests.Load()}
}

// Missing returns how many bytes of the payload no seed claims to have: what a download will cost if they tell the truth.
func (r *Reuse) Missing() int64 { return r.MissingFrom(0) }

// MissingFrom is Missing for the payload from offset on.
func (r *Reuse) MissingFrom(offset int64) int64 {
	var missing int64
	for n := r.index.at(offset); n < r.index.Chunks(); n++ {
		if begin, length, _ := r.index.Chunk(n); !r.claimed(n) {
			missing += begin + length - max(begin, offset)
		}
	}
	return missing
}

func (r *Reuse) claimed(n int) bool { return r.where[n].seed != nil }

// Open implements fetch.Source. The payload's stream has no validator: its parts may be of different versions, and only digests can tell.
func (r *Reuse) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	if uri != r.uri {
		return r.origin.Open(ctx, uri, offset, validator)
	}
	if offset < 0 || offset > r.index.Size() {
		return nil, fmt.Errorf("%s at %d of %d: %w", fetch.RedactURI(uri), offset, r.index.Size(), fetch.ErrRange)
	}
	if r.whole.Load() {
		return r.counting(r.origin.Open(ctx, uri, offset, validator))
	}
	return &fetch.Stream{Body: &reuseBody{r: r, ctx: ctx, at: offset, bad: -1}, Offset: offset, Size: r.index.Size()}, nil
}

// OpenRange implements fetch.RangeSource, by the origin alone.
func (r *Reuse) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	s, err := openRange(ctx, r.origin, uri, offset, length, validator)
	if uri != r.uri {
		return s, err
	}
	return r.counting(s, err)
}

// counting counts a request for the payload and what it brings.
func (r *Reuse) counting(s *fetch.Stream, err error) (*fetch.Stream, error) {
	if err == nil && s != nil && s.Body != nil {
		r.requests.Add(1)
		s.Body = &counted{s.Body, &r.fetched}
	}
	return s, err
}

// ReadInOrder implements fetch.OrderedSource: seeds are of use to streams only.
func (r *Reuse) ReadInOrder() {}

// Reject implements fetch.Rejecter, for an origin that is one.
func (r *Reuse) Reject(uri string, offset, length int64) {
	if o, ok := r.origin.(fetch.Rejecter); ok {
		o.Reject(uri, offset, length)
	}
}

// openRange asks for a range, or for the file from offset on if the source knows no ranges.
func openRange(ctx context.Context, s fetch.Source, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if ranged, ok := s.(fetch.RangeSource); ok {
		return ranged.OpenRange(ctx, uri, offset, length, validator)
	}
	return s.Open(ctx, uri, offset, validator)
}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}
