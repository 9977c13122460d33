// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
)

// A Planner says what the device allows. The zero value is usable. It keeps no state and is safe for concurrent use; two calls with one checkpoint
// must not run at once.
type Planner struct {
	MaxMemory int64 // bytes of buffers for a delta; default delta.DefaultMemory
	MaxIndex  int64 // bytes of an index, and of each one that is made of a seed; default 1 MiB, at most MaxIndexSize
}

// A BudgetError says that no way that is left fits in what is left of Options.MaxBytes. It is fetch.ErrBudget. What was verified is kept.
type BudgetError struct {
	Way    fetch.Way // the cheapest
	Needed int64     // bytes that it would take, chunk digests included
	Left   int64
	Budget int64 // Options.MaxBytes
}

// Error tells what is needed and what is left.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("plan: the cheapest way (%v) takes %d bytes, %d are left of a budget of %d", e.Way, e.Needed, e.Left, e.Budget)
}

// Unwrap returns fetch.ErrBudget.
func (e *BudgetError) Unwrap() error { return fetch.ErrBudget }

// Fetch is fetch.Fetcher.Fetch under o, in the cheapest way that help allows; see the package comment. Memory is that of the Fetcher, and of one delta (MaxMemory) or three
// indexes (MaxIndex). A resource without chunk digests is fetched whole.
//
// o.MaxBytes, o.MaxRate and o.Schedule are about what comes over the network. Of the Stats, Requests and Network count all files, the others the payload as it reached the writer.
//
// Errors: those of Fetcher.Fetch, for the last way that was taken, and *BudgetError. What was wrong with the ways before it is in Stats.Fallbacks.
func (p Planner) Fetch(ctx context.Context, o fetch.Options, res fetch.Resource, help fetch.Help, sink fetch.Sink) (fetch.Stats, error) {
	p.MaxMemory = cmp.Or(p.MaxMemory, delta.DefaultMemory)
	p.MaxIndex = min(cmp.Or(p.MaxIndex, 1<<20), MaxIndexSize)
	r := &run{p: p, o: o, asked: o, res: res, help: help, sink: sink, net: fetch.NewMeter(o)}
	if o.Schedule != nil {
		r.o.Schedule = func(now time.Time) fetch.Window {
			w := o.Schedule(now)
			if w.Rate != 0 {
				w.Rate = -1 // the meter holds it: what is made here costs nothing
			}
			return w
		}
	}
	if r.o.MaxBytes, r.o.MaxRate = 0, 0; o.OnProgress != nil {
		r.o.OnProgress = func(p fetch.Progress) {
			p.Way, p.Network = r.stats.Way, r.net.Bytes()
			o.OnProgress(p)
		}
	}
	err := r.fetch(ctx)
	r.stats.Network, r.stats.Requests = r.net.Bytes(), int(r.net.Requests())
	return r.stats, err
}

// A run is one call of Fetch.
type run struct {
	p    Planner
	o    fetch.Options // the writer's
	res  fetch.Resource
	help fetch.Help
	sink fetch.Sink
	net  *fetch.Meter

	asked fetch.Options // the caller's

	ways  []way // that were not tried yet
	stats fetch.Stats
}

// A way is one way to the payload.
type way interface {
	way() fetch.Way
	// cost is how many bytes of the network the payload takes from offset at on, its chunk digests left out.
	cost(at int64) int64
	// least is what it takes at least: the same, unless that is a guess.
	least(at int64) int64
	// prepare does what takes time, and returns the source that the writer is to read from.
	prepare(ctx context.Context) (fetch.Source, error)
	// left returns why another way is to be tried after the writer failed with err, nil if that would not help.
	left(ctx context.Context, err error) error
	// reused is how many bytes came from images at hand, of those that the way made.
	reused(made int64) int64
}

func (r *run) fetch(ctx context.Context) error {
	if r.o.Source == nil {
		return fmt.Errorf("planner without a source: %w", fetch.ErrResource)
	}
	at, err := r.at(ctx)
	if err != nil {
		return err
	}
	r.ways = append(r.ways, fullWay{r})
	if r.res.Chunks != nil && at < r.res.Size {
		if err := r.offered(ctx, at); err != nil {
			return err
		}
	}
	for {
		w, err := r.choose(ctx)
		if err != nil {
			return err
		}
		source, err := w.prepare(ctx)
		if err == nil {
			var why error
			if why, err = r.take(ctx, w, source); err == nil || why == nil {
				return err
			}
			err = why
		}
		if ctx.Err() != nil || w.way() == fetch.WayFull {
			return err
		}
		r.leave(w.way(), err)
	}
}

// at is how much of the payload need not be fetched.
func (r *run) at(ctx context.Context) (int64, error) {
	at := r.sinkOffset()
	if _, ok := r.sink.(fetch.Resumer); !ok {
		return at, nil
	}
	o := r.o
	o.Source = r.net
	f, err := fetch.New(o)
	if err != nil {
		return 0, err
	}
	saved, err := f.Saved(ctx, r.res)
	return min(max(at, saved), r.res.Size), err
}

// elsewhere reports whether the source may have what was rejected from somewhere else.
func (r *run) elsewhere() bool {
	_, ok := r.asked.Source.(fetch.Rejecter)
	return ok
}

func (r *run) sinkOffset() int64 {
	if r.sink == nil {
		return 0 // the writer refuses
	}
	return r.sink.Offset()
}

// take lets the writer go on with w. why is set if another way is to be tried.
func (r *run) take(ctx context.Context, w way, source fetch.Source) (why, err error) {
	o := r.o
	o.Source = source
	f, err := fetch.New(o)
	if err != nil {
		return nil, err
	}
	first := r.stats.Way == fetch.WayNone
	r.stats.Way = w.way()
	s, err := f.Fetch(ctx, r.res, r.sink)
	if r.stats.Fetched += s.Fetched; first {
		r.stats.Kept, r.stats.ResumedFrom = s.Kept, s.ResumedFrom
	}
	r.stats.Discarded += s.Discarded
	r.stats.Pages += s.Pages
	r.stats.Restarts += s.Restarts
	r.stats.Checkpoint = errors.Join(r.stats.Checkpoint, s.Checkpoint)
	r.stats.Reused += w.reused(r.sinkOffset() - s.ResumedFrom)
	if err == nil {
		return nil, nil
	}
	return w.left(ctx, err), err
}

// leave notes why a way is not taken. That there was nothing to save is no fault.
func (r *run) leave(w fetch.Way, why error) {
	if why == errNothing {
		return
	}
	r.stats.Fallbacks = append(r.stats.Fallbacks, fetch.Fallback{Way: w, Err: why})
}
