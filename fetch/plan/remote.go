// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
)

// A remoteFile is a file on the server as an io.ReaderAt. Reads that follow each other come from one request, which goes on to the end of
// the file; a step forward within it costs the bytes between, and a read behind it a small request of its own.
type remoteFile struct {
	net  *meter
	uri  string
	size int64
	got  int64 // bytes that came

	ctx       context.Context // of the present call
	validator string
	body      io.ReadCloser
	at        int64 // of body
}

// maxSkip is how many bytes are read and thrown away, instead of asking again.
const maxSkip = 32 << 10

// ReadAt implements io.ReaderAt. Errors of the way there are fetch.ErrTransport, unless they are of another known class.
func (f *remoteFile) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > f.size {
		return 0, io.ErrUnexpectedEOF
	}
	switch {
	case f.body == nil || at > f.at+maxSkip:
		f.close()
		body, err := f.open(at, 0)
		if err != nil {
			return 0, err
		}
		f.body, f.at = body, at
	case at < f.at:
		body, err := f.open(at, int64(len(p)))
		if err != nil {
			return 0, err
		}
		n, err := f.fill(body, p)
		return n, errors.Join(err, body.Close())
	}
	if err := f.skip(f.body, at-f.at); err != nil {
		f.close()
		return 0, err
	}
	n, err := f.fill(f.body, p)
	if f.at = at + int64(n); err != nil {
		f.close()
	}
	return n, err
}

// open asks for the file from at on; what the server sends before is skipped.
func (f *remoteFile) open(at, length int64) (io.ReadCloser, error) {
	s, err := f.net.OpenRange(f.ctx, f.uri, at, length, f.validator)
	if err != nil {
		return nil, f.classify(err)
	}
	if s == nil || s.Body == nil {
		return nil, fmt.Errorf("source returned no stream: %w", fetch.ErrTransport)
	}
	f.validator = s.Validator
	switch {
	case s.Size >= 0 && s.Size != f.size:
		err = &fetch.SizeError{URI: fetch.RedactURI(f.uri), Want: f.size, Seen: s.Size}
	case s.Offset != at && s.Offset != 0:
		err = fmt.Errorf("%s begins at %d, asked for %d: %w", fetch.RedactURI(f.uri), s.Offset, at, fetch.ErrRange)
	default:
		err = f.skip(s.Body, at-s.Offset)
	}
	if err != nil {
		return nil, errors.Join(err, s.Body.Close())
	}
	return s.Body, nil
}

func (f *remoteFile) skip(body io.Reader, n int64) error {
	got, err := io.CopyN(io.Discard, body, n)
	f.got += got
	return f.classify(err)
}

func (f *remoteFile) fill(body io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(body, p)
	f.got += int64(n)
	return n, f.classify(err)
}

func (f *remoteFile) close() {
	if f.body != nil {
		f.body.Close() // what it could still say does not matter
		f.body = nil
	}
}

// classify puts what a source may say into its class: what has none may pass.
func (f *remoteFile) classify(err error) error {
	if err == nil {
		return nil
	}
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	for _, known := range []error{fetch.ErrTransport, fetch.ErrRefused, fetch.ErrRedirect, fetch.ErrSize, fetch.ErrRange, fetch.ErrEncoding, fetch.ErrResource, fetch.ErrBudget} {
		if errors.Is(err, known) {
			return err
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errors.New("body ended early")
	}
	return fmt.Errorf("%s: %w: %w", fetch.RedactURI(f.uri), fetch.ErrTransport, err)
}
