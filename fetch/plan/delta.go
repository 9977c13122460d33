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

// repairs is how often parts of a patch with a wrong digest are asked for again before more of the payload has come of it.
const repairs = 2

// deltaWay is a fetch.Source that makes the payload out of an image at hand, which was compared with its digest, and a patch that it reads as it goes. All other
// files come from the network. A packed payload is a patch to the empty image. Anything that is wrong with the patch ends the way, but see again.
type deltaWay struct {
	r   *run
	d   Delta
	old io.ReaderAt

	file    *remoteFile
	patch   *delta.Patch       // nil until its header was read
	damaged *fetch.DigestError // the last part of the patch that was not what was signed
	tries   int                // how often parts were asked for again since made
	made    int64              // how far the payload was made when the first of them was
	reached int64              // how far it was made
	broken  error              // why the way ended
	trouble error              // the last failure of the connection to the patch
}

var (
	_ fetch.RangeSource   = (*deltaWay)(nil)
	_ fetch.OrderedSource = (*deltaWay)(nil)
	_ fetch.Rejecter      = (*deltaWay)(nil)
)

func (w *deltaWay) way() fetch.Way {
	if w.d.From.Size == 0 {
		return fetch.WayPacked
	}
	return fetch.WayDelta
}

// cost is in proportion to what is left; the table and the frames' lengths are not known yet.
func (w *deltaWay) cost(at int64) int64 { return share(w.d.Size, w.r.res.Size-at, w.r.res.Size) }

func (w *deltaWay) least(at int64) int64 { return w.cost(at) }

func (w *deltaWay) prepare(context.Context) (fetch.Source, error) {
	most := int64(cmp.Or(w.r.o.Retries, 8)+1) * max(w.d.Size, 1<<20) // as a Fetcher does
	w.file = &remoteFile{net: w.r.net, uri: w.d.URI, size: w.d.Size, most: most}
	return w, nil
}

func (w *deltaWay) reused(made int64) int64 {
	if w.way() == fetch.WayPacked {
		return 0
	}
	return made
}

// left says why the way is to be left after err. When the connection failed it stays the cheapest, unless the server answered, or serves everything else.
func (w *deltaWay) left(ctx context.Context, err error) error {
	w.file.close()
	var status *fetch.StatusError
	switch {
	case w.broken != nil:
		return w.broken
	case w.trouble == nil || !errors.Is(err, w.trouble):
		return nil
	case errors.As(err, &status), w.file.got == 0 && w.r.net.Bytes() > 0, w.served(ctx):
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
	err := w.open()
	for err != nil && w.again(err) {
		err = w.open()
	}
	if err != nil {
		return nil, w.note(err)
	}
	r, err := w.patch.Reader(ctx, w.old, offset)
	if err != nil {
		return nil, w.note(err)
	}
	return &fetch.Stream{Body: &deltaBody{w, r, offset}, Offset: offset, Size: w.r.res.Size}, nil
}

// OpenRange implements fetch.RangeSource.
func (w *deltaWay) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if uri != w.r.res.URI {
		return w.r.net.OpenRange(ctx, uri, offset, length, validator)
	}
	return w.Open(ctx, uri, offset, validator)
}

// ReadInOrder implements fetch.OrderedSource: frames follow each other.
func (w *deltaWay) ReadInOrder() {}

// Reject implements fetch.Rejecter: what came out is not what the author signed, and would not be the next time.
func (w *deltaWay) Reject(uri string, offset, length int64) {
	if uri != w.r.res.URI {
		w.r.net.Reject(uri, offset, length)
	} else if w.broken == nil {
		w.broken = fmt.Errorf("patch makes wrong bytes at %d: %w", offset, fetch.ErrDigest)
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
		return fmt.Errorf("from %d bytes with %v, offered from %d with %v: %w", p.OldSize(), p.OldDigest(), w.d.From.Size, w.d.From.Digest, delta.ErrBase)
	}
	if want := w.r.res; p.NewSize() != want.Size || want.Digest.Hash() == verify.SHA256 && p.NewDigest() != want.Digest {
		return fmt.Errorf("to %d bytes with %v, want %d with %v: %w", p.NewSize(), p.NewDigest(), want.Size, want.Digest, fetch.ErrDigest)
	}
	w.patch = p
	return nil
}

// again reports whether a part of the patch that is not what was signed is to be asked for once more, at once: it may have been damaged on the way, or one of
// several servers may have a wrong one. The same wrong bytes a second time are what the only server has.
func (w *deltaWay) again(err error) bool {
	var bad *fetch.DigestError
	if !errors.As(err, &bad) || bad.Part == "delta block" { // that follows from what was signed
		return false
	}
	if w.reached > w.made { // not by the part: a server that damages two in turn would be asked for ever
		w.made, w.tries = w.reached, 0
	}
	last := w.damaged
	same := last != nil && last.Part == bad.Part && last.Offset == bad.Offset && last.Got == bad.Got
	if w.tries == repairs || same && !w.r.elsewhere() {
		return false
	}
	w.damaged = bad
	w.tries++
	w.file.close()
	w.r.net.Reject(w.d.URI, bad.Offset, 1)
	return true
}

// note keeps err as what it means for the way, and returns what the writer is to make of it.
func (w *deltaWay) note(err error) error {
	switch {
	case w.file.ctx.Err() != nil:
		w.trouble = context.Cause(w.file.ctx)
		return w.trouble
	case errors.Is(err, fetch.ErrBudget):
		return err
	case errors.Is(err, fetch.ErrTransport):
		w.trouble = err
		return err
	}
	w.broken = fmt.Errorf("patch: %w", err)
	return w.ended()
}

// ended is an error that the writer does not try again after.
func (w *deltaWay) ended() error { return fmt.Errorf("%w: %w", fetch.ErrRefused, w.broken) }

type deltaBody struct {
	w  *deltaWay
	r  *delta.Reader
	at int64 // of the next byte of the payload
}

func (b *deltaBody) Read(p []byte) (int, error) {
	for {
		n, err := b.r.Read(p)
		b.at += int64(n)
		b.w.reached = max(b.w.reached, b.at)
		if err == nil || err == io.EOF {
			return n, err
		}
		if n > 0 || !b.w.again(err) {
			return n, b.w.note(err)
		}
		if err := b.begin(); err != nil {
			return 0, b.w.note(err)
		}
	}
}

// begin makes the frame anew.
func (b *deltaBody) begin() error {
	r, err := b.w.patch.Reader(b.w.file.ctx, b.w.old, b.at)
	if err != nil {
		return err
	}
	err = b.r.Close()
	b.r = r
	return err
}

func (b *deltaBody) Close() error {
	b.w.file.close()
	return b.r.Close()
}
