// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// draft is the next state of targets, snapshot and timestamp, in memory: nothing is written before check has seen it.
type draft struct {
	o         Options
	signers   map[tuf.Role][]verify.Signer
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	next      map[tuf.Role]int64  // version numbers to use
	data      map[tuf.Role][]byte // the files, those that stay as they are included
	built     []tuf.Role          // the files that are new
	s         store
	given     tuf.Role           // a role that was signed elsewhere
	last      map[tuf.Role]int64 // the highest version of each role for which there is a file: it is not used again
	base      *published         // what this state follows, nil at the beginning
	roots     []*metadata.RootType
	edited    map[tuf.Role]*metadata.Delegations // of the roles that are changed
	folded    map[string]string                  // the names of delegated roles' files, by their lower-case form
}

// newDraft begins the state after p, the first one if p is nil. Version numbers of files that are there are not used again, whoever left them.
func (r *Repository) newDraft(ctx context.Context, p *published) (*draft, error) {
	last, err := r.s.versions(ctx)
	if err != nil {
		return nil, err
	}
	o := r.options()
	d := &draft{
		o: o, s: r.s, signers: o.topSigners(), edited: map[tuf.Role]*metadata.Delegations{}, data: make(map[tuf.Role][]byte), last: last, base: p,
		targets: metadata.Targets(), snapshot: metadata.Snapshot(), timestamp: metadata.Timestamp(),
		next: map[tuf.Role]int64{tuf.RoleTargets: last[tuf.RoleTargets] + 1, tuf.RoleSnapshot: last[tuf.RoleSnapshot] + 1, tuf.RoleTimestamp: 1},
	}
	if p != nil {
		d.targets, d.snapshot, d.timestamp, d.data = p.targets, p.snapshot, p.timestamp, maps.Clone(p.data)
		d.next[tuf.RoleTimestamp] = p.set.Timestamp().Version() + 1
		if d.next[tuf.RoleTimestamp] > maxVersion || d.next[tuf.RoleTimestamp] < 1 {
			d.next[tuf.RoleTimestamp] = last[tuf.RoleTimestamp] + 1
		}
		held := p.client()
		d.signers, d.roots = among(d.signers, held.Root()), []*metadata.RootType{&p.root.Signed}
	}
	return d, nil
}

// build signs the given role and those that list it: targets, snapshot, timestamp.
func (d *draft) build(ctx context.Context, from tuf.Role) error {
	first := slices.Index(roles, from)
	if d.base != nil && d.base.broken != "" { // a rotation was cut off: what its root does not accept is signed anew, too
		first = min(first, slices.Index(roles, d.base.broken))
		for _, role := range []tuf.Role{tuf.RoleSnapshot, tuf.RoleTargets} {
			if d.base.version(role) >= maxVersion {
				first = min(first, slices.Index(roles, role))
			}
		}
	}
	if first <= slices.Index(roles, tuf.RoleTargets) {
		d.targets.Signed.Version, d.targets.Signed.Expires = d.next[tuf.RoleTargets], d.o.expires(tuf.RoleTargets)
		data, err := sign(ctx, d.targets, d.signers[tuf.RoleTargets], listed(tuf.RoleTargets, d.roots...)...)
		if err != nil {
			return fmt.Errorf("targets: %w", err)
		}
		d.add(tuf.RoleTargets, data)
		d.snapshot.Signed.Meta[tuf.RoleTargets.Filename()] = metaFile(d.targets.Signed.Version, data)
	}
	if first <= slices.Index(roles, tuf.RoleSnapshot) {
		d.snapshot.Signed.Version, d.snapshot.Signed.Expires = d.next[tuf.RoleSnapshot], d.o.expires(tuf.RoleSnapshot)
		data, err := sign(ctx, d.snapshot, d.signers[tuf.RoleSnapshot], listed(tuf.RoleSnapshot, d.roots...)...)
		if err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		d.add(tuf.RoleSnapshot, data)
		d.timestamp.Signed.Meta[tuf.RoleSnapshot.Filename()] = metaFile(d.snapshot.Signed.Version, data)
	}
	d.timestamp.Signed.Version, d.timestamp.Signed.Expires = d.next[tuf.RoleTimestamp], d.o.expires(tuf.RoleTimestamp)
	data, err := sign(ctx, d.timestamp, d.signers[tuf.RoleTimestamp], listed(tuf.RoleTimestamp, d.roots...)...)
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	d.add(tuf.RoleTimestamp, data)
	return nil
}

// buildDelegated signs the next version of a delegated role, as it is listed and as others demand, and lists it in the snapshot.
func (d *draft) buildDelegated(ctx context.Context, role tuf.Role, m *metadata.Metadata[metadata.TargetsType], also ...listing) error {
	version, data, err := d.signDelegated(ctx, role, m, also...)
	if err != nil {
		return err
	}
	d.next[role] = version
	d.list(role, data)
	return nil
}

// signDelegated signs the next version of a delegated role.
func (d *draft) signDelegated(ctx context.Context, role tuf.Role, m *metadata.Metadata[metadata.TargetsType], also ...listing) (version int64, data []byte, err error) {
	if version = d.next[role]; version == 0 {
		if version, err = d.following(role); err != nil {
			return 0, nil, err
		}
	}
	m.Signed.Version, m.Signed.Expires = version, d.o.expires(role)
	lists, err := d.listings(ctx, role)
	if err != nil {
		return 0, nil, err
	}
	if data, err = sign(ctx, m, d.o.signersOf(role), append(lists, also...)...); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", role, err)
	}
	return version, data, nil
}

