// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

// repairs is how often a part of a patch with a wrong digest is asked for again.
const repairs = 2

// deltaWay is a fetch.Source that makes the payload out of the image that runs, which was compared with its digest, and a patch that it reads as it goes. All other
// files come from the network. A part of the patch that was damaged on the way is asked for again; anything else that is wrong ends the way.
type deltaWay struct {
	r *run
	d Delta

	file    *remoteFile
	patch   *delta.Patch // nil until its header was read
	repairs int
	broken  error // why the way ended
	damaged error // the last part of the patch that was not what was signed
	trouble error // the last failure of the connection to the patch
}

func (w *deltaWay) way() fetch.Way { return fetch.WayDelta }

// cost is in proportion to what is left; the table and the frames' lengths are not known yet.
func (w *deltaWay) cost(at int64) int64 { return share(w.d.Size, w.r.res.Size-at, w.r.res.Size) }

func (w *deltaWay) least(at int64) int64 { return w.cost(at) }

func (w *deltaWay) prepare(context.Context) (fetch.Source, error) {
	w.file = &remoteFile{net: w.r.net, uri: w.d.URI, size: w.d.Size}
	return w, nil
}

func (w *deltaWay) reused(made int64) int64 { return made }

// left says why the way is to be left after err. When the connection failed it stays the cheapest, unless the server answered, or serves everything else.
func (w *deltaWay) left(ctx context.Context, err error) error {
	w.file.close()
	var status *fetch.StatusError
	switch {
	case w.broken != nil:
		return w.broken
	case w.damaged != nil && errors.Is(err, w.damaged):
		return w.damaged // the writer's patience ended first
	case w.trouble == nil || !errors.Is(err, w.trouble):
		return nil
	case errors.As(err, &status), w.file.got == 0 && w.r.net.total() > 0, w.served(ctx):
		return err
	}
	return nil
}

// served reports whether the beginning of the payload comes, so that it is not the connection that fails, but the patch.
func (w *deltaWay) served(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, cmp.Or(w.r.o.ResponseTimeout, 30*time.Second))
	defer stop()
	n := min(fetch.PageSize, w.r.res.Size)
	f := &remoteFile{net: w.r.net, uri: w.r.res.URI, size: w.r.res.Size, ctx: ctx}
	body, err := f.open(0, n)
	if err != nil {
		return false
	}
	_, err = f.fill(body, make([]byte, n))
	return errors.Join(err, body.Close()) == nil
}

// Open implements fetch.Source.
func (w *deltaWay) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	if uri != w.r.res.URI {
		return w.r.net.Open(ctx, uri, offset, validator)
	}
	if w.broken != nil {
		return nil, w.ended()
	}
	w.file.close()
	w.file.ctx = ctx
	if err := w.open(); err != nil {
		return nil, w.note(err)
	}
	r, err := w.patch.Reader(ctx, w.r.help.Running, offset)
	if err != nil {
		return nil, w.note(err)
	}
	return &fetch.Stream{Body: &deltaBody{w, r}, Offset: offset, Size: w.r.res.Size}, nil
}

// OpenRange implements fetch.RangeSource.
func (w *deltaWay) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if uri != w.r.res.URI {
		return w.r.net.OpenRange(ctx, uri, offset, length, validator)
	}
	return w.Open(ctx, uri, offset, validator)
}

// Reject implements fetch.Rejecter: what came out is not what the author signed, and would not be the next time.
func (w *deltaWay) Reject(uri string, offset, length int64) {
	if uri != w.r.res.URI {
		w.r.net.Reject(uri, offset, length)
	} else if w.broken == nil {
		w.broken = fmt.Errorf("the patch makes wrong bytes at %d: %w", offset, fetch.ErrDigest)
	}
}

// open reads the patch's header once, and compares it with the offer.
func (w *deltaWay) open() error {
	if w.patch != nil {
		return nil
	}
	p, err := delta.Open(w.file, w.d.Digest, w.r.p.MaxMemory)
	if err != nil {
		return err
	}
	if p.OldSize() != w.d.From.Size || p.OldDigest() != w.d.From.Digest {
		return fmt.Errorf("patch from %d bytes with %v, offered from %d with %v: %w", p.OldSize(), p.OldDigest(), w.d.From.Size, w.d.From.Digest, delta.ErrBase)
	}
	if want := w.r.res; p.NewSize() != want.Size || want.Digest.Hash() == verify.SHA256 && p.NewDigest() != want.Digest {
		return fmt.Errorf("patch to %d bytes with %v, want %d with %v: %w", p.NewSize(), p.NewDigest(), want.Size, want.Digest, fetch.ErrDigest)
	}
	w.patch = p
	return nil
}

// note keeps err as what it means for the way, and returns what the writer is to make of it.
func (w *deltaWay) note(err error) error {
	var bad *fetch.DigestError
	switch {
	case w.file.ctx.Err() != nil:
		w.trouble = context.Cause(w.file.ctx)
		return w.trouble
	case errors.Is(err, fetch.ErrBudget):
		return err
	case errors.Is(err, fetch.ErrTransport):
		w.trouble = err
		return err
	case errors.As(err, &bad) && bad.Part != "delta block" && w.repairs < repairs:
		// Damaged on the way, maybe by this server alone.
		w.repairs++
		w.file.close()
		w.r.net.Reject(w.d.URI, bad.Offset, 1)
		w.damaged = err
		return err
	}
	w.broken = err
	return w.ended()
}

// ended is an error that the writer does not try again after.
func (w *deltaWay) ended() error { return fmt.Errorf("%w: %w", fetch.ErrRefused, w.broken) }

type deltaBody struct {
	w *deltaWay
	r *delta.Reader
}

func (b *deltaBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = b.w.note(err)
	}
	return n, err
}

func (b *deltaBody) Close() error {
	b.w.file.close()
	return b.r.Close()
}
