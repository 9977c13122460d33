// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
)

// A Fetcher downloads resources. It is safe for concurrent use; calls take turns, because they share a checkpoint.
type Fetcher struct {
	o    Options
	turn chan struct{} // holds one token while a call runs
}

// New returns a Fetcher. It is ErrResource if Options have no Source or a negative value.
func New(o Options) (*Fetcher, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("fetcher: %w", err)
	}
	return &Fetcher{o: o, turn: make(chan struct{}, 1)}, nil
}

// Fetch downloads res into sink, from the sink's Offset or, if the sink is a [Resumer], from a later checkpoint of the same resource.
// When it returns nil, the sink holds all Size bytes, synced, each in a chunk whose digest held (without Chunks:
// in a whole whose digest held), and the checkpoint says so. The sink is not finished: its owner still reads the
// medium back.
//
// After an error the sink holds verified chunks up to its Offset, and as far as storage works the checkpoint names
// that offset. Calling again continues there. After a power cut the checkpoint is at most CheckpointEvery
// behind, and a new call with a new sink continues at it.
//
// Errors: ErrResource before any request; *DigestError for a chunk or page that stayed wrong; *SizeError,
// *StatusError, ErrRange, ErrRedirect, ErrEncoding for a server that cannot or will not; ErrTransport, of which
// *StallError is one kind, when the budget is spent; ctx's error; and the sink's own errors, wrapped.
// Stats are valid with an error too.
func (f *Fetcher) Fetch(ctx context.Context, res Resource, sink Sink) (Stats, error) {
	j, err := f.newJob(&res, sink)
	if err != nil {
		return Stats{}, fmt.Errorf("fetch %s: %w", RedactURI(res.URI), err)
	}
	if err := f.acquire(ctx); err != nil {
		return Stats{}, fmt.Errorf("fetch %s: %w", RedactURI(res.URI), err)
	}
	defer f.release()
	err = j.run(ctx)
	if err != nil {
		err = fmt.Errorf("fetch %s: %w", RedactURI(res.URI), err)
	}
	return j.done(), err
}

// Forget throws the checkpoint of res away, if there is one. It is called when the medium turned out not to hold
// what the checkpoint promised; the next Fetch with a new sink begins at zero.
func (f *Fetcher) Forget(res Resource) error {
	if f.o.Storage == nil {
		return nil
	}
	if err := f.acquire(context.Background()); err != nil {
		return err
	}
	defer f.release()
	c, err := openCheckpoint(&f.o, &res)
	if err != nil {
		return err
	}
	if have, _, err := c.load(); err == nil && len(have) == 0 {
		return nil
	}
	return c.store(nil, "")
}

func (f *Fetcher) acquire(ctx context.Context) error {
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

func (f *Fetcher) release() { <-f.turn }
