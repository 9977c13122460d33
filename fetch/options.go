// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"cmp"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// Storage is where a checkpoint lives: a directory (see install.OpenDir), or a simulated one.
type Storage = simfs.FS

// Options configure a Fetcher. Source is required; the zero value of everything else is a usable default.
// Deadlines and budgets can be changed, not switched off.
type Options struct {
	Source Source

	// Storage keeps the checkpoint, as the two files Checkpoint.0 and Checkpoint.1. Nil means that a download
	// is not resumed by another process.
	Storage Storage
	// Checkpoint is the name in Storage, by default "fetch". Two Fetchers do not share one.
	Checkpoint string
	// CheckpointEvery is how many verified bytes may be unsaved, by default 32 MiB. It is rounded up to whole chunks. With less than four
	// chunks for each range in flight, chunks are not received ahead of writing.
	// Every checkpoint syncs the sink, so small values cost wear and time.
	CheckpointEvery int64
	// CheckpointAfter is how long bytes in the sink may be unsaved, by default 10 s: on a slow line much time is in few bytes.
	CheckpointAfter time.Duration

	// MaxRate is how many bytes per second a call takes from its sources, averaged over a second; 0 is no limit. A limit below
	// MinRate does not count as a stall: only waiting for the server does. Where a source has bytes of its
	// own, a Meter behind it limits what comes over the network.
	MaxRate int64
	// MaxBytes is how many bytes a call may take from its sources, page file (with Parallel for each range) and what has to be fetched twice included;
	// beyond it is ErrBudget; with Parallel, up to what each range reads at a time earlier, which is 1 MiB or a chunk, whichever is more: it is
	// set aside before it arrives. 0 is no limit.
	MaxBytes int64

	// Schedule is asked what may be taken when, such as nothing on working days and a little at night. It is given the system's
	// time, and asked often, from any goroutine, so it should be quick. Outside its windows a call waits, without
	// a connection and at no cost to the retry budget. Nil is no limit; MaxRate holds beside it.
	Schedule func(now time.Time) Window

	// Parallel is how many ranges of a payload are fetched at a time, at most 8, if the Source is a RangeSource, the Sink a Scatterer, and the
	// Resource has Chunks; otherwise, and by default, 1. It costs memory, and helps where one connection cannot use the
	// line. A server that does not serve ranges is read in one stream, as is an
	// OrderedSource.
	Parallel int

	// ResponseTimeout bounds the time from a request to the end of its answer's header, redirects included; by default 30 s.
	ResponseTimeout time.Duration
	// IdleTimeout bounds the time without a byte, by default 30 s. See Arrived for those that come before a Read returns.
	IdleTimeout time.Duration
	// MinRate is the fewest bytes per second that a connection must bring, averaged over RateWindow of waiting for
	// it; by default 1024 over 30 s. Ranges that are fetched at a time share it, as they share the line. Time spent in the sink does not count. What a connection brought that ended and was slower, the wait for its
	// answer included, is kept and is no progress (see Retries). An IdleTimeout at its end is left out if MinChunkSize and
	// more came before it, in a second or more.
	MinRate    int64
	RateWindow time.Duration

	// Retries is how many failures in a row, without progress between them, are tried again; by default 8. It also bounds, progress or
	// not, how many bytes are fetched and thrown away, at Retries+2 times the payload (or 1 MiB, if that is more).
	Retries int
	// Backoff is the longest wait before the first retry, by default 1 s. It doubles with each failure up to
	// MaxBackoff, by default 1 min. The wait is drawn at random from the upper half.
	Backoff, MaxBackoff time.Duration
	// MaxRetryAfter caps what a server may ask for with Retry-After, by default 5 min.
	MaxRetryAfter time.Duration

	// OnProgress is called at the start and after every verified chunk that was written. OnRetry is called before every wait. Both
	// are called from Fetch's goroutine and may be nil.
	OnProgress func(Progress)
	OnRetry    func(Retry)
}

// Progress tells how far a download is.
type Progress struct {
	URI   string // without user information and query
	Done  int64  // verified bytes in the sink
	Total int64  // signed size
	Rate  int64  // bytes per second over the last second or so, 0 if not known yet
	// Left is how long the rest takes at that rate, 0 if not known yet.
	Left time.Duration

	Way     Way   // set by a planner (package fetch/plan)
	Network int64 // likewise: bytes that came over the network in this call
}

// A Window is what a Schedule allows.
type Window struct {
	Rate  int64     // bytes per second; 0 is nothing, negative is no limit
	Until time.Time // with a Rate of 0, when to ask again
}

// Retry tells of a failure that will be tried again.
type Retry struct {
	URI  string        // without user information and query
	Err  error         // what failed
	Left int           // retries left after this one
	Wait time.Duration // before the next attempt
}

// complete returns o with defaults filled in.
func (o Options) complete() (Options, error) {
	if o.Source == nil {
		return o, fmt.Errorf("no source: %w", ErrResource)
	}
	if o.Checkpoint == "" {
		o.Checkpoint = "fetch"
	}
	if o.Parallel < 0 || o.Parallel > maxParallel {
		return o, fmt.Errorf("parallel %d, at most %d: %w", o.Parallel, maxParallel, ErrResource)
	}
	if o.CheckpointEvery < 0 || o.MinRate < 0 || o.Retries < 0 || o.MaxRate < 0 || o.MaxBytes < 0 {
		return o, fmt.Errorf("negative CheckpointEvery, MinRate, MaxRate, MaxBytes or Retries: %w", ErrResource)
	}
	o.CheckpointEvery = cmp.Or(o.CheckpointEvery, 32<<20)
	o.MinRate = cmp.Or(o.MinRate, 1024)
	o.Retries = cmp.Or(o.Retries, 8)
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&o.CheckpointAfter, 10 * time.Second},
		{&o.ResponseTimeout, 30 * time.Second},
		{&o.IdleTimeout, 30 * time.Second},
		{&o.RateWindow, 30 * time.Second},
		{&o.Backoff, time.Second},
		{&o.MaxBackoff, time.Minute},
		{&o.MaxRetryAfter, 5 * time.Minute},
	} {
		if *d.value < 0 {
			return o, fmt.Errorf("negative duration %v: %w", *d.value, ErrResource)
		}
		*d.value = cmp.Or(*d.value, d.usual)
	}
	return o, nil
}
