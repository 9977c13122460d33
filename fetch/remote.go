// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
)

// A Remote reads small files whole, such as repository metadata, from below a base URI. What it returns is bounded and not
// verified. It satisfies tuf/client.Remote and is safe for concurrent use.
type Remote struct {
	o    Options
	base *url.URL
}

// NewRemote returns a Remote for the files below base, such as "https://updates.example/metadata". Of o it uses the
// source, the deadlines and the budget. It is ErrResource if base is no absolute URI or o is unusable.
func NewRemote(o Options, base string) (*Remote, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	u, err := url.Parse(base)
	if err != nil || !u.IsAbs() {
		return nil, fmt.Errorf("base %s, expected an absolute uri: %w", RedactURI(base), ErrResource)
	}
	return &Remote{o: o, base: u}, nil
}

// Get returns the file name, a slash-separated path relative to the base, of at most limit bytes. Every character of name is
// taken literally; what URIs reserve is escaped.
//
// Errors: fs.ErrNotExist if there is no such file; *SizeError, with TooLong true, if it is longer than limit; *StallError,
// with Timeout true, or another ErrTransport when the budget of retries is spent; those of [Source];
// ErrResource for a name that is no valid path.
func (r *Remote) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	data, _, err := r.GetUnless(ctx, name, limit, "")
	return data, err
}

// GetUnless is Get that spares the transfer of a file that has not changed: it returns ErrUnchanged if the file is still the version that
// unless stands for, which is what an earlier GetUnless returned as version. Version is "" if the source knows no such thing (see ConditionalSource).
func (r *Remote) GetUnless(ctx context.Context, name string, limit int64, unless string) (data []byte, version string, err error) {
	uri, err := r.uri(name, limit)
	if err != nil {
		return nil, "", err
	}
	o := r.o
	if c, ok := o.Source.(ConditionalSource); ok && unless != "" {
		o.Source = conditional{c, unless}
	}
	budget := budget{o: &r.o, uri: uri}
	for {
		data, version, err := get(ctx, &o, uri, limit)
		if err == nil {
			return data, version, nil
		}
		if err := budget.wait(ctx, err); err != nil {
			return nil, "", fmt.Errorf("get %s: %w", RedactURI(uri), err)
		}
	}
}

// uri is where the file called name is.
func (r *Remote) uri(name string, limit int64) (string, error) {
	if !fs.ValidPath(name) || name == "." || limit < 0 {
		return "", fmt.Errorf("get %q, limit %d: %w", name, limit, ErrResource)
	}
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return r.base.JoinPath(parts...).String(), nil
}

// get is one attempt.
func get(ctx context.Context, o *Options, uri string, limit int64) (data []byte, version string, err error) {
	b, err := open(ctx, o, uri, 0, 0, "")
	if err != nil {
		return nil, "", err
	}
	defer b.close()
	tooLong := &SizeError{URI: RedactURI(uri), Max: max(limit, 1), Seen: limit + 1}
	if b.Size > limit {
		tooLong.Seen = b.Size
		return nil, "", tooLong
	}
	if b.Offset != 0 {
		return nil, "", fmt.Errorf("body begins at %d, asked for the whole file: %w", b.Offset, ErrRange)
	}
	data, err = io.ReadAll(io.LimitReader(b, limit))
	if err != nil {
		return nil, "", err
	}
	if int64(len(data)) == limit {
		// A limit reached is not yet a limit exceeded: only another byte is.
		if n, err := io.ReadFull(b, make([]byte, 1)); n > 0 {
			return nil, "", tooLong
		} else if !errors.Is(err, io.EOF) {
			return nil, "", err
		}
	}
	return data, b.Validator, nil
}
