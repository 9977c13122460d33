// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/firmament-dev/firmament/tuf"
)

// Target returns what the metadata of the last Refresh says of a target path. It asks the Remote if the path is delegated to
// roles whose metadata is not in the cache.
//
// Errors: tuf.ErrPath, tuf.ErrTargetUnknown; the latter also as long as no Refresh has succeeded. For delegated metadata those of Refresh, and
// tuf.ErrDelegation.
func (c *Client) Target(ctx context.Context, name string) (tuf.TargetFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.target(ctx, name)
}

func (c *Client) target(ctx context.Context, name string) (tuf.TargetFile, error) {
	if err := tuf.CheckPath(name); err != nil {
		return tuf.TargetFile{}, err
	}
	if !c.ready {
		return tuf.TargetFile{}, fmt.Errorf("%w: %q: metadata has not been refreshed", tuf.ErrTargetUnknown, name)
	}
	limits := tuf.SearchLimits{Roles: c.o.Limits.Delegations, Depth: c.o.Limits.Depth}
	file, err := c.set.Targets().Search(name, limits, func(d tuf.Delegation) (*tuf.Targets, error) { return c.delegated(ctx, d) })
	if errors.Is(err, tuf.ErrCache) {
		// A file that was verified is not there any more as it was: the next Refresh looks at all of them anew.
		c.set, c.ready = nil, false
		err = errors.Join(err, c.cache.dropIndexes())
	}
	return file, err
}

// delegated returns the metadata of a role as d demands it. The cached file is judged each time, because it was stored under
// the role's name by whichever delegator led there first.
func (c *Client) delegated(ctx context.Context, d tuf.Delegation) (*tuf.Targets, error) {
	listed, err := c.set.DelegatedMeta(d.Name())
	if err != nil {
		return nil, err
	}
	file := delegatedFile(d.Name())
	if b := c.cache.body(file); b != nil {
		if t, err := c.openDelegated(ctx, d, b, c.at); err == nil {
			return t, nil
		}
	}
	limit, err := c.limit(tuf.Role(d.Name()), listed)
	if err != nil {
		return nil, err
	}
	var t *tuf.Targets
	var b *body
	err = c.each(ctx, func(r Remote) (err error) {
		// The name on the wire is one element of a path, whatever the role is called.
		if b, err = c.download(ctx, r, c.remoteName(url.PathEscape(d.Name()), listed), file, limit, func() (func() error, error) { return c.cache.lock(ctx) }); err != nil {
			return err
		}
		if t, err = c.set.OpenDelegatedFile(d, b, b.size, c.at); err != nil {
			err = errors.Join(err, b.discard())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, c.keepDelegated(ctx, b, t)
}

// Find refreshes the metadata, fetches a small target and returns its bytes once length and digests hold. Errors: as
// Refresh and Target; tuf.ErrLength if the target is larger than Limits.Target; tuf.ErrHash.
func (c *Client) Find(ctx context.Context, name string) ([]byte, error) {
	data, _, err := c.FindCustom(ctx, name)
	return data, err
}

// FindCustom is Find that returns what the metadata says of the target besides, too: its custom JSON object, nil if there is none.
func (c *Client) FindCustom(ctx context.Context, name string) (data, custom []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := tuf.CheckPath(name); err != nil {
		return nil, nil, err
	}
	if err := c.refresh(ctx); err != nil {
		return nil, nil, err
	}
	file, err := c.target(ctx, name)
	for again := 0; errors.Is(err, tuf.ErrCache) && again < 3; again++ { // without what was damaged, or with what another process put there
		if err := c.refresh(ctx); err != nil {
			return nil, nil, err
		}
		file, err = c.target(ctx, name)
	}
	if err != nil {
		return nil, nil, err
	}
	if data, err = c.fetch(ctx, file); err != nil {
		return nil, nil, err
	}
	return data, file.Custom, nil
}

// fetch returns the verified bytes of a target that fits in memory.
func (c *Client) fetch(ctx context.Context, file tuf.TargetFile) ([]byte, error) {
	if file.Length > c.o.Limits.Target {
		return nil, fmt.Errorf("target %q: %w: %d bytes listed, at most %d", file.Path, tuf.ErrLength, file.Length, c.o.Limits.Target)
	}
	name, err := file.Filename(c.set.Root().ConsistentSnapshot())
	if err != nil {
		return nil, err
	}
	var data []byte
	err = c.each(ctx, func(r Remote) (err error) {
		if data, err = get(ctx, r, "targets/"+name, file.Length); err == nil {
			err = file.Verify(data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// Streamer is what a Remote can do besides, so that Download needs no memory for the whole file. Open returns the file called name from its
// beginning, under the rules of Remote.Get; the caller closes it and reads no more than it expects.
type Streamer interface {
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Download writes a target that Target returned to dst. What is in dst is verified only when Download has returned nil: after an error it is to be
// thrown away. From a Remote that is a Streamer targets of any size are read in constant memory, from the first such Remote that delivers; others are
// held in memory first, up to Limits.Target.
//
// Errors: tuf.ErrLength, tuf.ErrHash, tuf.ErrTransport, tuf.ErrSlowRetrieval, those of dst.
func (c *Client) Download(ctx context.Context, file tuf.TargetFile, dst io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		return fmt.Errorf("%w: %q: metadata has not been refreshed", tuf.ErrTargetUnknown, file.Path)
	}
	return c.copyTarget(ctx, file, dst)
}

func (c *Client) copyTarget(ctx context.Context, file tuf.TargetFile, dst io.Writer) error {
	name, err := file.Filename(c.set.Root().ConsistentSnapshot())
	if err != nil {
		return err
	}
	var failed error
	for _, m := range c.order() {
		s, ok := m.Remote.(Streamer)
		if !ok {
			continue
		}
		body, err := s.Open(ctx, "targets/"+name)
		if err != nil {
			m.failures++
			failed = errors.Join(failed, transportError(ctx, "targets/"+name, file.Length, err))
			continue
		}
		err = file.Copy(dst, remoteReader{ctx, "targets/" + name, file.Length, body}) // dst cannot be rewound: no second try after this
		if err != nil {
			m.failures++
		}
		return errors.Join(err, body.Close())
	}
	if failed != nil {
		return failed
	}
	data, err := c.fetch(ctx, file)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, bytes.NewReader(data))
	return err
}

// remoteReader puts the Remote's errors into their classes, so that they are not taken for those of dst.
type remoteReader struct {
	ctx  context.Context
	name string
	max  int64
	r    io.Reader
}

func (r remoteReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = transportError(r.ctx, r.name, r.max, err)
	}
	return n, err
}
