// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A body is an open Stream under deadlines: it fails with *StallError when the server is silent for IdleTimeout or
// slower than its share of MinRate over RateWindow. Only time spent waiting for the server counts. Bytes that a source reads before it returns
// any are known from Arrived.
type body struct {
	*Stream
	o      *Options
	uri    string
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer

	size    int64 // of the file; 0: not known
	at, end int64 // in the file: what was read, and up to where it has to come

	gate *gate // nil: no limit

	lanes *atomic.Int32 // those at work, which share the line; nil: one

	mu      sync.Mutex // guards what follows, since Arrived may be called from anywhere
	reading bool
	since   time.Time // what came before, in this Read, is accounted for
	told    int64     // bytes that Arrived told of in this Read

	got    int64 // bytes in the current window
	waited time.Duration
	due    float64 // bytes in it at MinRate

	answered time.Duration // waiting for the answer
	brought  int64         // bytes in all
	owed     float64       // at MinRate, while waiting for them
	up       time.Duration // of that, what ended with bytes
}

// open asks the source for uri from offset on, or for length bytes if length is not zero.
func open(ctx context.Context, o *Options, uri string, offset, length int64, validator string) (*body, error) {
	start := time.Now()
	rctx, cancel := context.WithCancelCause(ctx)
	b := &body{o: o, uri: uri, cancel: cancel}
	b.ctx = context.WithValue(rctx, bodyKey{}, b)
	rctx = b.ctx
	timer := time.AfterFunc(o.ResponseTimeout, func() { cancel(&StallError{Step: "answer", Over: o.ResponseTimeout}) })
	stream, err := openRange(rctx, o.Source, uri, offset, length, validator)
	timer.Stop()
	b.Stream, b.answered = stream, time.Since(start)
	if err == nil && rctx.Err() != nil {
		err = context.Cause(rctx)
	}
	if err != nil {
		err = b.classify(err)
		b.close()
		return nil, err
	}
	b.at = b.Offset
	if length == 0 {
		b.end = b.Size
	}
	b.timer = time.AfterFunc(o.IdleTimeout, func() { cancel(&StallError{Step: "idle", Over: o.IdleTimeout}) })
	b.timer.Stop()
	return b, nil
}

// Read reads what is there. Its errors are io.EOF where the body has to end, those that Source allows, and the cause of a cancelled context.
func (b *body) Read(p []byte) (int, error) {
	p, err := b.gate.admit(p)
	if err != nil {
		return 0, err
	}
	n, err := b.read(p)
	if waited := b.gate.passed(b.ctx, n, len(p)); waited != nil && err == nil {
		err = b.classify(waited)
	}
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	b.mu.Lock()
	b.reading, b.since, b.told = true, time.Now(), 0
	b.timer.Reset(b.o.IdleTimeout)
	b.mu.Unlock()
	n, err := b.Body.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.timer.Stop()
	b.account(max(int64(n)-b.told, 0), n > 0)
	if b.at += int64(n); err != nil {
		switch {
		case err == io.EOF && b.at >= b.end:
			return n, err
		case err == io.EOF:
			err = endedEarly(b.Stream, b.uri, b.at, b.size)
		}
		err = b.classify(err)
		b.cancel(err) // so that the source knows, too
		return n, err
	}
	if slow := b.judge(); slow != nil {
		return n, slow
	}
	return n, nil
}

// bodyKey is where the context of a request has its body.
type bodyKey struct{}

// Arrived tells the Fetcher, or Remote, that opened a stream with ctx that n bytes came over the network while a Read of the stream is under way. They begin
// the IdleTimeout anew, and count for MinRate as if Read had returned them.
//
// It is for a [Source] that reads another one, and for long, before it has a byte to return: one that makes a frame out of a patch, or unpacks a chunk. Without
// it a line that brings such a thing in more than IdleTimeout looks like one that brings nothing. A source whose Read returns what it
// gets needs no call. Of the bytes of a Read and those told of meanwhile, the more count. A call with no Read under way, or with another context,
// has no effect. Safe for concurrent use.
func Arrived(ctx context.Context, n int) {
	b, ok := ctx.Value(bodyKey{}).(*body)
	if !ok || n <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading || b.ctx.Err() != nil {
		return
	}
	b.timer.Reset(b.o.IdleTimeout)
	b.told += int64(n)
	b.account(int64(n), true)
	b.judge() // Read ends by its context
}

