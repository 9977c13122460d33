// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// versions is what Options.Floor counts: the root's version in the upper 24 bits and the timestamp's in the lower 40. It grows
// with every update, also with one that lets the timestamp's version begin again, because a new root goes with that.
type versions struct{ root, timestamp int64 }

const timestampBits = 40

func (v versions) number() uint64 {
	return uint64(min(v.root, 1<<(64-timestampBits)-1))<<timestampBits | uint64(min(v.timestamp, 1<<timestampBits-1))
}

func (c *Client) readCounter(ctx context.Context) (versions, error) {
	if c.o.Floor == nil {
		return versions{}, nil
	}
	n, err := c.o.Floor.Value(ctx)
	if err != nil {
		return versions{}, cacheError("read counter", err)
	}
	return versions{root: int64(n >> timestampBits), timestamp: int64(n & (1<<timestampBits - 1))}, nil
}

// raiseCounter follows a complete update; every file of it is durable by now.
func (c *Client) raiseCounter(ctx context.Context) error {
	if c.o.Floor == nil {
		return nil
	}
	v := versions{c.set.Root().Version(), c.set.Timestamp().Version()}
	if err := c.o.Floor.Raise(ctx, v.number()); err != nil {
		return cacheError("raise counter", err)
	}
	return nil
}

// floorKeys are the keys of the timestamp and the snapshot role in the root under which the counter was raised.
type floorKeys map[tuf.Role][]verify.Digest

func keysOf(root *tuf.Root) floorKeys {
	keys := make(floorKeys)
	for _, role := range onlineRoles {
		for _, key := range root.Keys(role) {
			keys[role] = append(keys[role], key.ID())
		}
	}
	return keys
}

// revoked reports whether root revoked one of them: versions then begin again.
func (k floorKeys) revoked(root *tuf.Root) bool {
	return root.Revoked(tuf.RoleTimestamp, k[tuf.RoleTimestamp]) || root.Revoked(tuf.RoleSnapshot, k[tuf.RoleSnapshot])
}

// check compares the root that the chain led to with the counter, and returns the lowest timestamp version to accept.
func (v versions) check(root *tuf.Root, then floorKeys) (timestamp int64, err error) {
	if root.Version() < v.root {
		return 0, &tuf.RoleError{Role: tuf.RoleRoot, Version: root.Version(), Err: fmt.Errorf("%w: the counter stands at version %d", tuf.ErrRollback, v.root)}
	}
	if then == nil || then.revoked(root) {
		return 0, nil
	}
	return v.timestamp, nil
}
