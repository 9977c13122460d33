// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// Limits of what one call holds in memory and on the wire.
const (
	maxParallel = 8
	piece       = 8 << 20 // of a payload that is fetched in parallel; one request each
	maxBuffer   = 1 << 20 // larger chunks are not received ahead: two of them would be too much memory
	wasteFree   = 1 << 20 // a payload smaller than this may cost as much as one of this size
	maxBatch    = 4       // chunks that go to the sink's goroutine together
)

// A job is one call of Fetch. Its lanes receive and verify; the sink, the checkpoint and the caller's functions belong to
// the goroutine that called.
//
// Invariant: the sink holds the bytes in have, all verified (chunk mode) or all hashed (whole mode).
type job struct {
	o    *Options
	res  *Resource
	sink Sink

	shown   string // the URI, as it may be shown
	whole   bool   // there are no chunk digests
	layout  Layout
	scatter Scatterer // the sink, if chunks come in any order
	held    int64     // bytes of the sink that are worth a look, whatever the checkpoint says; 0: the checkpoint counts

	step      int64 // bytes per chunk, and per write
	depth     int   // buffers per lane
	batch     int   // chunks per buffer
	lanes     int
	gate      *gate
	working   atomic.Int32 // lanes
	plan      *plan
	blocks    chan block
	validator string

	have  spans
	said  spans // what may be there as well, and nobody has looked at in this call
	first *lane // the one that did: it has pages already
	mark  mark
	meter meter
	count counters
	stats Stats
}

// counters are what lanes count.
type counters struct {
	fetched, discarded, pages, requests, restarts atomic.Int64
}

// newJob checks what can be checked without a request and without a change to the sink.
func (f *Fetcher) newJob(res *Resource, sink Sink) (*job, error) {
	layout, err := res.check()
	if err != nil {
		return nil, err
	}
	if sink == nil {
		return nil, fmt.Errorf("no sink: %w", ErrResource)
	}
	j := &job{o: &f.o, res: res, sink: sink, shown: RedactURI(res.URI), layout: layout, lanes: 1, depth: 1, batch: 1, gate: newGate(&f.o), blocks: make(chan block)}
	j.step, j.whole = layout.ChunkSize(), res.Chunks == nil
	if j.whole {
		if s, ok := sink.(Stager); !ok || !s.Staging() {
			return nil, fmt.Errorf("no chunk digests, and the sink is not a staging place: %w", ErrResource)
		}
		j.step = DefaultChunkSize
	} else if _, err := NewTree(layout, res.Chunks.Root, nil); err != nil {
		return nil, err
	} else if s, ok := sink.(Scatterer); ok {
		_, ranges := f.o.Source.(RangeSource)
		_, ordered := f.o.Source.(OrderedSource)
		if h, ok := sink.(Holder); ok && !ordered {
			if j.held = min(h.Held(), res.Size); j.held < res.Size {
				j.held -= j.held % j.step
			}
			if j.held > 0 {
				j.scatter = s
			}
		}
		if f.o.Parallel > 1 && ranges && !ordered {
			j.scatter, j.lanes = s, f.o.Parallel
		}
	}
	// What a lane holds verified and unwritten counts as part of the interval: a batch on its way, and the next but for its last chunk.
	for n := int64(maxBatch); n > 0; n /= 2 {
		if lanes := int64(j.lanes); n*j.step <= maxBuffer && 4*lanes*n*j.step <= f.o.CheckpointEvery {
			j.depth, j.batch, j.mark.ahead = 2, int(n), lanes*(2*n-1)*j.step
			break
		}
	}
	return j, nil
}

func (j *job) run(ctx context.Context) error {
	j.mark.open(j)
	if err := j.begin(); err != nil {
		return err
	}
	if err := j.confirm(ctx); err != nil {
		return err // the checkpoint stays as it is
	}
	j.progress()
	if j.have.bytes() < j.res.Size {
		if err := j.collect(ctx); err != nil {
			return errors.Join(err, j.mark.save(j))
		}
	}
	return j.mark.save(j)
}

// begin finds where to start: at the sink's own offset or at the checkpoint, whichever is further.
func (j *job) begin() error {
	resumer, canMove := j.sink.(Resumer)
	saved := j.mark.saved
	if j.held > 0 {
		saved = nil
	}
	if stands := j.sink.Offset(); canMove && saved.prefix() > stands {
		if err := resumer.Resume(saved.prefix()); err != nil {
			j.mark.err = fmt.Errorf("resume sink at %d: %w", saved.prefix(), err)
			saved = nil
			if j.sink.Offset() != stands {
				return sinkError("resume", j.mark.saved.prefix(), err) // it moved to bytes that it could not vouch for
			}
		}
	}
	at := j.sink.Offset()
	if at < 0 || at > j.res.Size {
		return fmt.Errorf("sink stands at %d of %d: %w", at, j.res.Size, ErrResource)
	}
	start := at
	if j.whole {
		start = 0 // the running hash was not kept
	} else if start < j.res.Size {
		start -= start % j.step
	}
	if start != at {
		if !canMove {
			return fmt.Errorf("sink stands at %d and cannot go back to %d: %w", at, start, ErrResource)
		}
		if err := resumer.Resume(start); err != nil {
			return sinkError("resume", start, err)
		}
	}
	if r, ok := j.sink.(Reserver); ok && start < j.res.Size {
		if err := r.Reserve(j.res.Size); err != nil {
			return fmt.Errorf("reserve %d bytes: %w", j.res.Size, err)
		}
	}
	if start > 0 {
		j.have = spans{{0, start}}
	}
	if j.held > start {
		j.said = spans{{start, j.held}}
	} else if _, ok := j.sink.(io.ReaderAt); ok && j.scatter != nil { // else nobody says that this is the medium that the checkpoint speaks of
		for _, s := range saved {
			if s.end > start && s.start > 0 {
				s.start = max(s.start, start)
				j.said = append(j.said, s)
			}
		}
	}
	j.mark.begin(j)
	j.stats.Kept, j.stats.ResumedFrom = j.have.bytes(), start
	return nil
}

