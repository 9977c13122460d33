// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// A remoteFile is one file on the server, through all the requests that are made for it. What it remembers lets each
// request ask for the same version as the one before.
type remoteFile struct {
	o         *Options
	uri       string
	size      int64  // signed, or derived from what is signed
	validator string // of the last answer
	noRanges  bool   // a range went wrong: ask for the whole file
	ahead     int64  // bytes that readAt reads on and keeps, of a file that comes from its beginning each time; 0: none
	kept      []byte // of them, what was not asked for yet
	keptAt    int64
	gate      *gate // shared by the files of one call
	lanes     *atomic.Int32
	requests  *atomic.Int64
}

// open asks for the file from offset on, or for length bytes if length is not zero. The body begins at offset or,
// if the server would not or must not resume, at 0. A file of another size is rejected like wrong bytes, for another place may have the right one.
func (f *remoteFile) open(ctx context.Context, offset, length int64) (*body, error) {
	for n := 0; ; n++ {
		b, err := f.try(ctx, offset, length)
		if !elsewhere(f.o.Source, n, f.uri, offset, length, err) {
			return b, err
		}
	}
}

func (f *remoteFile) try(ctx context.Context, offset, length int64) (*body, error) {
	validator := f.validator
	if f.noRanges {
		offset, length = 0, 0
	}
	if offset == 0 && length == 0 {
		validator = "" // any version will do
	}
	f.requests.Add(1)
	b, err := open(ctx, f.o, f.uri, offset, length, validator)
	if err != nil {
		f.noRanges = errors.Is(err, ErrRange)
		return nil, err
	}
	b.gate, b.lanes, b.size, b.end = f.gate, f.lanes, f.size, f.size
	if length > 0 && b.Offset == offset {
		b.end = offset + length
	}
	if b.Size >= 0 && b.Size != f.size {
		b.close()
		return nil, &SizeError{URI: RedactURI(f.uri), Want: f.size, Seen: b.Size}
	}
	if b.Offset != offset && b.Offset != 0 {
		b.close()
		f.noRanges = true
		return nil, fmt.Errorf("body begins at %d, asked for %d: %w", b.Offset, offset, ErrRange)
	}
	f.validator, f.noRanges = b.Validator, false
	return b, nil
}

// pagesAhead is how many pages of chunk digests are kept of a server that does not serve ranges. To have each page costs it all that is before, so
// of a file of n pages n*n/(2*pagesAhead) are read instead of n*n/2: one and a half times the file for 4 GiB in chunks of 256 KiB.
const pagesAhead = 64

// readAt reads exactly len(p) bytes from offset on, in one attempt. It returns how many bytes arrived, those that had
// to be skipped and those that were read ahead included. What it kept it gives once: who asks again found it wrong.
func (f *remoteFile) readAt(ctx context.Context, p []byte, offset int64) (int64, error) {
	if at := offset - f.keptAt; at >= 0 && at+int64(len(p)) <= int64(len(f.kept)) {
		n := copy(p, f.kept[at:])
		f.kept, f.keptAt = f.kept[at+int64(n):], offset+int64(n)
		return 0, nil
	}
	b, err := f.open(ctx, offset, int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer b.close()
	var got int64
	for skip := offset - b.Offset; skip > 0; {
		n, err := b.Read(p[:min(skip, int64(len(p)))])
		got, skip = got+int64(n), skip-int64(n)
		if err != nil {
			return got, err
		}
	}
	n, err := io.ReadFull(b, p)
	got += int64(n)
	if err != nil || b.Offset == offset {
		return got, err
	}
	f.keptAt = offset + int64(n)
	f.kept = make([]byte, max(min(f.ahead, f.size-f.keptAt), 0))
	n, _ = io.ReadFull(b, f.kept) // what did not come is asked for when it is needed
	f.kept = f.kept[:n]
	return got + int64(n), nil
}
