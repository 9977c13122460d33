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
// the file; only what is read of its beginning is asked for by itself, since what follows it may not be needed. A step forward within a request costs the bytes
// between, and a read behind it a small request of its own.
type remoteFile struct {
	net  *fetch.Meter
	uri  string
	size int64
	got  int64 // bytes that came

	skipped, most int64 // of them, what came from the file's beginning though it was not asked for; how much of that is suffered, 0: any

	ctx       context.Context // of the present call
	validator string
	body      io.ReadCloser
	at, end   int64 // of body
}

const (
	maxSkip   = 32 << 10 // bytes that are read and thrown away, instead of asking again
	beginning = 8 << 10  // bytes of a patch that hold its header and the first page of its table
)

// ReadAt implements io.ReaderAt. Errors of the way there are fetch.ErrTransport, unless they are of another known class.
func (f *remoteFile) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > f.size {
		return 0, io.ErrUnexpectedEOF
	}
	if f.body != nil && at < f.at {
		body, err := f.open(at, int64(len(p)))
		if err != nil {
			return 0, err
		}
		n, err := f.fill(body, p)
		return n, errors.Join(err, body.Close())
	}
	n := 0
	for n < len(p) {
		if err := f.seek(at + int64(n)); err != nil {
			f.close()
			return n, err
		}
		m, err := f.fill(f.body, p[n:min(int64(len(p)), int64(n)+f.end-f.at)])
		n += m
		if f.at += int64(m); err != nil {
			f.close()
			return n, err
		}
	}
	return n, nil
}

// seek makes body stand at at.
func (f *remoteFile) seek(at int64) error {
	if f.body != nil && at < f.end && at <= f.at+maxSkip {
		err := f.skip(f.body, at-f.at)
		f.at = at
		return err
	}
	f.close()
	length, end := int64(0), f.size
	if at < beginning && f.size > beginning {
		length, end = beginning-at, beginning
	}
	body, err := f.open(at, length)
	if err != nil {
		return err
	}
	f.body, f.at, f.end = body, at, end
	return nil
}

// open asks for the file from at on; what the server sends before is skipped.
func (f *remoteFile) open(at, length int64) (io.ReadCloser, error) {
	s, err := fetch.OpenPart(f.ctx, f.net, f.uri, f.size, at, length, f.validator)
	if err != nil {
		return nil, f.classify(err)
	}
	f.validator = s.Validator
	switch {
	case s.Offset != at && s.Offset != 0:
		err = fmt.Errorf("%s begins at %d, asked for %d: %w", fetch.RedactURI(f.uri), s.Offset, at, fetch.ErrRange)
	case f.most > 0 && f.skipped+at-s.Offset > f.most: // it breaks off again and again, and each time all that was before comes, too
		err = fmt.Errorf("%s begins at %d, asked for %d, and %d bytes have come in vain: %w", fetch.RedactURI(f.uri), s.Offset, at, f.skipped, fetch.ErrRange)
	default:
		f.skipped += at - s.Offset
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
