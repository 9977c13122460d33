// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

// A body is a file of targets metadata: bytes in memory, or, if they are more than Limits.Memory, a file of the cache. One that came from
// a Remote is in a temporary file until it is verified and kept.
type body struct {
	data    []byte
	fsys    simfs.FS
	name    string // of the file in the cache
	size    int64
	pending *durable.Pending // not yet the file called name
	unlock  func() error     // if the lock was taken for it
}

// ReadAt opens the file each time: look-ups are rare, and whatever lies there by then has to be what was verified.
func (b *body) ReadAt(p []byte, off int64) (n int, err error) {
	switch {
	case b.data != nil:
		return bytes.NewReader(b.data).ReadAt(p, off)
	case b.pending != nil:
		return b.pending.ReadAt(p, off)
	}
	f, err := b.fsys.OpenFile(b.name, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.ReadAt(p, off)
}

// download gets a file of targets metadata from a Remote, of at most max bytes. If it is long and the Remote can stream, it goes to the medium;
// lock is then taken before, because another process may remove temporary files.
func (c *Client) download(ctx context.Context, r Remote, remoteName, name string, max int64, lock func() (func() error, error)) (*body, error) {
	s, ok := r.(Streamer)
	if !ok || max <= c.o.Limits.Memory {
		data, err := get(ctx, r, remoteName, max)
		return &body{data: data, name: name, size: int64(len(data))}, err
	}
	stream, err := s.Open(ctx, remoteName)
	if err != nil {
		return nil, transportError(ctx, remoteName, max, err)
	}
	b, err := c.cache.receive(remoteReader{ctx, remoteName, max, stream}, name, max, lock)
	if err != nil {
		err = fmt.Errorf("get %s: %w", remoteName, err)
	}
	return b, errors.Join(err, stream.Close())
}

// receive reads a file to its end, and no more than max bytes of it.
func (c *cache) receive(r io.Reader, name string, max int64, lock func() (func() error, error)) (*body, error) {
	data, err := io.ReadAll(io.LimitReader(r, min(max, c.limits.Memory)+1))
	if err != nil {
		return nil, err
	}
	b := &body{data: data, fsys: c.fsys, name: name, size: int64(len(data))}
	if b.size <= c.limits.Memory {
		return b, nil
	}
	if b.unlock, err = lock(); err != nil {
		return nil, err
	}
	if b.pending, err = durable.Create(c.fsys, name); err != nil {
		return nil, errors.Join(cacheError("create "+name, err), b.unlock())
	}
	w := mediumWriter{b.pending}
	b.data = nil
	_, err = w.Write(data)
	if err == nil {
		_, err = io.CopyBuffer(w, struct{ io.Reader }{io.LimitReader(r, max+1-b.size)}, make([]byte, 64<<10))
	}
	if b.size = b.pending.Size(); err == nil && b.size > max {
		err = fmt.Errorf("%w: more than %d bytes", tuf.ErrLength, max)
	}
	if err != nil {
		return nil, errors.Join(err, b.discard())
	}
	return b, nil
}

// mediumWriter tells the errors of the medium from those of the Remote.
type mediumWriter struct{ p *durable.Pending }

func (w mediumWriter) Write(p []byte) (int, error) {
	n, err := w.p.Write(p)
	if err != nil {
		err = cacheError("write", err)
	}
	return n, err
}

// discard throws away what was not verified.
func (b *body) discard() error {
	if b == nil || b.pending == nil {
		return nil
	}
	p := b.pending
	b.pending = nil
	err := p.Discard()
	if err != nil {
		err = cacheError("discard "+b.name, err)
	}
	return errors.Join(err, b.unlock())
}

// keep makes a verified body the file of the cache.
func (c *cache) keep(b *body) error {
	if b.pending == nil {
		return c.write(b.name, b.data)
	}
	c.dirty = true
	if f, err := c.fsys.OpenFile(b.name, os.O_RDONLY); err == nil {
		_ = f.Close()
	} else if errors.Is(err, fs.ErrInvalid) { // no regular file, which a rename might not replace
		_ = c.fsys.Remove(b.name)
	}
	p := b.pending
	b.pending = nil
	err := p.Commit()
	if err != nil {
		err = cacheError("write "+b.name, err)
	}
	return errors.Join(err, b.unlock())
}

// body returns a cached file of targets metadata, nil if there is none or it cannot be read.
func (c *cache) body(name string) *body {
	f, err := c.fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil
	}
	size, err := f.Size()
	if err = errors.Join(err, f.Close()); err != nil || size > c.limits.Targets {
		return nil
	}
	b := &body{fsys: c.fsys, name: name, size: size}
	if size <= c.limits.Memory {
		if b.data, err = durable.ReadFile(c.fsys, name, c.limits.Memory); err != nil {
			return nil
		}
		b.size = int64(len(b.data))
	}
	return b
}
