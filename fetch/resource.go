// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/firmament-dev/firmament/verify"
)

// A Resource is a payload as a verified manifest names it.
type Resource struct {
	URI    string
	Size   int64         // bytes, at least 1 (suit-parameter-image-size)
	Digest verify.Digest // of the whole (suit-parameter-image-digest)
	Chunks *Chunks       // nil: only the whole can be verified, see Stager
}

// Chunks names the author's chunk digests (suit-parameter-fetch-arguments).
type Chunks struct {
	Root verify.Digest // SHA-256 of the root page
	Size int64         // bytes per chunk: a power of two, MinChunkSize to MaxChunkSize
	URI  string        // of the page file; "" means the payload's URI with ".chunks" appended to its path
}

// A Sink takes verified bytes in order; install.Writer is one. Methods are called from the goroutine that called Fetch. A Source is read from other
// goroutines at the same time: one that reads what the sink writes must be able to.
type Sink interface {
	// Offset is the position of the next byte: 0, or what the sink kept of this very resource.
	Offset() int64
	// Write appends p: one or a few whole chunks, of which the payload's last may be short. Its errors end the download and reach Fetch's caller.
	Write(p []byte) (int, error)
	// Sync makes all that was written durable. A checkpoint is written after it.
	Sync() error
}

// A Resumer is a Sink whose medium keeps what was written and synced before a power cut. A Sink that is none begins at its
// Offset in every call.
type Resumer interface {
	// Resume moves Offset to offset: forward to bytes that a checkpoint says are on the medium, or back. When it
	// returns an error, Offset is what it was.
	Resume(offset int64) error
}

// A Scatterer is a Sink that takes chunks in any order, so that several ranges can be fetched at a time (Options.Parallel). Fetch then
// calls WriteAt instead of Write, with the same and its offset, at or after Offset, each chunk once. WriteAt does not move Offset: Fetch
// does, with Resume, after a Sync, when everything up to there was written.
//
// What a checkpoint names up to the offset of Resume, the sink answers for, as every Resumer does. What it names beyond, a sink that is an
// io.ReaderAt, too, is asked for in the next call, from another goroutine, and each chunk is compared with its digest before it counts as there; without
// ReadAt it is fetched again.
type Scatterer interface {
	Resumer
	io.WriterAt
}

// A Holder is a Scatterer that may have bytes of the resource already, and answers for none of them: a file that a run before left, or another
// program. Held is how many, from 0 on, are worth a look. Unless the Source is an OrderedSource, each chunk of them is read, from another goroutine, and
// compared with its digest at the begin of every call, whatever a checkpoint says; what is wrong, and no more, is fetched. Without
// Chunks Held is not asked for.
type Holder interface {
	Scatterer
	io.ReaderAt
	Held() int64
}

// A Reserver is a Sink that can make sure of its space. Reserve is called with the resource's size before the first request of a
// call that has something to fetch; its error, such as for a full disk, ends the call and reaches Fetch's caller.
type Reserver interface {
	Reserve(size int64) error
}

// A Stager is a Sink that may say that nothing reads, boots or executes what it holds before it was finished against
// the whole digest: an inactive raw slot or a staging file. Only such a sink may take a Resource without Chunks,
// whose bytes are written unverified.
type Stager interface {
	Staging() bool
}

// Stats tells what a call of Fetch did. Fetched == Size - Kept + Discarded if it succeeded.
type Stats struct {
	Fetched     int64 // bytes of the payload that arrived
	Kept        int64 // bytes of the payload that did not have to be fetched: they were on the medium
	Discarded   int64 // bytes that arrived and were thrown away: bad, or already there
	Pages       int64 // bytes of the page file that arrived
	Requests    int   // for payload and pages
	Restarts    int   // answers that began at zero though a range was asked for
	ResumedFrom int64 // offset up to which nothing had to be fetched
	// Checkpoint is why checkpoints were given up, nil if they were not. The download itself did not suffer.
	Checkpoint error

	// The rest is what a planner adds (package fetch/plan): a Fetcher alone knows one way.
	Way       Way        // the last one taken
	Network   int64      // bytes that came over the network, for whatever file
	Reused    int64      // bytes of the payload that were made from images at hand
	Fallbacks []Fallback // in order
}

// check refuses what cannot be fetched, before any request. The layout is zero without Chunks.
func (r *Resource) check() (Layout, error) {
	if r.URI == "" {
		return Layout{}, fmt.Errorf("no uri: %w", ErrResource)
	}
	if r.Size < 1 {
		return Layout{}, fmt.Errorf("size %d: %w", r.Size, ErrResource)
	}
	if r.Digest.IsZero() {
		return Layout{}, fmt.Errorf("no digest: %w", ErrResource)
	}
	if r.Chunks == nil {
		return Layout{}, nil
	}
	return NewLayout(r.Size, r.Chunks.Size)
}

// pageURI is where the page file is. A query, such as a signed URI's, stays at the end.
func (r *Resource) pageURI() string {
	if r.Chunks.URI != "" {
		return r.Chunks.URI
	}
	if i := strings.IndexAny(r.URI, "?#"); i >= 0 {
		return r.URI[:i] + ".chunks" + r.URI[i:]
	}
	return r.URI + ".chunks"
}

// identity is a digest over all that is signed about the content, and not over where it lies: another mirror serves
// the same resource.
func (r *Resource) identity() [32]byte {
	h := sha256.New()
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], uint64(r.Size))
	if r.Chunks != nil {
		binary.BigEndian.PutUint64(n[8:], uint64(r.Chunks.Size))
	}
	h.Write(n[:])
	fmt.Fprintf(h, "%v\n", r.Digest)
	if r.Chunks != nil {
		fmt.Fprintf(h, "%v\n", r.Chunks.Root)
	}
	return [32]byte(h.Sum(nil))
}
