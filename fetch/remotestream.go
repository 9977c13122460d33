// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A ConditionalSource is a Source that can leave out a file that has not changed. OpenUnless is Open of the whole file, unless it is still the
// version of which Stream.Validator was unless: then it is ErrUnchanged. A validator that the source cannot compare with is as good as none.
type ConditionalSource interface {
	Source
	OpenUnless(ctx context.Context, uri, unless string) (*Stream, error)
}

// ErrUnchanged says that a file is still the version that the caller has. It has a method Unchanged() bool.
var ErrUnchanged error = unchanged{}

type unchanged struct{}

func (unchanged) Error() string   { return "fetch: unchanged" }
func (unchanged) Unchanged() bool { return true }

// conditional makes every request of one call conditional.
type conditional struct {
	ConditionalSource
	unless string
}

func (c conditional) Open(ctx context.Context, uri string, _ int64, _ string) (*Stream, error) {
	return c.OpenUnless(ctx, uri, c.unless)
}

// Open returns the file called name as a stream, for files too long to be held. It is bounded by its reader, and goes on where a connection broke
// as long as the server says that it is the same version. Errors: as Get, also of Read; ErrRange if the file changed meanwhile.
func (r *Remote) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	uri, err := r.uri(name, 0)
	if err != nil {
		return nil, err
	}
	s := &remoteStream{ctx: ctx, o: &r.o, uri: uri, budget: budget{o: &r.o, uri: uri}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("get %s: %w", RedactURI(uri), err)
	}
	return s, nil
}

// remoteStream is one file through all the connections that it takes.
type remoteStream struct {
	ctx       context.Context
	o         *Options
	uri       string
	budget    budget
	b         *body // nil while there is no connection
	at        int64
	from      int64 // where this connection began
	validator string
}

// open connects, as often as the budget allows.
func (s *remoteStream) open() error {
	for {
		err := s.try()
		if err == nil || errors.Is(err, ErrRange) {
			return err
		}
		if err := s.budget.wait(s.ctx, err); err != nil {
			return err
		}
	}
}

func (s *remoteStream) try() error {
	if s.at > 0 && s.validator == "" {
		return fmt.Errorf("broke off at %d, and the server names no version: %w", s.at, ErrRange)
	}
	b, err := open(s.ctx, s.o, s.uri, s.at, 0, s.validator)
	if err != nil {
		return err
	}
	if b.Offset != s.at || s.at > 0 && b.Validator != s.validator {
		b.close()
		return fmt.Errorf("body begins at %d, asked for %d of the same version: %w", b.Offset, s.at, ErrRange)
	}
	s.b, s.from, s.validator = b, s.at, b.Validator
	return nil
}

// Read reads on, over a new connection if the last one broke.
func (s *remoteStream) Read(p []byte) (int, error) {
	for {
		if s.b == nil {
			if err := s.open(); err != nil {
				return 0, fmt.Errorf("get %s: %w", RedactURI(s.uri), err)
			}
		}
		n, err := s.b.Read(p)
		s.at += int64(n)
		if n > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return n, nil // the end comes again
		}
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err == nil {
			continue
		}
		s.b.close()
		s.b = nil
		if s.progressed(err) {
			s.budget.reset()
		}
		if err := s.budget.wait(s.ctx, err); err != nil {
			return n, fmt.Errorf("get %s: %w", RedactURI(s.uri), err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// progressed reports whether the connection that err ended was worth having. What came while it was too slow is not: a server that drips would
// be waited for as long as it likes.
func (s *remoteStream) progressed(err error) bool {
	var stall *StallError
	enough := int64(float64(s.o.MinRate) * s.o.RateWindow.Seconds())
	return s.at > s.from && (s.at-s.from >= enough || !errors.As(err, &stall))
}

// Close ends the connection.
func (s *remoteStream) Close() error {
	if s.b != nil {
		s.b.close()
		s.b = nil
	}
	return nil
}
