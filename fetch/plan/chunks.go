// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
)

// errNothing says that images at hand would save less than the index takes.
var errNothing = errors.New("plan: images at hand save nothing")

// chunksWay puts the payload together out of what images at hand hold and ranges of the payload.
type chunksWay struct {
	r       *run
	x       Index
	missing int64 // bytes of the payload that are missing, by the offer or, once the index is there, by the seeds; -1 if not known
	begun   bool  // the index is there
	reuse   *chunk.Reuse
	broken  error
}

func (w *chunksWay) way() fetch.Way { return fetch.WayChunks }

// cost of what is not known is a guess that puts the way before the whole payload, and behind a delta.
func (w *chunksWay) cost(at int64) int64 {
	left := w.r.res.Size - at
	switch {
	case w.missing < 0:
		return left - 1
	case w.begun:
		return w.missing
	}
	return w.x.Size + share(w.missing, left, w.r.res.Size)
}

// least is the index, as long as only that can tell.
func (w *chunksWay) least(at int64) int64 {
	if w.missing < 0 {
		return w.x.Size
	}
	return w.cost(at)
}

// prepare fetches the index and cuts the seeds: the device needs no index of what it has.
func (w *chunksWay) prepare(ctx context.Context) (fetch.Source, error) {
	o := w.r.o
	o.Source, o.Storage, o.OnProgress = w.r.net, nil, nil
	f, err := fetch.New(o)
	if err != nil {
		return nil, err
	}
	var file memory
	if _, err := f.Fetch(ctx, fetch.Resource{URI: w.x.URI, Size: w.x.Size, Digest: w.x.Digest}, &file); err != nil {
		return nil, err
	}
	index, err := chunk.ReadIndex(bytes.NewReader(file.data))
	if err != nil {
		return nil, err
	}
	if index.Size() != w.r.res.Size {
		return nil, fmt.Errorf("index of %d bytes, the payload has %d: %w", index.Size(), w.r.res.Size, chunk.ErrIndex)
	}
	var seeds []chunk.Seed
	for _, image := range append([]*io.SectionReader{w.r.help.Running}, w.r.help.Seeds...) {
		if image == nil {
			continue
		}
		// What a seed's index takes is bounded, too: it has at most one entry for every 16 KiB. And a slot is often much larger than what is in it.
		size := min(image.Size(), w.r.p.MaxIndex/40*(16<<10), 2*w.r.res.Size+1<<20)
		x, err := chunk.BuildIndex(&interruptible{ctx, io.NewSectionReader(image, 0, size)})
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil {
			seeds = append(seeds, chunk.Seed{Image: image, Index: x}) // one that cannot be read is none
		}
	}
	if written, ok := w.r.sink.(io.ReaderAt); ok {
		seeds = append(seeds, chunk.Seed{Image: written}) // for what comes again in the payload
	}
	w.reuse = chunk.NewReuse((*chunkOrigin)(w), w.r.res.URI, index, seeds...)
	at, err := w.r.at(ctx)
	if err != nil {
		return nil, err
	}
	if w.missing, w.begun = w.reuse.MissingFrom(at), true; w.missing >= w.r.res.Size-at {
		return nil, errNothing
	}
	if err := w.r.affords(w, at); err != nil {
		return nil, err
	}
	return w.reuse, nil
}

func (w *chunksWay) reused(int64) int64 { return w.reuse.Stats().Reused }

func (w *chunksWay) left(context.Context, error) error { return w.broken }

// A chunkOrigin is where missing chunks come from. A server that answers every range with the whole file would make them dearer than the payload.
type chunkOrigin chunksWay

// Open implements fetch.Source.
func (o *chunkOrigin) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return o.r.net.Open(ctx, uri, offset, validator)
}

// OpenRange implements fetch.RangeSource.
func (o *chunkOrigin) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	s, err := o.r.net.OpenRange(ctx, uri, offset, length, validator)
	if err == nil && s != nil && s.Body != nil && s.Offset != offset && uri == o.r.res.URI {
		o.broken = fmt.Errorf("%w: %w", fetch.ErrRefused, fetch.ErrRange)
		return nil, errors.Join(o.broken, s.Body.Close())
	}
	return s, err
}

// Reject implements fetch.Rejecter.
func (o *chunkOrigin) Reject(uri string, offset, length int64) { o.r.net.Reject(uri, offset, length) }

// memory is a sink for a small file, which nobody reads before it is verified.
type memory struct{ data []byte }

func (m *memory) Offset() int64 { return int64(len(m.data)) }
func (m *memory) Sync() error   { return nil }
func (m *memory) Staging() bool { return true }
func (m *memory) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *memory) Resume(offset int64) error {
	m.data = m.data[:offset]
	return nil
}

// interruptible ends when ctx is done.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
