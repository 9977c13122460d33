// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"fmt"
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
	built     []tuf.Role          // the files that are new, in the order in which they must become durable
}

// firstDraft is the beginning: no targets, version 1 of everything.
func (r *Repository) firstDraft() *draft {
	return &draft{
		o: r.o, signers: r.o.Signers, data: make(map[tuf.Role][]byte),
		targets: metadata.Targets(), snapshot: metadata.Snapshot(), timestamp: metadata.Timestamp(),
		next: map[tuf.Role]int64{tuf.RoleTargets: 1, tuf.RoleSnapshot: 1, tuf.RoleTimestamp: 1},
	}
}

// draft begins the state after p. Version numbers of files that a cut left behind are not used again.
func (r *Repository) draft(p *published) (*draft, error) {
	d := r.firstDraft()
	d.targets, d.snapshot, d.timestamp, d.data = p.targets, p.snapshot, p.timestamp, p.data
	for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot} {
		last, err := r.dir.lastVersion(role)
		if err != nil {
			return nil, fmt.Errorf("read repository: %w", err)
		}
		d.next[role] = last + 1
	}
	d.next[tuf.RoleTimestamp] = p.set.Timestamp().Version() + 1
	return d, nil
}

// build signs the given role and those that list it: targets, snapshot, timestamp.
func (d *draft) build(ctx context.Context, from tuf.Role) error {
	first := slices.Index(roles, from)
	if first <= slices.Index(roles, tuf.RoleTargets) {
		d.targets.Signed.Version, d.targets.Signed.Expires = d.next[tuf.RoleTargets], d.o.expires(tuf.RoleTargets)
		data, err := sign(ctx, d.targets, d.signers[tuf.RoleTargets])
		if err != nil {
			return fmt.Errorf("targets: %w", err)
		}
		d.add(tuf.RoleTargets, data)
		d.snapshot.Signed.Meta[tuf.RoleTargets.Filename()] = metaFile(d.targets.Signed.Version, data)
	}
	if first <= slices.Index(roles, tuf.RoleSnapshot) {
		d.snapshot.Signed.Version, d.snapshot.Signed.Expires = d.next[tuf.RoleSnapshot], d.o.expires(tuf.RoleSnapshot)
		data, err := sign(ctx, d.snapshot, d.signers[tuf.RoleSnapshot])
		if err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		d.add(tuf.RoleSnapshot, data)
		d.timestamp.Signed.Meta[tuf.RoleSnapshot.Filename()] = metaFile(d.snapshot.Signed.Version, data)
	}
	d.timestamp.Signed.Version, d.timestamp.Signed.Expires = d.next[tuf.RoleTimestamp], d.o.expires(tuf.RoleTimestamp)
	data, err := sign(ctx, d.timestamp, d.signers[tuf.RoleTimestamp])
	if err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	d.add(tuf.RoleTimestamp, data)
	return nil
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
func (d *draft) check(set tuf.Set, at time.Time) error {
	for _, role := range d.built {
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
	if err != nil {
		return fmt.Errorf("a client would refuse: %w", err)
	}
	return nil
}

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

// write makes the draft durable, the timestamp last: before that nobody looks at the other files.
func (d *draft) write(dir directory) error {
	for _, role := range d.built {
		if err := dir.write(metadataPath(role, d.next[role]), d.data[role]); err != nil {
			return err
		}
	}
	return nil
}

// targetPath is where a target's bytes lie (consistent snapshots).
func targetPath(name string, data []byte) (string, error) {
	file := tuf.TargetFile{Path: name, Digests: []verify.Digest{verify.Sum(verify.SHA256, data)}}
	file.Length = int64(len(data))
	at, err := file.Filename(true)
	return "targets/" + at, err
}

func targetFile(data []byte) *metadata.TargetFiles {
	f := metadata.TargetFile()
	f.Length = int64(len(data))
	f.Hashes = metadata.Hashes{"sha256": verify.Sum(verify.SHA256, data).Bytes()}
	return f
}
