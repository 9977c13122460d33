// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/firmament-dev/firmament/verify"
)

// repairs is how often a chunk or page with a wrong digest is asked for again.
const repairs = 2

// A job is one call of Fetch.
//
// Invariant: the sink holds off bytes, all verified (chunk mode) or all hashed (whole mode); buf holds the next
// fill bytes of the current chunk, which nobody has verified yet.
type job struct {
	o    *Options
	res  *Resource
	sink Sink

	shown string // the URI, as it may be shown

	tree    *Tree     // chunk mode, else nil
	hash    *hasher   // chunk mode
	whole   hash.Hash // whole mode, else nil
	payload remoteFile
	pages   remoteFile

	step int64 // bytes per chunk, and per write
	buf  []byte
	fill int
	off  int64
	body *body // of the payload; nil between requests
	skip int64 // bytes of body that the sink has already

	budget budget
	high   int64 // the furthest that counted as progress
	mark   mark
	meter  meter
	stats  Stats
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
	j := &job{o: &f.o, res: res, sink: sink, shown: RedactURI(res.URI)}
	gate := newGate(j.o)
	j.payload = remoteFile{o: j.o, uri: res.URI, size: res.Size, gate: gate}
	j.budget = budget{o: j.o, uri: res.URI}
	if res.Chunks == nil {
		if s, ok := sink.(Stager); !ok || !s.Staging() {
			return nil, fmt.Errorf("no chunk digests, and the sink is not a staging place: %w", ErrResource)
		}
		j.step, j.whole = DefaultChunkSize, res.Digest.Hash().New()
		return j, nil
	}
	j.step, j.hash = layout.ChunkSize(), newHasher()
	j.pages = remoteFile{o: j.o, uri: res.pageURI(), size: layout.Bytes(), gate: gate}
	j.tree, err = NewTree(layout, res.Chunks.Root, (*pageFetcher)(j))
	return j, err
}

func (j *job) run(ctx context.Context) (err error) {
	j.mark.open(j)
	if err := j.begin(); err != nil {
		return err
	}
	defer j.drop()
	j.progress()
	j.buf = make([]byte, min(j.step, j.res.Size))
	for j.off < j.res.Size {
		if err := j.chunk(ctx); err != nil {
			return errors.Join(err, j.mark.save(j))
		}
		if err := j.mark.due(j); err != nil {
			return err
		}
	}
	if j.whole != nil {
		if err := j.checkWhole(); err != nil {
			return err
		}
	}
	return j.mark.save(j)
}

// begin finds where to start: at the sink's own offset or at the checkpoint, whichever is further.
func (j *job) begin() error {
	resumer, canMove := j.sink.(Resumer)
	if saved, stands := j.mark.saved, j.sink.Offset(); canMove && saved > stands {
		if err := resumer.Resume(saved); err != nil {
			j.mark.err = fmt.Errorf("resume sink at %d: %w", saved, err)
			if j.sink.Offset() != stands {
				return sinkError("resume", saved, err) // it moved to bytes that it could not vouch for
			}
		}
	}
	j.off = j.sink.Offset()
	if j.off < 0 || j.off > j.res.Size {
		return fmt.Errorf("sink stands at %d of %d: %w", j.off, j.res.Size, ErrResource)
	}
	start := j.off
	if j.whole != nil {
		start = 0 // the running hash was not kept
	} else if start < j.res.Size {
		start -= start % j.step
	}
	if start != j.off {
		if !canMove {
			return fmt.Errorf("sink stands at %d and cannot go back to %d: %w", j.off, start, ErrResource)
		}
		if err := resumer.Resume(start); err != nil {
			return sinkError("resume", start, err)
		}
	}
	if r, ok := j.sink.(Reserver); ok && start < j.res.Size {
		if err := r.Reserve(j.res.Size); err != nil {
			return sinkError("reserve", j.res.Size, err)
		}
	}
	j.off, j.high = start, start
	j.mark.saved = min(j.mark.saved, start)
	j.stats.Kept, j.stats.ResumedFrom = start, start
	return nil
}

// sinkError says which step of the sink failed.
func sinkError(step string, offset int64, err error) error {
	return fmt.Errorf("%s sink at %d: %w", step, offset, err)
}

// chunk brings the next chunk, or in whole mode the next block, into the sink.
func (j *job) chunk(ctx context.Context) error {
	var want verify.Digest
	if j.tree != nil {
		var err error
		if want, err = j.digest(ctx); err != nil {
			return err
		}
	}
	if err := j.receive(ctx); err != nil {
		return err
	}
	p := j.buf[:j.need()]
	if j.tree != nil {
		if err := j.check(ctx, p, want); err != nil {
			return err
		}
	} else {
		j.whole.Write(p)
	}
	n, err := j.sink.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		j.mark.dead = true
		return sinkError("write", j.off, err)
	}
	j.off, j.fill = j.off+int64(n), 0
	j.progress()
	return nil
}

// need is the length of the current chunk.
func (j *job) need() int { return int(min(j.step, j.res.Size-j.off)) }

// check compares the chunk in p with its signed digest and, as long as it is wrong, asks for it again.
func (j *job) check(ctx context.Context, p []byte, want verify.Digest) error {
	for try := 0; ; try++ {
		got := j.hash.sum(p)
		if got == want {
			return nil
		}
		j.fill = 0
		j.stats.Discarded += int64(len(p))
		bad := &DigestError{Part: "chunk", Number: j.off / j.step, Offset: j.off, Want: want, Got: got}
		if r, ok := j.o.Source.(Rejecter); ok {
			j.drop()
			r.Reject(j.res.URI, j.off, int64(len(p)))
		}
		if try == repairs {
			return bad
		}
		if err := j.readAt(ctx, &j.payload, p, j.off, &j.stats.Fetched); err != nil {
			return fmt.Errorf("%w; asked for it again: %w", bad, err)
		}
	}
}

func (j *job) checkWhole() error {
	got, err := verify.NewDigest(j.res.Digest.Hash(), j.whole.Sum(nil))
	if err == nil && got != j.res.Digest {
		err = &DigestError{Part: "payload", Want: j.res.Digest, Got: got}
	}
	return err
}

// readAt is remoteFile.readAt under the job's budget.
func (j *job) readAt(ctx context.Context, f *remoteFile, p []byte, offset int64, count *int64) error {
	for {
		n, err := f.readAt(ctx, p, offset)
		*count += n
		if err == nil {
			if count == &j.stats.Fetched {
				j.stats.Discarded += n - int64(len(p))
			}
			return nil
		}
		if count == &j.stats.Fetched {
			j.stats.Discarded += n
		}
		if err := j.budget.wait(ctx, err); err != nil {
			return err
		}
	}
}

// digest returns the signed digest of the current chunk. A page that stays wrong ends the download.
func (j *job) digest(ctx context.Context) (verify.Digest, error) {
	for try := 0; ; try++ {
		want, err := j.tree.Digest(ctx, j.off/j.step)
		var bad *DigestError
		if err == nil || try == repairs || !errors.As(err, &bad) {
			return want, err
		}
	}
}

// pageFetcher reads pages over the network.
type pageFetcher job

func (p *pageFetcher) ReadPage(ctx context.Context, n int64, page []byte) error {
	j := (*job)(p)
	return j.readAt(ctx, &j.pages, page, n*PageSize, &j.stats.Pages)
}

// done completes the statistics.
func (j *job) done() Stats {
	j.stats.Requests = j.payload.requests + j.pages.requests
	j.stats.Checkpoint = j.mark.err
	return j.stats
}
