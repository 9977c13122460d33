// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/firmament-dev/firmament/tuf"
)

// load reads the cache unless what is in memory is what it holds: another process may have refreshed it meanwhile.
func (c *Client) load() error {
	same, err := c.cache.open()
	if err != nil {
		return err
	}
	if same && c.set != nil {
		return nil
	}
	set := *c.first
	c.set = &set
	c.recall()
	return nil
}

// updateRoot walks the chain of roots (section 5.3), through the cache and, where that ends, the Remote.
func (c *Client) updateRoot(ctx context.Context, r Remote, floor versions) error {
	first := c.set.Timestamp() == nil // nothing restored yet
	before := c.set.Root().Version()
	for fetched := 0; fetched < c.o.Limits.Roots; {
		if c.set.Root().Version() == floor.root {
			c.floorKeys = keysOf(c.set.Root())
		}
		version := c.set.Root().Version() + 1
		name := fmt.Sprintf("%d.%s", version, tuf.RoleRoot.Filename())
		if data := c.cache.read(name, tuf.RoleRoot); data != nil && c.set.UpdateRoot(data) == nil {
			continue
		}
		data, err := get(ctx, r, "metadata/"+name, c.o.Limits.Root)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil {
			err = c.set.UpdateRoot(data)
		}
		if err == nil {
			err = c.cache.write(name, data)
		}
		if err != nil {
			return err
		}
		fetched++
	}
	timestamp, err := floor.check(c.set.Root(), c.floorKeys)
	if err != nil {
		return err
	}
	if err := c.cache.reachRoot(c.set.Root()); err != nil {
		return err
	}
	if first || c.set.Root().Version() != before {
		c.restore(ctx, timestamp)
	}
	return nil
}

// restore puts back what earlier updates accepted. What does not verify, or no longer, is passed over: it will be
// fetched and replaced.
func (c *Client) restore(ctx context.Context, timestamp int64) {
	floor := c.cache.state.Floor
	floor.Timestamp = max(floor.Timestamp, timestamp)
	c.set.SetFloor(floor)
	for _, step := range []struct {
		role tuf.Role
		put  func([]byte) error
	}{
		{tuf.RoleTimestamp, c.set.RestoreTimestamp}, {tuf.RoleSnapshot, c.set.RestoreSnapshot},
	} {
		if data := c.cache.read(step.role.Filename(), step.role); data != nil {
			_ = step.put(data)
		}
	}
	c.restoreTargets(ctx)
}

// updateRoles is sections 5.4 to 5.6. Each file is written as soon as it is verified, and only then.
func (c *Client) updateRoles(ctx context.Context, r Remote, at time.Time) error {
	if err := c.updateTimestamp(ctx, r); err != nil {
		return err
	}
	if !c.set.SnapshotCurrent() {
		if err := c.updateSnapshot(ctx, r, at); err != nil {
			return err
		}
	}
	if !c.set.TargetsCurrent() {
		if err := c.updateTargets(ctx, r, at); err != nil {
			return err
		}
	}
	return c.set.Check(at)
}

func (c *Client) updateSnapshot(ctx context.Context, r Remote, at time.Time) error {
	listed := c.set.Timestamp().Snapshot()
	limit, err := c.limit(tuf.RoleSnapshot, listed)
	if err != nil {
		return err
	}
	data, err := get(ctx, r, c.remoteName(string(tuf.RoleSnapshot), listed), limit)
	if err != nil {
		return err
	}
	if err := c.set.UpdateSnapshot(data, at); err != nil {
		return err
	}
	return c.cache.write(tuf.RoleSnapshot.Filename(), data)
}

func (c *Client) updateTargets(ctx context.Context, r Remote, at time.Time) error {
	listed, _ := c.set.Snapshot().Meta(tuf.RoleTargets.Filename())
	limit, err := c.limit(tuf.RoleTargets, listed)
	if err != nil {
		return err
	}
	name := tuf.RoleTargets.Filename()
	b, err := c.download(ctx, r, c.remoteName(string(tuf.RoleTargets), listed), name, limit, locked)
	if err != nil {
		return err
	}
	if err := c.set.UpdateTargetsFile(b, b.size, at); err != nil {
		return errors.Join(err, b.discard())
	}
	if err := c.cache.keep(b); err != nil {
		return err
	}
	c.writeIndex(ctx, name, c.set.Targets())
	return nil
}

// locked is for a caller who holds the lock anyway.
func locked() (func() error, error) { return func() error { return nil }, nil }

// remoteName is what the Remote calls the metadata of a role, whose name is one element of a path by now.
func (c *Client) remoteName(role string, listed tuf.MetaFile) string {
	if c.set.Root().ConsistentSnapshot() {
		return fmt.Sprintf("metadata/%d.%s.json", listed.Version, role)
	}
	return "metadata/" + role + ".json"
}

// limit is how many bytes of a listed file are read.
func (c *Client) limit(role tuf.Role, listed tuf.MetaFile) (int64, error) {
	limit := c.o.Limits.of(role)
	if listed.Length > limit {
		return 0, &tuf.RoleError{Role: role, Version: listed.Version, Err: fmt.Errorf("%w: %d bytes listed, at most %d", tuf.ErrLength, listed.Length, limit)}
	}
	if listed.Length > 0 {
		limit = listed.Length
	}
	return limit, nil
}
