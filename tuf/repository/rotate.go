// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// RootChange says what the next root changes. Of a role that is absent from a map that part stays; the zero RootChange
// only renews the root's expiry.
type RootChange struct {
	Signers    map[tuf.Role][]verify.Signer // the role's new keys, all of them
	Thresholds map[tuf.Role]int
}

// RotateRoot publishes the next root, signed by the old root's signers and the new ones, and signs whatever the change
// touches with both as well, so that a client with either root accepts it. From then on this Repository signs with the
// new signers.
//
// Where the old signers of targets, snapshot or timestamp are gone or must not be used any more, leave them out of
// Options.Signers: the new root is then written first, and between the two writes clients refuse to update.
//
// Errors: ErrIncomplete; what a Signer or the storage returns. After an error call RotateRoot again: a client sees the old root with
// metadata that is good for it, or the new one.
func (r *Repository) RotateRoot(ctx context.Context, change RootChange) error {
	next, err := Options{Signers: change.Signers}.complete()
	if err != nil {
		return err
	}
	for role := range next.Signers {
		if !slices.Contains(roles, role) {
			return fmt.Errorf("rotate root: %w: root has no keys of role %q", tuf.ErrDelegation, role)
		}
	}
	return r.locked(func() error {
		p, err := r.dir.current()
		if err != nil {
			return err
		}
		if err := r.rotate(ctx, p, next.Signers, change.Thresholds); err != nil {
			return fmt.Errorf("rotate root: %w", err)
		}
		for role, signers := range next.Signers {
			r.o.Signers[role] = signers
		}
		return nil
	})
}

func (r *Repository) rotate(ctx context.Context, p *published, signers map[tuf.Role][]verify.Signer, thresholds map[tuf.Role]int) error {
	root, err := r.nextRoot(ctx, p, signers, thresholds)
	if err != nil {
		return err
	}
	after := *p.set
	if err := after.UpdateRoot(root); err != nil {
		return fmt.Errorf("a client would refuse: %w", err)
	}
	name := metadataPath(tuf.RoleRoot, after.Root().Version())
	from, changed := firstChanged(signers, thresholds)
	if !changed {
		return r.dir.write(name, root)
	}
	d, err := r.draft(p)
	if err != nil {
		return err
	}
	d.signers = make(map[tuf.Role][]verify.Signer)
	for _, role := range roles {
		d.signers[role] = slices.Concat(r.o.Signers[role], signers[role])
	}
	if err := d.build(ctx, from); err != nil {
		return err
	}
	at := r.o.Now()
	if err := d.check(after, at); err != nil {
		return err
	}
	switch err := d.check(*p.set, at); {
	case errors.Is(err, ErrIncomplete): // the old signers are gone: no metadata can be good for both roots
		if err := r.dir.write(name, root); err != nil {
			return err
		}
		return d.write(r.dir)
	case err != nil:
		return err
	}
	if err := d.write(r.dir); err != nil {
		return err
	}
	return r.dir.write(name, root)
}

// nextRoot signs the root after p's with the change made.
func (r *Repository) nextRoot(ctx context.Context, p *published, signers map[tuf.Role][]verify.Signer, thresholds map[tuf.Role]int) ([]byte, error) {
	keys := make(map[tuf.Role][]tuf.Key)
	for role, list := range signers {
		keys[role] = publicKeys(list)
	}
	root, err := r.unsignedRoot(p, keys, thresholds)
	if err != nil {
		return nil, err
	}
	if err := enough(p.set.Root(), tuf.RoleRoot, r.o.Signers[tuf.RoleRoot]); err != nil {
		return nil, err
	}
	return sign(ctx, root, slices.Concat(r.o.Signers[tuf.RoleRoot], signers[tuf.RoleRoot]))
}

// unsignedRoot is the root after p's with the change made.
func (r *Repository) unsignedRoot(p *published, keys map[tuf.Role][]tuf.Key, thresholds map[tuf.Role]int) (*metadata.Metadata[metadata.RootType], error) {
	root := p.root
	for _, role := range roles {
		threshold, given := thresholds[role]
		if !given {
			threshold = root.Signed.Roles[string(role)].Threshold
		}
		list, given := keys[role]
		if !given {
			list = p.set.Root().Keys(role)
		}
		if err := setRole(root, role, list, threshold); err != nil {
			return nil, err
		}
	}
	prune(root)
	root.Signed.Version++
	root.Signed.Expires = r.o.expires(tuf.RoleRoot)
	return root, nil
}

// prune drops the keys that no role lists.
func prune(root *metadata.Metadata[metadata.RootType]) {
	for id := range root.Signed.Keys {
		used := false
		for _, role := range root.Signed.Roles {
			used = used || slices.Contains(role.KeyIDs, id)
		}
		if !used {
			delete(root.Signed.Keys, id)
		}
	}
}

// firstChanged returns the first of targets, snapshot and timestamp that the change touches.
func firstChanged(signers map[tuf.Role][]verify.Signer, thresholds map[tuf.Role]int) (tuf.Role, bool) {
	for _, role := range roles[1:] {
		_, keys := signers[role]
		_, threshold := thresholds[role]
		if keys || threshold {
			return role, true
		}
	}
	return "", false
}
