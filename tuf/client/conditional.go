// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Conditional is what a Remote can do besides, so that a timestamp that has not changed is not transferred: fetch.Remote does. GetUnless is Get,
// but returns an error with a method Unchanged() bool that is true, and no data, if the file is still the version that unless stands for. Version
// is what to pass as unless the next time, "" for none.
//
// To say that nothing has changed is no more than to serve the old file again: its expiry is judged all the same.
type Conditional interface {
	GetUnless(ctx context.Context, name string, max int64, unless string) (data []byte, version string, err error)
}

// maxVersion is the longest version of a file that is remembered, in bytes.
const maxVersion = 512

// seen is which version of the timestamp a Remote delivered last.
type seen struct {
	Remote    int // 0 is Options.Remote, 1 the first of Options.Mirrors
	Version   string
	Timestamp verify.Digest // of the file
}

// updateTimestamp is section 5.4.
func (c *Client) updateTimestamp(ctx context.Context, r Remote) error {
	name := tuf.RoleTimestamp.Filename()
	data, version, err := c.getTimestamp(ctx, r, "metadata/"+name)
	if err != nil {
		return err
	}
	newer, err := c.set.UpdateTimestamp(data, c.at)
	if err != nil {
		return err
	}
	if newer {
		if err := c.cache.write(name, data); err != nil {
			return err
		}
		for _, m := range c.remotes { // what they had was an older one
			m.version = ""
		}
	}
	c.asked.version = version
	return nil
}

func (c *Client) getTimestamp(ctx context.Context, r Remote, name string) (data []byte, version string, err error) {
	max := c.o.Limits.Timestamp
	conditional, ok := r.(Conditional)
	if !ok {
		data, err = get(ctx, r, name, max)
		return data, "", err
	}
	unless := c.asked.version
	if c.set.Timestamp() == nil {
		unless = ""
	}
	data, version, err = conditional.GetUnless(ctx, name, max, unless)
	if err != nil && unless != "" && has(err, func(e interface {
		error
		Unchanged() bool
	}) bool {
		return e.Unchanged()
	}) {
		return c.cache.timestamp, unless, nil
	}
	if err != nil {
		return nil, "", transportError(ctx, name, max, err)
	}
	if int64(len(data)) > max {
		return nil, "", fmt.Errorf("get %s: %w: %d bytes, at most %d", name, tuf.ErrLength, len(data), max)
	}
	if len(version) > maxVersion {
		version = ""
	}
	return data, version, nil
}

// recall puts back what the record says of the Remotes.
func (c *Client) recall() {
	s := c.cache.state.Seen
	for i, m := range c.remotes {
		m.version = ""
		if s != nil && s.Remote == i && c.cache.timestamp != nil && s.Timestamp == verify.Sum(verify.SHA256, c.cache.timestamp) {
			m.version = s.Version
		}
	}
}

// remember returns what the record is to say of the Remotes.
func (c *Client) remember() *seen {
	for i, m := range c.remotes {
		if m.version != "" && m == c.asked {
			return &seen{i, m.version, verify.Sum(verify.SHA256, c.cache.timestamp)}
		}
	}
	return nil
}
