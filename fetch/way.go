// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"io"
)

// A Way is how the bytes of a payload came to be.
type Way uint8

// The ways. The numbers are on disk: never reuse one.
const (
	WayNone   Way = 0 // not known, or not yet
	WayFull   Way = 1 // all of them from the server
	WayChunks Way = 2 // chunks out of images at hand, the others from the server
	WayDelta  Way = 3 // out of an image at hand and a patch from the server
	WayPacked Way = 4 // all of them, packed, from the server
)

var wayNames = [...]string{WayNone: "none", WayFull: "full", WayChunks: "chunks", WayDelta: "delta", WayPacked: "packed"}

// String returns a lower-case word, such as "delta".
func (w Way) String() string {
	if int(w) < len(wayNames) {
		return wayNames[w]
	}
	return "unknown"
}

// Help is what may make a payload cheaper than fetching all of it; package fetch/plan makes use of it. None of it is trusted: what comes of it goes
// through the same verification as bytes of a server.
type Help struct {
	// Offers is what signed metadata lists for the release, in the form that package fetch/plan specifies; nil: nothing.
	Offers []byte
	// Running is an image at hand that does not change meanwhile, such as the slot that runs; nil: there is none. Behind the image may be anything, but the
	// shorter it is, the less is read.
	Running *io.SectionReader
	// Seeds are other places that may hold parts of the payload, the place that is being written among them.
	Seeds []*io.SectionReader
	// Resolve makes a URI in Offers absolute; nil: they are.
	Resolve func(uri string) (string, error)
}

// A Fallback tells why a way was left, or not taken, though it was cheaper than the one that came after it.
type Fallback struct {
	Way Way
	Err error
}

// Saved returns the offset at which Fetch would go on with res in a new sink that is a [Resumer]: what a checkpoint says, 0 without one.
func (f *Fetcher) Saved(ctx context.Context, res Resource) (int64, error) {
	if _, err := res.check(); err != nil || f.o.Storage == nil || res.Chunks == nil {
		return 0, err
	}
	if err := f.acquire(ctx); err != nil {
		return 0, err
	}
	defer f.release()
	c, err := openCheckpoint(&f.o, &res)
	if err != nil {
		return 0, nil // Fetch does without one, too
	}
	have, _, _ := c.load() // a damaged one stands for 0
	return have.prefix(), nil
}
