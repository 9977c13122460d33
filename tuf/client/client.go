// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// Client is a device's view of one repository. It is safe for concurrent use; calls that reach a Remote wait
// for each other.
type Client struct {
	o     Options
	first *tuf.Set // the provisioned root alone

	mu        sync.Mutex
	cache     cache
	remotes   []*mirror
	asked     *mirror   // the last of them that was asked
	set       *tuf.Set  // nil until it has been read from the cache, and again after an error
	ready     bool      // the last Refresh succeeded
	floorKeys floorKeys // of the root at which Options.Floor stands, once the chain has passed it
	at        time.Time // when it began: what it led to is judged at this time
}

// New returns a Client. It checks the options and the provisioned root and touches neither the network nor the cache.
// Errors: tuf.ErrMalformed or tuf.ErrThreshold for the root, verify.ErrClock without a clock.
func New(o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	first, err := tuf.NewSetUnder(o.Root, o.Policy)
	if err != nil {
		return nil, err
	}
	c := &Client{o: o, first: first, cache: cache{fsys: o.Storage, limits: o.Limits}}
	for _, r := range append([]Remote{o.Remote}, o.Mirrors...) {
		c.remotes = append(c.remotes, &mirror{Remote: r})
	}
	return c, nil
}

// Refresh brings the metadata up to date (section 5). It can be called again at any time; if the timestamp has not changed it
// reads two small files from the Remote and writes nothing. After an error what was verified before is kept, what was
// refused is not, and Target answers nothing until a Refresh succeeds.
//
// Processes that share a cache take turns: Refresh waits for another one, up to half a minute.
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
	unlock, err := c.cache.lock(ctx)
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
	floor, err := c.readCounter(ctx)
	if err != nil {
		return err
	}
	c.at = c.startTime()
	err = c.each(ctx, func(r Remote) error {
		if err := c.updateRoot(ctx, r, floor); err != nil {
			return err
		}
		if err := c.set.Root().CheckFresh(c.at); err != nil {
			return &tuf.RoleError{Role: tuf.RoleRoot, Version: c.set.Root().Version(), Err: err}
		}
		return c.updateRoles(ctx, r, c.at)
	})
	if err != nil {
		return err
	}
	before := c.cache.state.Floor
	if err := c.cache.settle(c.set.Floor(), c.at, c.remember()); err != nil {
		return err
	}
	if c.cache.state.Floor.Snapshot != before.Snapshot {
		c.cache.prune(c.set.Snapshot())
	}
	return c.raiseCounter(ctx)
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
