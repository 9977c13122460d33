// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
// Options.Signers: the new root is then written first, and between the two writes clients refuse to update. So it is where whoever stole them
// has used up the version numbers.
//
// Errors: ErrIncomplete; ErrVersions; what a Signer or the storage returns. After an error call RotateRoot again: a client sees the old root with
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
	return r.edit(ctx, "rotate root", func(e *edit) error {
		data, err := e.nextRoot(ctx, next.Signers, change.Thresholds)
		if err != nil {
			return err
		}
		signers, both := maps.Clone(e.o.Signers), make(map[tuf.Role][]verify.Signer)
		for _, role := range roles {
			both[role] = slices.Concat(e.o.signersOf(role), next.Signers[role])
		}
		if err := e.install(ctx, data, both); err != nil {
			return err
		}
		maps.Copy(signers, next.Signers)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.o.Signers = signers
		return nil
	})
}

// install publishes a root. What the published metadata lacks for it is signed anew, for the old root too, and written first, so that no client falls
// between the two, nor does a Repository. If the old signers are gone, nothing can be good for both, and the root comes first.
//
// Afterwards the timestamp is signed once more: whoever read what was there before the root, and is about to publish with the
// keys of the old one, loses to that.
func (e *edit) install(ctx context.Context, data []byte, signers map[tuf.Role][]verify.Signer) error {
	after, at := e.p.client(), e.o.Now()
	if err := after.UpdateRoot(data); err != nil {
		return fmt.Errorf("a client would refuse: %w", err)
	}
	old, name := e.p.client(), versionPath(tuf.RoleRoot, after.Root().Version())
	roots, err := parseRoots(e.p.newestRoot(), data)
	if err != nil {
		return err
	}
	exhausted := e.p.exhausted()
	if exhausted != nil && !forgotten(old.Root(), after.Root()) {
		return exhausted
	}
	from := e.p.firstBroken(&after)
	if from != "" && exhausted == nil {
		e.d.signers, e.d.roots = among(signers, old.Root(), after.Root()), roots
		if err := e.d.build(ctx, from); err != nil {
			return err
		}
		if err := e.d.check(ctx, after, at); err != nil {
			return err
		}
		err := e.d.check(ctx, old, at)
		if err == nil {
			err = e.d.write(ctx, noFiles)
		} else if errors.Is(err, ErrIncomplete) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	if err := e.p.s.create(ctx, name, data); err != nil {
		return err
	}
	if from == "" && exhausted == nil && (sameKeys(old.Root(), after.Root()) || enough(after.Root(), tuf.RoleTimestamp, signers[tuf.RoleTimestamp]) != nil) {
		return nil
	}
	return e.r.again(ctx, func(e *edit) error {
		e.d.signers = among(signers, after.Root())
		if err := e.d.build(ctx, tuf.RoleTimestamp); err != nil {
			return err
		}
		if err := e.d.check(ctx, e.p.client(), at); err != nil {
			return err
		}
		return e.d.write(ctx, noFiles)
	})
}

// parseRoots reads roots that are verified already.
func parseRoots(roots ...[]byte) (list []*metadata.RootType, err error) {
	for _, data := range roots {
		m, err := parse(metadata.Root(), data)
		if err != nil {
			return nil, fmt.Errorf("read root: %w", err)
		}
		list = append(list, &m.Signed)
	}
	return list, nil
}

// sameKeys reports whether two roots trust the same keys with the roles below them.
func sameKeys(a, b *tuf.Root) bool {
	return !slices.ContainsFunc(roles[1:], func(role tuf.Role) bool {
		return a.Threshold(role) != b.Threshold(role) || !slices.Equal(a.Keys(role), b.Keys(role))
	})
}

// among returns the signers of the top-level roles that one of the roots lists.
func among(signers map[tuf.Role][]verify.Signer, roots ...*tuf.Root) map[tuf.Role][]verify.Signer {
	listed := make(map[tuf.Role][]verify.Signer)
	for _, role := range roles {
		for _, s := range signers[role] {
			if slices.ContainsFunc(roots, func(r *tuf.Root) bool { return slices.Contains(r.Keys(role), keyOf(s)) }) {
				listed[role] = append(listed[role], s)
			}
		}
	}
	return listed
}

// nextRoot signs the root after the published one with the change made.
func (e *edit) nextRoot(ctx context.Context, signers map[tuf.Role][]verify.Signer, thresholds map[tuf.Role]int) ([]byte, error) {
	keys := make(map[tuf.Role][]tuf.Key)
	for role, list := range signers {
		keys[role] = publicKeys(list)
	}
	root, err := e.unsignedRoot(keys, thresholds)
	if err != nil {
		return nil, err
	}
	set := e.p.client()
	if err := enough(set.Root(), tuf.RoleRoot, e.o.signersOf(tuf.RoleRoot)); err != nil {
		return nil, err
	}
	before, err := parseRoots(e.p.newestRoot())
	if err != nil {
		return nil, err
	}
	return sign(ctx, root, slices.Concat(e.o.signersOf(tuf.RoleRoot), signers[tuf.RoleRoot]), listed(tuf.RoleRoot, before[0], &root.Signed)...)
}

// unsignedRoot is the root after the published one with the change made.
func (e *edit) unsignedRoot(keys map[tuf.Role][]tuf.Key, thresholds map[tuf.Role]int) (*metadata.Metadata[metadata.RootType], error) {
	root, set := e.p.root, e.p.client()
	for _, role := range roles {
		threshold, given := thresholds[role]
		if !given {
			threshold = root.Signed.Roles[string(role)].Threshold
		}
		list, given := keys[role]
		if !given {
			list = set.Root().Keys(role)
		}
		if err := setRole(root, role, list, threshold); err != nil {
			return nil, err
		}
	}
	prune(root)
	root.Signed.Version++
	root.Signed.Expires = e.o.expires(tuf.RoleRoot)
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