// sinkError says which step of the sink failed.
func sinkError(step string, offset int64, err error) error {
	return fmt.Errorf("%s sink at %d: %w", step, offset, err)
}

// confirm reads back what is behind the beginning that the sink answers for, or so it seems, and compares it with its digests. What
// is something else is fetched like what was never there.
func (j *job) confirm(ctx context.Context) error {
	if len(j.said) == 0 {
		return nil
	}
	l, err := j.newLane()
	if err != nil {
		return err
	}
	err = j.gather(ctx, []*lane{l}, (*lane).confirm)
	j.stats.Kept, j.stats.ResumedFrom = j.have.bytes(), j.have.prefix()
	j.first = l
	return err
}

// collect runs the lanes and puts what they bring into the sink.
func (j *job) collect(ctx context.Context) error {
	pieces := int64(0)
	if j.lanes > 1 {
		pieces = max(piece, j.step)
	}
	j.plan = newPlan(j.have, j.res.Size, pieces, j.lanes)
	lanes := make([]*lane, j.lanes)
	for i := range lanes {
		if i == 0 && j.first != nil {
			lanes[i] = j.first
			continue
		}
		var err error
		if lanes[i], err = j.newLane(); err != nil {
			return err
		}
	}
	err := j.gather(ctx, lanes, (*lane).run)
	if err == nil && j.have.prefix() != j.res.Size {
		panic(fmt.Sprintf("fetch: lanes ended at %v of %d", j.have, j.res.Size))
	}
	return err
}

// gather has lanes at work and takes what they bring. After an error of the sink nothing more is written; after
// one of a lane, what the others have verified still is.
func (j *job) gather(ctx context.Context, lanes []*lane, work func(*lane, context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer j.mark.stop()
	j.working.Store(int32(len(lanes)))
	for _, l := range lanes {
		go func() {
			err := work(l, ctx)
			j.working.Add(-1)
			j.blocks <- block{lane: l, end: true, err: err}
		}()
	}
	var failed, broken error
	for active := len(lanes); active > 0; {
		var b block
		var err error
		select {
		case b = <-j.blocks:
		case <-j.mark.late():
			b.late = true
		}
		switch {
		case b.end:
			active--
			err = b.err
		case b.retry != nil:
			if j.o.OnRetry != nil {
				j.o.OnRetry(*b.retry)
			}
		case b.there > 0:
			j.have = j.have.add(span{b.at, b.at + b.there})
		case broken != nil:
			j.count.discarded.Add(int64(len(b.p)))
		case b.late:
			broken = j.mark.save(j)
			err = broken
		case b.rewind:
			broken = j.rewind()
			err = broken
		default:
			broken = j.write(b)
			err = broken
		}
		if b.p != nil {
			b.lane.free <- b.p[:cap(b.p)]
		}
		if err != nil && failed == nil {
			failed = err
			stop()
		}
	}
	return failed
}

// wasted reports whether more had to be thrown away than if every retry had begun anew. Progress refills the budget of failures, but not this one: a
// server that does not serve ranges, and breaks off a little later each time, would send the square of the payload.
func (j *job) wasted() bool {
	waste := j.count.discarded.Load() + max(j.count.pages.Load()-j.layout.Bytes(), 0)
	return waste/int64(j.o.Retries+1) > max(j.res.Size, wasteFree)
}

// write puts a block into the sink.
func (j *job) write(b block) error {
	j.validator = b.validator
	p, at := b.p, b.at
	var n int
	var err error
	if j.scatter != nil {
		n, err = j.scatter.WriteAt(p, at)
	} else {
		n, err = j.sink.Write(p)
	}
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		j.mark.dead = true
		return sinkError("write", at, err)
	}
	j.have = j.have.add(span{at, at + int64(n)})
	j.progress()
	return j.mark.due(j)
}

// rewind makes void what was written, in whole mode.
func (j *job) rewind() error {
	resumer, ok := j.sink.(Resumer)
	if !ok {
		return fmt.Errorf("server began again, and the sink cannot: %w", ErrResource)
	}
	if err := resumer.Resume(0); err != nil {
		return sinkError("resume", 0, err)
	}
	j.have = nil
	return nil
}

// done completes the statistics.
func (j *job) done() Stats {
	j.stats.Fetched = j.count.fetched.Load()
	j.stats.Discarded = j.count.discarded.Load()
	j.stats.Pages = j.count.pages.Load()
	j.stats.Requests = int(j.count.requests.Load())
	j.stats.Restarts = int(j.count.restarts.Load())
	j.stats.Checkpoint = j.mark.err
	return j.stats
}