// following is the version of a role that follows all that are there. Errors: ErrVersions.
func (d *draft) following(role tuf.Role) (int64, error) {
	last := d.last[role]
	if d.base != nil {
		if listed, err := d.base.set.DelegatedMeta(string(role)); err == nil {
			last = max(last, listed.Version)
		}
	}
	if last >= maxVersion {
		return 0, fmt.Errorf("%w: %s has version %d", ErrVersions, role, last)
	}
	return last + 1, nil
}

// list puts a delegated role's file into the draft. Its digest is not listed: with many bins that would be most of the snapshot.
func (d *draft) list(role tuf.Role, data []byte) {
	if d.data[role] == nil {
		d.built = append(d.built, role)
	}
	d.data[role] = data
	d.snapshot.Signed.Meta[role.Filename()] = metadata.MetaFile(d.next[role])
}

func (d *draft) add(role tuf.Role, data []byte) {
	d.data[role] = data
	d.built = append(d.built, role)
}

// metaFile lists a file by version, length and SHA-256.
func metaFile(version int64, data []byte) *metadata.MetaFiles {
	m := metadata.MetaFile(version)
	m.Length = int64(len(data))
	m.Hashes = metadata.Hashes{"sha256": verify.Sum(verify.SHA256, data).Bytes()}
	return m
}

// check takes the draft as a client does who holds what set holds, and leaves set as it was.
func (d *draft) check(ctx context.Context, set tuf.Set, at time.Time) error {
	for _, role := range d.built {
		if role == d.given || !slices.Contains(roles, role) {
			continue
		}
		if err := enough(set.Root(), role, d.signers[role]); err != nil {
			return err
		}
	}
	_, err := set.UpdateTimestamp(d.data[tuf.RoleTimestamp], at)
	if err == nil && !set.SnapshotCurrent() {
		err = set.UpdateSnapshot(d.data[tuf.RoleSnapshot], at)
	}
	if err == nil && !set.TargetsCurrent() {
		err = set.UpdateTargets(d.data[tuf.RoleTargets], at)
	}
	for _, role := range d.built {
		if err == nil && !slices.Contains(roles, role) {
			err = d.checkDelegated(ctx, &set, role, at)
		}
	}
	if err != nil {
		return fmt.Errorf("a client would refuse: %w", err)
	}
	return nil
}

// checkDelegated opens a new file of a delegated role as its delegator demands. set holds the draft's snapshot already.
func (d *draft) checkDelegated(ctx context.Context, set *tuf.Set, role tuf.Role, at time.Time) error {
	way, _, err := delegator(set, set.Targets(), string(role), func(way tuf.Delegation) (*tuf.Targets, error) {
		data := d.data[tuf.Role(way.Name())]
		if data == nil {
			listed, err := set.DelegatedMeta(way.Name())
			if err != nil {
				return nil, err
			}
			if data, err = d.s.read(ctx, tuf.Role(way.Name()), listed.Version); err != nil {
				return nil, err
			}
		}
		return set.OpenDelegated(way, data, beginning)
	})
	if err != nil {
		return err
	}
	_, err = set.OpenDelegated(way, d.data[role], at)
	return err
}

// beginning is a time at which nothing has expired, for reading what is to be renewed.
var beginning = time.Unix(0, 0)

// enough returns ErrIncomplete if the signers that root lists for role do not reach its threshold.
func enough(root *tuf.Root, role tuf.Role, signers []verify.Signer) error {
	have := 0
	for _, key := range root.Keys(role) {
		if slices.ContainsFunc(signers, func(s verify.Signer) bool { return keyOf(s) == key }) {
			have++
		}
	}
	if need := root.Threshold(role); have < need {
		return fmt.Errorf("%w: %s: %d of the keys of root %d at hand, %d needed", ErrIncomplete, role, have, root.Version(), need)
	}
	return nil
}

// write makes the draft durable, the timestamp last: before that nobody looks at the other files. Target files come after the metadata that lists
// them, so that garbage collection, if it runs at the same time, knows that they are wanted; see Collect.
//
// ErrConflict means that somebody else published meanwhile. What is there by then keeps its version numbers and is never referred to.
func (d *draft) write(ctx context.Context, files func() error) error {
	for _, role := range d.built {
		if role == tuf.RoleSnapshot || role == tuf.RoleTimestamp {
			continue
		}
		if err := d.create(ctx, role); err != nil {
			return err
		}
	}
	if err := files(); err != nil {
		return err
	}
	if slices.Contains(d.built, tuf.RoleSnapshot) {
		if err := d.create(ctx, tuf.RoleSnapshot); err != nil {
			return err
		}
	}
	var old Tag
	if d.base != nil {
		old = d.base.tag
		if err := d.s.create(ctx, archivePath(d.base.set.Timestamp().Version()), d.base.data[tuf.RoleTimestamp]); err != nil {
			return err
		}
	}
	return d.s.Put(ctx, metadataPath(tuf.RoleTimestamp, 0), bytes.NewReader(d.data[tuf.RoleTimestamp]), old)
}

func noFiles() error { return nil }

func (d *draft) create(ctx context.Context, role tuf.Role) error {
	return d.s.create(ctx, versionPath(role, d.next[role]), d.data[role])
}
