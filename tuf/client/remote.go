// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/firmament-dev/firmament/tuf"
)

// get asks a Remote and does not trust it to keep to max. An absent file is an error that matches fs.ErrNotExist and tuf.ErrTransport.
func get(ctx context.Context, r Remote, name string, max int64) ([]byte, error) {
	data, err := r.Get(ctx, name, max)
	if err != nil {
		return nil, transportError(ctx, name, max, err)
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("get %s: %w: %d bytes, at most %d", name, tuf.ErrLength, len(data), max)
	}
	return data, nil
}

// transportError puts an error of a Remote into its class.
func transportError(ctx context.Context, name string, max int64, err error) error {
	switch {
	case ctx.Err() != nil || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("get %s: %w: %w", name, tuf.ErrTransport, err)
	case tooLong(err) || errors.Is(err, tuf.ErrLength):
		return fmt.Errorf("get %s: %w: more than %d bytes: %w", name, tuf.ErrLength, max, err)
	case timeout(err):
		return fmt.Errorf("get %s: %w: %w", name, tuf.ErrSlowRetrieval, err)
	}
	return fmt.Errorf("get %s: %w: %w", name, tuf.ErrTransport, err)
}

func tooLong(err error) bool {
	return has(err, func(e interface {
		error
		TooLong() bool
	}) bool {
		return e.TooLong()
	})
}

func timeout(err error) bool {
	return has(err, func(e interface {
		error
		Timeout() bool
	}) bool {
		return e.Timeout()
	})
}

// has reports whether err has, somewhere in its tree, a method that says yes.
func has[E error](err error, says func(E) bool) bool {
	e, ok := errors.AsType[E](err)
	return ok && says(e)
}

// DirRemote reads a repository from a directory: os.DirFS, the FS of an os.Root, an embedded one. The directory is
// trusted as little as a server. What it returns is a Streamer, too.
func DirRemote(fsys fs.FS) interface {
	Remote
	Streamer
} {
	return dirRemote{fsys}
}

type dirRemote struct{ fsys fs.FS }

// Open makes it a Streamer.
func (d dirRemote) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}, f.Close())
	}
	return f, nil
}

func (d dirRemote) Get(ctx context.Context, name string, max int64) (data []byte, err error) {
	f, err := d.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, max+1))
	if int64(len(data)) > max {
		return nil, fmt.Errorf("read %s: %w: more than %d bytes", name, tuf.ErrLength, max)
	}
	return data, err
}