// excused runs wait after n bytes have Arrived, and takes the time that it needs for nobody's fault: neither silence nor slowness.
func excused(ctx context.Context, n int, wait func() error) error {
	b, ok := ctx.Value(bodyKey{}).(*body)
	if !ok || n <= 0 {
		return wait()
	}
	restart := func(timer func()) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.reading && b.ctx.Err() == nil {
			b.since = time.Now()
			timer()
		}
	}
	restart(func() { b.timer.Stop() })
	err := wait()
	restart(func() { b.timer.Reset(b.o.IdleTimeout) })
	return err
}

// account counts n bytes, and the time since the last ones, as waiting for them. The caller holds mu.
func (b *body) account(n int64, came bool) {
	now := time.Now()
	took := now.Sub(b.since)
	b.since = now
	due := b.least(took)
	b.got, b.waited, b.due = b.got+n, b.waited+took, b.due+due
	switch {
	case came:
		b.up += took
	case b.up >= up && b.brought >= MinChunkSize && !b.slow() && b.idle():
		due = 0
	}
	b.brought, b.owed = b.brought+n, b.owed+due
}

// judge ends the connection if a window is over that brought too little. The caller holds mu.
func (b *body) judge() error {
	if b.waited < b.o.RateWindow {
		return nil
	}
	if float64(b.got) < b.due {
		slow := &StallError{Step: "rate", Bytes: b.got, Over: b.waited}
		b.cancel(slow) // so that the source knows, too
		return slow
	}
	b.got, b.waited, b.due = 0, 0, 0
	return nil
}

// up is how long bytes have to come for the line to have been up. What comes at once may be no more than what a buffer on the way held.
const up = time.Second

// idle reports whether the connection ended by its silence.
func (b *body) idle() bool {
	var stall *StallError
	return errors.As(context.Cause(b.ctx), &stall) && stall.Step == "idle"
}

// slow reports whether the connection brought less than MinRate, however it is going to end. The silence that ended it does not count if the line was
// up before: lines flap. Who does that on purpose has to bring a smallest chunk for each such silence.
func (b *body) slow() bool { return float64(b.brought) < b.owed+b.least(b.answered) }

// least is what a connection has to bring in d: its share of MinRate.
func (b *body) least(d time.Duration) float64 {
	lanes := int32(1)
	if b.lanes != nil {
		lanes = max(b.lanes.Load(), 1)
	}
	return float64(b.o.MinRate) * d.Seconds() / float64(lanes)
}

func (b *body) close() {
	b.cancel(nil)
	if b.Stream != nil && b.Body != nil {
		b.Body.Close() // what it could still say does not matter: the bytes are judged by their digests
	}
}

// endedEarly is the error of a body that ended at a byte before its end. size is that of the whole file, 0 if it is not known.
func endedEarly(s *Stream, uri string, at, size int64) error {
	if s.Whole && size > 0 {
		return &SizeError{URI: RedactURI(uri), Want: size, Seen: at, ended: true}
	}
	return errEarly
}

var errEarly = fmt.Errorf("body ended early: %w", ErrTransport)

// otherFile reports whether err says that a file ended, whole, before the signed size.
func otherFile(err error) bool { return errors.Is(err, ErrSize) && errors.Is(err, ErrTransport) }

// classify puts err in one of the classes that Source names.
func (b *body) classify(err error) error {
	if cause := context.Cause(b.ctx); cause != nil {
		return cause // the stall, or why the caller cancelled
	}
	for _, known := range []error{ErrTransport, ErrRefused, ErrRedirect, ErrSize, ErrRange, ErrEncoding, ErrDigest, ErrResource, ErrBudget, ErrUnchanged} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrTransport, err)
}
