// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Client is a device's view of one repository. It is safe for concurrent use; calls that reach the Remote wait
// for each other.
type Client struct {
	o Options

	mu    sync.Mutex
	cache cache
	set   *tuf.Set // nil until it has been read from the cache, and again after an error
	ready bool     // the last Refresh succeeded
}

// New returns a Client. It checks the options and the provisioned root and touches neither the network nor the cache.
// Errors: tuf.ErrMalformed or tuf.ErrThreshold for the root, verify.ErrClock without a clock.
func New(o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if _, err := tuf.OpenRoot(o.Root); err != nil {
		return nil, err
	}
	return &Client{o: o, cache: cache{fsys: o.Storage, limits: o.Limits}}, nil
}

// Refresh brings the metadata up to date (section 5). It can be called again at any time; if the timestamp has not changed it
// reads two small files from the Remote and writes nothing. After an error what was verified before is kept, what was
// refused is not, and Target answers nothing until a Refresh succeeds.
//
// Errors: tuf.ErrThreshold, ErrRollback, ErrFreeze, ErrMixAndMatch, ErrMalformed and ErrLength for what the repository
// served, usually inside a *tuf.RoleError; tuf.ErrTransport and ErrSlowRetrieval for the way there; tuf.ErrCache for the
// cache.
//
// Power cut: see the package comment. When Refresh has returned nil, everything it accepted is durable.
func (c *Client) Refresh(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refresh(ctx)
}

func (c *Client) refresh(ctx context.Context) (err error) {
	c.ready = false
	unlock, err := c.cache.lock()
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, unlock()); err != nil {
			c.set = nil // what is on the medium decides
		}
		c.ready = err == nil
	}()
	if err := c.load(); err != nil {
		return err
	}
	at := c.startTime()
	if err := c.updateRoot(ctx); err != nil {
		return err
	}
	if err := c.set.Root().CheckFresh(at); err != nil {
		return &tuf.RoleError{Role: tuf.RoleRoot, Version: c.set.Root().Version(), Err: err}
	}
	if err := c.updateRoles(ctx, at); err != nil {
		return err
	}
	return c.cache.settle(c.set.Floor(), at)
}

// startTime fixes the time of the update (section 5.1): the device's clock, but never before a time that must have passed.
func (c *Client) startTime() time.Time {
	at := c.o.Now()
	for _, floor := range []time.Time{c.o.BuildTime, c.cache.state.Time} {
		if at.Before(floor) {
			at = floor
		}
	}
	return at
}

// Target returns what the metadata of the last Refresh says of a target path. Errors: tuf.ErrPath, tuf.ErrTargetUnknown; the
// latter also as long as no Refresh has succeeded.
func (c *Client) Target(name string) (tuf.TargetFile, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.target(name)
}

func (c *Client) target(name string) (tuf.TargetFile, error) {
	if err := tuf.CheckPath(name); err != nil {
		return tuf.TargetFile{}, err
	}
	if !c.ready {
		return tuf.TargetFile{}, fmt.Errorf("%w: %q: metadata has not been refreshed", tuf.ErrTargetUnknown, name)
	}
	return c.set.Targets().Target(name)
}

// Find refreshes the metadata, fetches a small target and returns its bytes once length and digests hold. Errors: as
// Refresh and Target; tuf.ErrLength if the target is larger than Limits.Target; tuf.ErrHash.
func (c *Client) Find(ctx context.Context, name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := tuf.CheckPath(name); err != nil {
		return nil, err
	}
	if err := c.refresh(ctx); err != nil {
		return nil, err
	}
	file, err := c.target(name)
	if err != nil {
		return nil, err
	}
	if file.Length > c.o.Limits.Target {
		return nil, fmt.Errorf("target %q: %w: %d bytes listed, at most %d", name, tuf.ErrLength, file.Length, c.o.Limits.Target)
	}
	remote, err := file.Filename(c.set.Root().ConsistentSnapshot())
	if err != nil {
		return nil, err
	}
	data, err := c.get(ctx, "targets/"+remote, file.Length)
	if err != nil {
		return nil, err
	}
	if err := file.Verify(data); err != nil {
		return nil, err
	}
	return data, nil
}
