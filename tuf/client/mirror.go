// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// mirror is one Remote and how often it has failed since it last delivered.
type mirror struct {
	Remote
	failures int
	version  string // of the timestamp that is held, as this Remote calls it
}

// order is the Remotes, those that failed least first; among equals, as Options has them.
func (c *Client) order() []*mirror {
	list := slices.Clone(c.remotes)
	for i := range list {
		for j := i; j > 0 && list[j].failures < list[j-1].failures; j-- {
			list[j-1], list[j] = list[j], list[j-1]
		}
	}
	return list
}

// each tries f with one Remote after the other until it succeeds. A mirror that lies is like one that is down: what f verified
// with its help is good, and the next one goes on from there. Trouble with the cache or the context is no mirror's fault.
func (c *Client) each(ctx context.Context, f func(Remote) error) error {
	var all error
	for _, m := range c.order() {
		c.asked = m
		err := f(m.Remote)
		if err == nil {
			m.failures = 0
			return nil
		}
		if all = errors.Join(all, err); len(c.remotes) == 1 {
			return err
		}
		if ctx.Err() != nil || errors.Is(err, tuf.ErrCache) {
			return all
		}
		m.failures++
	}
	return all
}
