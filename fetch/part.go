// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// OpenPart opens a file of size bytes at source from offset on, or length bytes of it if length is not zero, with validator as in [Source]. It is for a Source that
// reads another one, and has it meet the same rules as in a Fetcher: a file of another size is rejected, and asked for again at once, since another place may have the
// right one, and in the end is *SizeError; a body that ends too early is ErrTransport, and the source that served it is told, as it is when ctx ends with an error as its cause.
//
// Where the Stream begins, the caller has to look, as ever: at offset, or at 0.
func OpenPart(ctx context.Context, source Source, uri string, size, offset, length int64, validator string) (*Stream, error) {
	for n := 0; ; n++ {
		s, err := openPart(ctx, source, uri, size, offset, length, validator)
		if !elsewhere(source, n, uri, offset, length, err) {
			return s, err
		}
	}
}

// elsewhere rejects a file of another size, and reports whether it is to be asked for again: n times it was.
func elsewhere(source Source, n int, uri string, offset, length int64, err error) bool {
	r, ok := source.(Rejecter)
	if !ok || n == repairs || !errors.Is(err, ErrSize) {
		return false
	}
	r.Reject(uri, offset, length)
	return true
}

func openPart(ctx context.Context, source Source, uri string, size, offset, length int64, validator string) (*Stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	s, err := openRange(ctx, source, uri, offset, length, validator)
	if err == nil && s.Size >= 0 && s.Size != size {
		s.Body.Close()
		err = &SizeError{URI: RedactURI(uri), Want: size, Seen: s.Size}
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	p := &part{s: *s, uri: uri, size: size, at: s.Offset, end: size, cancel: cancel}
	if length > 0 && s.Offset == offset {
		p.end = offset + length
	}
	s.Body = p
	return s, nil
}

// openRange asks for a range, or for the file from offset on if the source knows no ranges or length is zero.
func openRange(ctx context.Context, source Source, uri string, offset, length int64, validator string) (s *Stream, err error) {
	if r, ok := source.(RangeSource); ok && length != 0 {
		s, err = r.OpenRange(ctx, uri, offset, length, validator)
	} else {
		s, err = source.Open(ctx, uri, offset, validator)
	}
	if err == nil && (s == nil || s.Body == nil) {
		err = fmt.Errorf("source returned no stream: %w", ErrTransport)
	}
	return s, err
}

// A part is a body that knows where it has to end.
type part struct {
	s       Stream
	uri     string
	size    int64
	at, end int64
	cancel  context.CancelCauseFunc
}

func (p *part) Read(b []byte) (int, error) {
	n, err := p.s.Body.Read(b)
	if p.at += int64(n); err == io.EOF && p.at < p.end {
		err = endedEarly(&p.s, p.uri, p.at, p.size)
		p.cancel(err)
	}
	return n, err
}

func (p *part) Close() error {
	p.cancel(nil)
	return p.s.Body.Close()
}
