// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"fmt"
	"io"
)

// receive fills buf with the current chunk over as many requests as it takes and the budget allows.
func (j *job) receive(ctx context.Context) error {
	for j.fill < j.need() {
		err := j.more(ctx)
		if err == nil {
			continue
		}
		j.drop()
		if err := j.budget.wait(ctx, err); err != nil {
			j.stats.Discarded += int64(j.fill)
			j.fill = 0
			return err
		}
	}
	return nil
}

// more reads what is there.
func (j *job) more(ctx context.Context) error {
	if j.body == nil {
		if err := j.open(ctx); err != nil {
			return err
		}
	}
	if j.skip > 0 {
		n, err := j.body.Read(j.buf[:min(j.skip, int64(len(j.buf)))])
		j.skip -= int64(n)
		j.stats.Fetched += int64(n)
		j.stats.Discarded += int64(n)
		return early(err)
	}
	n, err := j.body.Read(j.buf[j.fill:j.need()])
	j.fill += n
	j.stats.Fetched += int64(n)
	j.advance()
	if err == io.EOF && j.fill == j.need() {
		return nil // whether it was too early shows at the next chunk
	}
	return early(err)
}

// advance fills the budget up again when the download got further than ever by a smallest chunk, or to a chunk's end.
// Less does not count: a server must not be able to keep a device busy for a byte per connection, nor by beginning
// again and again.
func (j *job) advance() {
	at := j.off + int64(j.fill)
	if at >= j.high+MinChunkSize || at > j.high && j.fill == j.need() {
		j.high = at
		j.budget.reset()
	}
}

// open asks for the rest of the payload. In buf may be the beginning of a chunk; it is kept if the body continues it. That
// both are of one version is not sure, but the chunk's digest decides.
func (j *job) open(ctx context.Context) error {
	at := j.off + int64(j.fill)
	if j.whole != nil && j.payload.validator == "" && at > 0 {
		// Nothing would tell another version, and its digest only at the very end.
		if err := j.rewind(); err != nil {
			return err
		}
		at = 0
	}
	b, err := j.payload.open(ctx, at, 0)
	if err != nil {
		return err
	}
	j.body, j.skip = b, 0
	if b.Offset == at {
		return nil
	}
	j.stats.Restarts++
	if j.whole != nil {
		return j.rewind()
	}
	j.stats.Discarded += int64(j.fill)
	j.fill, j.skip = 0, j.off
	return nil
}

// rewind goes back to the first byte, in whole mode.
func (j *job) rewind() error {
	if j.off > 0 {
		resumer, ok := j.sink.(Resumer)
		if !ok {
			return fmt.Errorf("server began again, and the sink cannot: %w", ErrResource)
		}
		if err := resumer.Resume(0); err != nil {
			return sinkError("resume", 0, err)
		}
	}
	j.stats.Discarded += j.off + int64(j.fill)
	j.off, j.fill = 0, 0
	j.whole.Reset()
	return nil
}

// drop closes the body, if one is open.
func (j *job) drop() {
	if j.body != nil {
		j.body.close()
		j.body = nil
	}
}
