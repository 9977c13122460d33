// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/tuf"
)

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
