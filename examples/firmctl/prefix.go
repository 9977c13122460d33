// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// A prefix serves what is in the part first, from an earlier run or before a connection broke, when only the whole can be
// verified. If it was of another version, or did not survive a power cut, the digest says so at the end. A download that broke off therefore goes
// on where it was, whatever its source knows of versions; a server without ranges has it begin again, and everybody sees that.
type prefix struct {
	fetch.Source
	uri  string
	part *partFile
	size int64
}

// inPart is the validator of all that a prefix serves.
const inPart = "part"

// Open opens the source behind what the part has before anything of the part is read: only then it is known whether the two fit together.
func (s *prefix) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	if uri != s.uri {
		return s.Source.Open(ctx, uri, offset, validator)
	}
	from := max(offset, min(s.part.kept.Load(), s.size))
	st, err := s.open(ctx, from)
	if err != nil {
		return nil, err
	}
	st.Validator = inPart
	switch {
	case st.Offset == from && offset < from:
		if offset == 0 { // as the sink stands, too, or is about to
			s.part.served.Store(from)
		}
		kept := io.NewSectionReader(s.part, offset, from-offset)
		st.Offset, st.Body = offset, &prefixBody{io.MultiReader(kept, st.Body), st.Body}
	case st.Offset == 0: // all of it comes from there, and is written over what the part has
		s.part.served.Store(0)
	}
	return st, nil
}

// open opens the source at offset. Of one that failed to, all is asked for.
func (s *prefix) open(ctx context.Context, offset int64) (*fetch.Stream, error) {
	if offset == s.size {
		return &fetch.Stream{Body: io.NopCloser(eof{}), Offset: offset, Size: s.size}, nil
	}
	st, err := s.Source.Open(ctx, s.uri, offset, "")
	if errors.Is(err, fetch.ErrRange) && offset > 0 {
		st, err = s.Source.Open(ctx, s.uri, 0, "")
	}
	return st, err
}

// Reject implements fetch.Rejecter.
func (s *prefix) Reject(uri string, offset, length int64) {
	if r, ok := s.Source.(fetch.Rejecter); ok {
		r.Reject(uri, offset, length)
	}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// A prefixBody is what the part has and then what the source sends.
type prefixBody struct {
	io.Reader
	io.Closer
}
