// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package filesource reads payloads, page files and metadata from a file system: a USB stick, a mounted share, files that came with
// the device. The files are trusted as little as a server is; a stick may be pulled out at any time.
package filesource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"

	"github.com/firmament-dev/firmament/fetch"
)

// A Source is a fetch.RangeSource for the files of one fs.FS. It is safe for concurrent use if the fs.FS is.
type Source struct {
	fsys fs.FS
	base string
}

var _ fetch.RangeSource = (*Source)(nil)

// New returns a Source that finds the file for a URI below base, such as "file:///media/usb/" or the address of the server that usually
// has the files, under the rest of the URI in fsys. For a directory, take the FS of an os.Root: other than os.DirFS it
// does not follow links that lead out. It is fetch.ErrResource if base does not end in a slash.
func New(fsys fs.FS, base string) (*Source, error) {
	if fsys == nil || !strings.HasSuffix(base, "/") {
		return nil, fmt.Errorf("file source for %s, expected a base that ends in a slash: %w", fetch.RedactURI(base), fetch.ErrResource)
	}
	return &Source{fsys, base}, nil
}

// Open implements fetch.Source. The validator is made of size and time of change; a file system without times has none.
//
// Errors: *fetch.StatusError, with 404 for what is no regular file and 403 for what may not be read; fetch.ErrRange for an offset
// beyond the end; fetch.ErrResource for a URI that is not below the base; fetch.ErrTransport for everything else that file systems say.
func (s *Source) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return s.OpenRange(ctx, uri, offset, 0, validator)
}

// OpenRange implements fetch.RangeSource. A length of 0 is the rest of the file.
func (s *Source) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := s.name(uri)
	if err != nil {
		return nil, err
	}
	f, err := s.fsys.Open(name)
	if err != nil {
		return nil, refused(uri, err)
	}
	st, err := stream(f, uri, offset, validator)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var r io.Reader = f
	if length > 0 && st.Offset == offset {
		r = io.LimitReader(f, length)
	}
	st.Body = &body{ctx, r, f}
	return st, nil
}

// name is the file of a URI. A query and a fragment belong to servers.
func (s *Source) name(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, s.base)
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i]
	}
	name, err := url.PathUnescape(rest)
	if !ok || err != nil || name == "." || !fs.ValidPath(name) {
		return "", fmt.Errorf("%s is no file below %s: %w", fetch.RedactURI(uri), fetch.RedactURI(s.base), fetch.ErrResource)
	}
	return name, nil
}

// stream places f at offset, or at 0 if it is not the version that was asked for.
func stream(f fs.File, uri string, offset int64, validator string) (*fetch.Stream, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, refused(uri, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &fetch.StatusError{URI: fetch.RedactURI(uri), Status: 404}
	}
	st := &fetch.Stream{Offset: offset, Size: info.Size()}
	if t := info.ModTime(); !t.IsZero() {
		st.Validator = fmt.Sprintf(`"%x-%x"`, info.Size(), t.UnixNano())
	}
	if validator != "" && validator != st.Validator {
		st.Offset = 0
	}
	if st.Offset < 0 || st.Offset > 0 && st.Offset >= st.Size {
		return nil, fmt.Errorf("%s has %d bytes, asked for those from %d: %w", fetch.RedactURI(uri), st.Size, offset, fetch.ErrRange)
	}
	if seeker, ok := f.(io.Seeker); ok {
		_, err = seeker.Seek(st.Offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, f, st.Offset)
	}
	if err != nil {
		return nil, refused(uri, err)
	}
	return st, nil
}

// refused translates an error of the file system.
func refused(uri string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fetch.StatusError{URI: fetch.RedactURI(uri), Status: 404}
	case errors.Is(err, fs.ErrPermission):
		return &fetch.StatusError{URI: fetch.RedactURI(uri), Status: 403}
	}
	return fmt.Errorf("%s: %w: %w", fetch.RedactURI(uri), fetch.ErrTransport, err)
}

// body reads until the context is done.
type body struct {
	ctx context.Context
	r   io.Reader
	f   fs.File
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func (b *body) Close() error { return b.f.Close() }
