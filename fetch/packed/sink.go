// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package packed

import (
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// A Sink is a fetch.Sink for a compressed payload that hands what it unpacks to on. It begins at zero in every process. It is not
// safe for concurrent use.
type Sink struct {
	next   fetch.Sink
	size   int64
	open   Decoder
	offset int64

	in   chan []byte   // what Write was given; closed at the end of the payload
	more chan struct{} // the decoder wants what comes after it
	done chan struct{} // closed when the decoder has ended
	err  error         // why, once done is closed
	cur  []byte        // of the decoder's goroutine
	had  bool
	gone bool // in is closed
}

// NewSink returns a Sink that writes the size bytes of the image to next, which must stand at 0. Close it in any case.
func NewSink(next fetch.Sink, size int64, open Decoder) (*Sink, error) {
	if next == nil || open == nil || size < 1 || next.Offset() != 0 {
		return nil, fmt.Errorf("unpack %d bytes into a sink: %w", size, fetch.ErrResource)
	}
	s := &Sink{next: next, size: size, open: open, in: make(chan []byte), more: make(chan struct{}), done: make(chan struct{})}
	go func() {
		s.err = Unpack(next, (*feed)(s), size, open)
		close(s.done)
	}()
	return s, nil
}

// Offset returns how many compressed bytes were taken.
func (s *Sink) Offset() int64 { return s.offset }

// Write unpacks p, verified compressed bytes, and returns when what it unpacks to was written on. Errors are Unpack's.
func (s *Sink) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.gone {
		return 0, errClosed
	}
	select {
	case s.in <- p:
	case <-s.done:
		return 0, s.ended()
	}
	select {
	case <-s.more:
	case <-s.done:
		if s.err != nil {
			return 0, s.err
		}
	}
	s.offset += int64(len(p))
	return len(p), nil
}

var errClosed = fmt.Errorf("write after the end: %w", ErrMalformed)

// ended is the error for bytes that come after the decoder has ended.
func (s *Sink) ended() error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("more bytes after the end: %w", ErrMalformed)
}

// Sync makes durable what was written on.
func (s *Sink) Sync() error { return s.next.Sync() }

// Reserve asks the sink behind for room for the image.
func (s *Sink) Reserve(int64) error {
	if r, ok := s.next.(fetch.Reserver); ok {
		return r.Reserve(s.size)
	}
	return nil
}

// Finish says that the payload is complete. It returns nil if it unpacked to exactly the image's size, and that was synced. The image is not yet
// compared with its digest: that is for whoever owns the sink behind.
func (s *Sink) Finish() error {
	s.end()
	if s.err != nil {
		return s.err
	}
	return s.next.Sync()
}

// Close lets go of the decoder. What was written on stays.
func (s *Sink) Close() error {
	s.end()
	return nil
}

func (s *Sink) end() {
	if !s.gone {
		s.gone = true
		close(s.in)
	}
	<-s.done
}

// feed is what the decoder reads from.
type feed Sink

func (f *feed) Read(p []byte) (int, error) {
	if len(f.cur) == 0 {
		if f.had {
			f.had = false
			f.more <- struct{}{}
		}
		next, ok := <-f.in
		if !ok {
			return 0, io.EOF
		}
		f.cur, f.had = next, true
	}
	n := copy(p, f.cur)
	f.cur = f.cur[n:]
	return n, nil
}

var _ interface {
	fetch.Sink
	fetch.Reserver
	io.Closer
} = (*Sink)(nil)
