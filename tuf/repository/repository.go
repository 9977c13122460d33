// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Repository is a TUF repository in a directory. It is safe for concurrent use; several processes on one directory
// exclude each other by its lock, and each call reads the directory anew.
type Repository struct {
	dir directory

	mu sync.Mutex
	o  Options
}

// Create makes a repository with version 1 of every role and no targets in a directory that holds none. It is finished once timestamp.json
// is there; what a power cut leaves before that is a directory in which Create can be called again.
//
// Errors: ErrExists, ErrIncomplete, what a Signer returns, or what the storage returns.
func Create(ctx context.Context, dir Storage, o Options) (*Repository, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	r := &Repository{dir: directory{dir}, o: o}
	if err := r.locked(func() error { return r.create(ctx) }); err != nil {
		return nil, err
	}
	return r, nil
}

// Open returns the repository in a directory. It reads and verifies it, trusting the oldest root.
func Open(_ context.Context, dir Storage, o Options) (*Repository, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	r := &Repository{dir: directory{dir}, o: o}
	if err := r.locked(func() error {
		_, err := r.dir.current()
		return err
	}); err != nil {
		return nil, err
	}
	return r, nil
}

// locked runs f with this Repository and the directory to itself, and clears what an earlier cut left half written.
func (r *Repository) locked(f func() error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lock, err := r.dir.fsys.Lock("lock")
	if err != nil {
		return fmt.Errorf("lock repository: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := durable.MkdirAll(r.dir.fsys, "metadata"); err != nil {
		return fmt.Errorf("open repository: %w", err)
	}
	if err := durable.RemoveTemps(r.dir.fsys, "metadata"); err != nil {
		return fmt.Errorf("open repository: %w", err)
	}
	return f()
}

func (r *Repository) create(ctx context.Context) error {
	if _, err := r.dir.read(tuf.RoleTimestamp, 0); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create repository: timestamp: %w", errors.Join(ErrExists, err))
	}
	root := metadata.Root(r.o.expires(tuf.RoleRoot))
	for _, role := range roles {
		threshold, given := r.o.Thresholds[role]
		if !given {
			threshold = 1
		}
		if err := setRole(root, role, publicKeys(r.o.Signers[role]), threshold); err != nil {
			return fmt.Errorf("create repository: %w", err)
		}
	}
	data, err := sign(ctx, root, r.o.Signers[tuf.RoleRoot])
	if err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	set, err := tuf.NewSet(data)
	if err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	d := r.firstDraft()
	if err := d.build(ctx, tuf.RoleTargets); err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	if err := d.check(*set, r.o.Now()); err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	if err := r.dir.write(metadataPath(tuf.RoleRoot, 1), data); err != nil {
		return err
	}
	return d.write(r.dir)
}

func publicKeys(signers []verify.Signer) []tuf.Key {
	var keys []tuf.Key
	for _, s := range signers {
		if key := keyOf(s); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// setRole replaces a role's keys and threshold in root.
func setRole(root *metadata.Metadata[metadata.RootType], role tuf.Role, keys []tuf.Key, threshold int) error {
	if threshold < 1 || len(keys) < threshold {
		return fmt.Errorf("%w: %s: threshold %d of %d keys", ErrIncomplete, role, threshold, len(keys))
	}
	entry := &metadata.Role{KeyIDs: []string{}, Threshold: threshold}
	for _, k := range keys {
		key, id, err := tufKey(k)
		if err != nil {
			return err
		}
		root.Signed.Keys[id] = key
		entry.KeyIDs = append(entry.KeyIDs, id)
	}
	root.Signed.Roles[string(role)] = entry
	return nil
}
