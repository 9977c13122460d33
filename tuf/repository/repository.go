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

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Repository is a TUF repository in a Storage. It is safe for concurrent use, and so is the storage by several Repositories, in any number of
// processes: each call reads anew what is published, and of two publications at the same time one begins anew on what
// the other made.
type Repository struct {
	s    store
	turn sync.Mutex // held while something is published

	mu sync.Mutex
	o  Options // replaced, never changed
}

func (r *Repository) options() Options {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.o
}

// Create makes a repository with no targets in a storage that holds none. It is finished once timestamp.json
// is there; what a power cut leaves before that is a storage in which Create can be called again, with the same keys.
//
// Errors: ErrExists, ErrIncomplete, what a Signer returns, or what the storage returns.
func Create(ctx context.Context, s Storage, o Options) (*Repository, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	r := &Repository{s: store{s}, o: o}
	if err := r.create(ctx); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	return r, nil
}

// Open returns the repository in a storage. It reads and verifies it, trusting the first root.
func Open(ctx context.Context, s Storage, o Options) (*Repository, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	r := &Repository{s: store{s}, o: o}
	if _, err := r.s.current(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Repository) create(ctx context.Context) error {
	if _, err := r.s.read(ctx, tuf.RoleTimestamp, 0); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("timestamp: %w", errors.Join(ErrExists, err))
	}
	root := metadata.Root(r.o.expires(tuf.RoleRoot))
	for _, role := range roles {
		threshold, given := r.o.Thresholds[role]
		if !given {
			threshold = 1
		}
		if err := setRole(root, role, publicKeys(r.o.Signers[role]), threshold); err != nil {
			return err
		}
	}
	data, err := sign(ctx, root, r.o.Signers[tuf.RoleRoot], listed(tuf.RoleRoot, &root.Signed)...)
	if err != nil {
		return err
	}
	set, err := tuf.NewSet(data)
	if err != nil {
		return err
	}
	d, err := r.newDraft(ctx, nil)
	if err != nil {
		return err
	}
	d.roots = []*metadata.RootType{&root.Signed}
	if err := d.build(ctx, tuf.RoleTargets); err != nil {
		return err
	}
	if err := d.check(ctx, *set, r.o.Now()); err != nil {
		return err
	}
	if err := r.createRoot(ctx, set.Root(), data); err != nil {
		return err
	}
	err = d.write(ctx, noFiles)
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("%w: %w", ErrExists, err)
	}
	return err
}

// createRoot makes the first root, or leaves the one that an earlier Create, cut off before its end, made for the same keys.
func (r *Repository) createRoot(ctx context.Context, root *tuf.Root, data []byte) error {
	err := r.s.create(ctx, versionPath(tuf.RoleRoot, 1), data)
	if !errors.Is(err, ErrConflict) {
		return err
	}
	old, err := r.s.read(ctx, tuf.RoleRoot, 1)
	if err != nil {
		return err
	}
	left, err := tuf.OpenRoot(old)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if left.Threshold(role) != root.Threshold(role) || !slices.Equal(left.Keys(role), root.Keys(role)) {
			return fmt.Errorf("%w: 1.root.json has other keys for %s, and there is no timestamp.json", ErrExists, role)
		}
	}
	return nil
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
	if old := root.Signed.Roles[string(role)]; old != nil {
		entry.UnrecognizedFields = old.UnrecognizedFields
	}
	for _, k := range keys {
		key, id, err := idOf(root.Signed.Keys, k)
		if err != nil {
			return err
		}
		root.Signed.Keys[id] = key
		entry.KeyIDs = append(entry.KeyIDs, id)
	}
	root.Signed.Roles[string(role)] = entry
	return nil
}
