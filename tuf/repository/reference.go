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

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// reference is a file that metadata refers to.
type reference struct {
	role    tuf.Role
	file    string
	name    string // the target path, or the payload's name
	payload bool
}

// targets notes the delegations of a metadata file of targets and calls f for each file that it refers to.
func (c *collector) targets(ctx context.Context, name string, role tuf.Role, f func(reference)) error {
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
	if err == nil && signed["delegations"] != nil {
		err = c.owners.note(role, signed["delegations"])
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
		if err := c.target(ctx, role, file, f); err != nil {
			return fmt.Errorf("%s: target %.200q: %w", name, path, err)
		}
	}
	return nil
}

func (c *collector) target(ctx context.Context, role tuf.Role, file tuf.TargetFile, f func(reference)) error {
	paths, err := targetPaths(file.Path, file.Digests)
	if err != nil {
		return nil // nobody can have stored it
	}
	for _, at := range paths {
		f(reference{role: role, file: at, name: file.Path})
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
			f(reference{role, "payloads/" + name, name, true})
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
