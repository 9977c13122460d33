// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
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

	// Payloads returns the names, as PutPayload has them, of the payloads that a target refers to. Without it payloads are left alone. A payload that no
	// target has referred to yet is never collected. data is nil if the target's file is gone already.
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
// the newest Keep timestamps lead to, whatever is staged, and whatever somebody may be about to publish. What it does not know it leaves alone. Run one at a time.
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
	// What is dropped says what may go; what is kept says what may not.
	c.wanted = map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.drop)) {
		if err := c.targets(ctx, name, c.drop[name].role, func(file string) { c.wanted[file] = false }); err != nil {
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
	if err := c.staged(ctx); err != nil {
		return err
	}
	return c.plan(ctx)
}

func (c *collector) want(file string) {
	if _, ok := c.wanted[file]; ok {
		c.wanted[file] = true
	}
}

// mark decides which metadata goes and returns what stays and lists targets.
func (c *collector) mark(ctx context.Context, now []byte, names []string) (keep []string, err error) {
	timestamps, oldest, err := c.timestamps(ctx, now, names)
	if err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	newest := int64(0)
	for _, version := range timestamps {
		if kept[versionPath(tuf.RoleSnapshot, version)] {
			continue
		}
		kept[versionPath(tuf.RoleSnapshot, version)] = true
		var s struct {
			Signed struct {
				Meta map[string]struct{ Version int64 }
			}
		}
		err := c.decode(ctx, versionPath(tuf.RoleSnapshot, version), &s)
		if errors.Is(err, fs.ErrNotExist) && version < newest {
			continue // collected when fewer were kept
		}
		if err != nil {
			return nil, err
		}
		if version > newest {
			newest, c.listed = version, map[tuf.Role]int64{tuf.RoleSnapshot: version}
		}
		for path, m := range s.Signed.Meta {
			role := tuf.Role(strings.TrimSuffix(path, ".json"))
			kept[versionPath(role, m.Version)] = true
			if version == newest {
				c.listed[role] = m.Version
			}
		}
	}
	c.drop = map[string]versionedRole{}
	for _, name := range names {
		role, version, ok := parseVersion(name)
		switch listed, known := c.listed[role]; {
		case !ok || role == tuf.RoleRoot:
		case role == tuf.RoleTimestamp:
			if version < oldest {
				c.drop[name] = versionedRole{role, version}
			}
		case kept[name], !known, version > listed: // the last two may be about to be published
			if role != tuf.RoleSnapshot {
				keep = append(keep, name)
			}
		default:
			c.drop[name] = versionedRole{role, version}
		}
	}
	return keep, nil
}

// timestamps returns the snapshot versions of the timestamps that are kept, the newest first, and the oldest of their versions.
func (c *collector) timestamps(ctx context.Context, now []byte, names []string) (snapshots []int64, oldest int64, err error) {
	var archived []int64
	for _, name := range names {
		if role, version, ok := parseVersion(name); ok && role == tuf.RoleTimestamp {
			archived = append(archived, version)
		}
	}
	slices.Sort(archived)
	slices.Reverse(archived)
	at := metadataPath(tuf.RoleTimestamp, 0)
	for {
		var t struct {
			Signed struct {
				Version int64
				Meta    map[string]struct{ Version int64 }
			}
		}
		if err := json.Unmarshal(now, &t); err != nil {
			return nil, 0, fmt.Errorf("%s: %w: %v", at, tuf.ErrMalformed, err)
		}
		snapshot := t.Signed.Meta[tuf.RoleSnapshot.Filename()].Version
		if t.Signed.Version < 1 || snapshot < 1 {
			return nil, 0, fmt.Errorf("%s: %w: versions expected", at, tuf.ErrMalformed)
		}
		snapshots, oldest = append(snapshots, snapshot), t.Signed.Version
		c.Timestamps = len(snapshots)
		archived = slices.DeleteFunc(archived, func(v int64) bool { return v >= oldest })
		if len(archived) == 0 || len(snapshots) == c.o.Keep {
			return snapshots, oldest, nil
		}
		at = archivePath(archived[0])
		if now, _, err = c.s.Get(ctx, at, MaxMetadata); err != nil {
			return nil, 0, err
		}
	}
}

// decode reads metadata without verifying it: at worst too much is kept.
func (c *collector) decode(ctx context.Context, name string, v any) error {
	data, _, err := c.s.Get(ctx, name, MaxMetadata)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w: %v", name, tuf.ErrMalformed, err)
	}
	return nil
}

// targets calls f for each file that a metadata file of targets refers to.
func (c *collector) targets(ctx context.Context, name string, role tuf.Role, f func(file string)) error {
	if role == tuf.RoleSnapshot || role == tuf.RoleTimestamp {
		return nil
	}
	var t, signed map[string]json.RawMessage // maps, because a struct's members take names in other letters, too
	var targets map[string]map[string]json.RawMessage
	err := c.decode(ctx, name, &t)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was listed, and is gone: it refers to nothing any more
	}
	if err != nil {
		return err
	}
	if err = json.Unmarshal(t["signed"], &signed); err == nil {
		err = json.Unmarshal(signed["targets"], &targets)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %v", name, tuf.ErrMalformed, err)
	}
	for path, entry := range targets {
		file := tuf.TargetFile{Path: path, Custom: entry["custom"]}
		var hashes map[string]string
		if err := errors.Join(json.Unmarshal(entry["length"], &file.Length), json.Unmarshal(entry["hashes"], &hashes)); err != nil {
			return fmt.Errorf("%s: target %.200q: %w: %v", name, path, tuf.ErrMalformed, err)
		}
		for _, h := range []verify.Hash{verify.SHA256, verify.SHA512, verify.SHA384} {
			sum, err := hex.DecodeString(hashes[h.String()])
			if err != nil {
				return fmt.Errorf("%s: target %.200q: %w: %v", name, path, tuf.ErrMalformed, err)
			}
			if d, err := verify.NewDigest(h, sum); err == nil {
				file.Digests = append(file.Digests, d)
			}
		}
		if err := c.target(ctx, file, f); err != nil {
			return fmt.Errorf("%s: target %.200q: %w", name, path, err)
		}
	}
	return nil
}

func (c *collector) target(ctx context.Context, file tuf.TargetFile, f func(string)) error {
	paths, err := targetPaths(file.Path, file.Digests)
	if err != nil {
		return nil // nobody can have stored it
	}
	for _, at := range paths {
		f(at)
	}
	if c.o.Payloads == nil {
		return nil
	}
	var data []byte
	for _, at := range paths {
		if data, _, err = c.s.Get(ctx, at, MaxMetadata); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	payloads, err := c.o.Payloads(file, data)
	if err != nil {
		return err
	}
	for _, name := range payloads {
		if tuf.CheckPath(name) == nil {
			f("payloads/" + name)
		}
	}
	return nil
}

// staged keeps what staged metadata lists.
func (c *collector) staged(ctx context.Context) error {
	names, err := c.s.List(ctx, "staged")
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == stagedPath(tuf.RoleRoot) {
			continue
		}
		if err := c.targets(ctx, name, tuf.RoleTargets, c.want); err != nil {
			return err
		}
	}
	return nil
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
