// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/firmament-dev/firmament/tuf"
)

// ErrCollecting means that a file which nothing published refers to is wanted again while garbage collection is about to delete it. Nothing was
// published. Wait until the collection is done; if it was cut off, Collect finishes it.
var ErrCollecting = errors.New("garbage collection is about to delete it")

// DefaultKeep is how many timestamps Collect keeps at least, if it is not told.
const DefaultKeep = 10

// CollectOptions say what is kept. The zero value is safe.
type CollectOptions struct {
	// Keep is how many timestamps, the newest first, keep all that they lead to; DefaultKeep if 0. A client that began an update under one of
	// them can finish it. So Keep publications and refreshes should take longer than an update does.
	Keep int

	// Payloads returns the names, as PutPayload has them, of the payloads that a target refers to; data is nil if the target's file is gone already.
	// Without it payloads are left alone. A payload that no target has referred to yet is never collected. Nor is one that only a delegate's targets
	// referred to, unless the delegate is trusted with a target path like the payload's name: whoever has acme/* should call its payloads acme/….
	// Roles that divide paths by their hash share the payloads of who delegates to them.
	Payloads func(target tuf.TargetFile, data []byte) ([]string, error)

	// DryRun only says what would be deleted.
	DryRun bool
}

// Collection is what Collect has done. Timestamps is how many versions were kept; Deleted is the files, in the order in which they go.
type Collection struct {
	Timestamps int
	Deleted    []string
}

// Collect deletes the files that only superseded metadata refers to: metadata, target files, payloads. It keeps every root, whatever
// the newest Keep timestamps lead to, whatever is staged, and whatever somebody may be about to publish. What it does not know it leaves alone, and
// so it does with files that a delegate named who was not trusted with their paths. Run one at a time.
//
// Power cut: what is kept is never touched, so clients see nothing of it; call Collect again to finish. Until then a file that is wanted again and was to
// be deleted is refused with ErrCollecting.
//
// Errors: tuf.ErrMalformed if something that decides cannot be read, before anything is deleted.
func (r *Repository) Collect(ctx context.Context, o CollectOptions) (Collection, error) {
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Keep < 1 {
		return Collection{}, fmt.Errorf("collect garbage: keep %d timestamps: at least 1 expected", o.Keep)
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	c := &collector{s: r.s, o: o}
	if err := c.collect(ctx); err != nil {
		return c.Collection, fmt.Errorf("collect garbage: %w", err)
	}
	return c.Collection, nil
}

type collector struct {
	s store
	o CollectOptions
	Collection

	drop   map[string]versionedRole // metadata files to delete
	listed map[tuf.Role]int64       // versions of the newest snapshot
	wanted map[string]bool          // files that only what is dropped may refer to: true once something that is kept does
	refers []reference              // of what is dropped
	owners owners
}

type versionedRole struct {
	role    tuf.Role
	version int64
}

func (c *collector) collect(ctx context.Context) error {
	if c.o.DryRun {
		return c.decide(ctx)
	}
	for range maxTries {
		mark, err := c.s.beginMark(ctx)
		if err == nil {
			err = c.decide(ctx)
		}
		if err == nil {
			err = c.s.setMark(ctx, mark, c.Deleted)
		}
		if errors.Is(err, ErrConflict) {
			continue // somebody published, and may want what was to go
		}
		if err != nil {
			return err
		}
		for _, name := range c.Deleted {
			if err := c.s.Delete(ctx, name); err != nil {
				return err
			}
		}
		return c.s.Delete(ctx, markName)
	}
	return ErrConflict
}

// decide fills the Collection and changes nothing.
func (c *collector) decide(ctx context.Context) error {
	c.Collection, c.listed = Collection{}, nil
	// The timestamp first: what is listed after it holds all that it replaced.
	now, _, err := c.s.Get(ctx, metadataPath(tuf.RoleTimestamp, 0), MaxMetadata)
	if err != nil {
		return err
	}
	names, err := c.s.List(ctx, "metadata")
	if err != nil {
		return err
	}
	keep, err := c.mark(ctx, now, names)
	if err != nil {
		return err
	}
	// What is dropped says what may go; what is kept, and whose it is, says what may not.
	c.wanted, c.refers, c.owners = map[string]bool{}, nil, newOwners()
	for _, name := range slices.Sorted(maps.Keys(c.drop)) {
		err := c.targets(ctx, name, c.drop[name].role, func(r reference) {
			c.wanted[r.file], c.refers = false, append(c.refers, r)
		})
		if err != nil {
			return err
		}
	}
	for _, name := range keep {
		if len(c.wanted) == 0 {
			break
		}
		role, _, _ := parseVersion(name)
		if err := c.targets(ctx, name, role, c.want); err != nil {
			return err
		}
	}
	c.wantOthers()
	if err := c.staged(ctx); err != nil {
		return err
	}
	return c.plan(ctx)
}

func (c *collector) want(r reference) {
	if _, ok := c.wanted[r.file]; ok {
		c.wanted[r.file] = true
	}
}

// wantOthers keeps the files that nobody referred to whose they were.
func (c *collector) wantOthers() {
	owned := map[string]bool{}
	for _, r := range c.refers {
		owned[r.file] = owned[r.file] || c.owners.owns(r)
	}
	for file := range c.wanted {
		c.wanted[file] = c.wanted[file] || !owned[file]
	}
}

// plan puts the files in the order in which they go: a file after those that only it refers to, so that a
// collection that was cut off finds them again.
func (c *collector) plan(ctx context.Context) error {
	rank := func(role tuf.Role) int { return max(slices.Index(roles, role), 1) }
	c.Deleted = []string{}
	for _, name := range slices.Sorted(maps.Keys(c.wanted)) {
		if c.wanted[name] {
			continue
		}
		f, err := c.s.Open(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone already, or referred to and never there
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return err
		}
		c.Deleted = append(c.Deleted, name)
	}
	metadata := slices.Sorted(maps.Keys(c.drop))
	slices.SortStableFunc(metadata, func(a, b string) int { return rank(c.drop[a].role) - rank(c.drop[b].role) })
	c.Deleted = append(c.Deleted, metadata...)
	return nil
}
