// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package tuftest is a TUF repository for tests that can be right or wrong in any way: it signs anything with any key, and
// serves it from memory, with faults. Metadata is assembled by hand here, by no code that the library uses to write it.
//
// # Making a repository
//
// New returns a small valid one. Change its fields, then Publish the roles that are to have a next version, or Put the one that is to be
// replaced. What the fields cannot say, Edit can: it changes the signed part of a role just before it is signed. Signers lets others sign than
// those who should. Files, in the end, holds the bytes that are served; any of them can be replaced, also by one that Sign, SignBytes
// or Envelope made of nothing.
//
// # Serving it
//
// A Repo is a client.Remote, an http.Handler, and an http.RoundTripper that needs no network:
//
//	client.New(client.Options{Remote: repo, …})           // tuf/client itself; Streaming{repo} for long files
//	httptest.NewServer(repo)                              // anything that speaks HTTP
//	httpsource.New(&http.Client{Transport: repo})         // the same without sockets
//
// The second and the third serve below any path that ends before "metadata" and "targets". The first and the third wait on timers
// alone, so that inside testing/synctest a server that stalls for an hour costs nothing.
//
// # Faults
//
// Spoil makes answers wrong: Stall, Truncate, Drip, Claim (a wrong length), Endless, Status (404, 500), Swap and Stale, or a Fault of one's
// own. Honest ends that. Requests tells what was asked for.
//
// Keys, but that of RSA, are the same in every run and known to everybody: use it in tests only. Misuse panics. Serving is safe for concurrent use; change
// fields and publish while no request is under way.
package tuftest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Repo is the repository. Change its fields, then publish. Zero entries of the maps mean: the keys of New, threshold 1,
// signed by the listed keys, expiring a day after Now.
type Repo struct {
	Now        time.Time                    // moves only when a test moves it
	Version    map[tuf.Role]int64           // last published
	Expires    map[tuf.Role]time.Time       // of what is published next
	Keys       map[tuf.Role][]verify.Signer // listed in root
	Signers    map[tuf.Role][]verify.Signer // who signs, if not Keys; an empty list is nobody
	Thresholds map[tuf.Role]any             // anything that JSON has: 2, 0, "two"
	Targets    map[string][]byte            // by target path, the files of the top-level targets role

	// Delegated roles are published under their names as roles, after they have Keys. DelegatedTargets are their files, Delegations the
	// "delegations" objects of any targets role; Delegate fills them in.
	DelegatedTargets map[tuf.Role]map[string][]byte
	Delegations      map[tuf.Role]map[string]any

	Hashes     bool          // list lengths and digests in timestamp and snapshot
	Algorithms []verify.Hash // of the digests of targets, SHA-256 if empty; a target is served under each
	Plain      bool          // no consistent snapshots: file names carry neither versions nor digests, except root's
	Edit       func(role tuf.Role, signed map[string]any)

	Files    map[string][]byte                                         // what is served, by the name that a client.Remote is asked for
	Fault    func(name string, data []byte, err error) ([]byte, error) // if not nil, has the last word on what Get returns
	Patience time.Duration                                             // how long Get takes at most, or an open stream lasts; ten seconds if zero
	Requests []string                                                  // names asked for, in order

	mu      sync.Mutex
	faults  []spoilt
	oldRoot []verify.Signer // who must sign the next root too
}

var topLevel = []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets}

// Start is the time at which every Repo begins.
var Start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// New returns a repository with one Ed25519 key per role, one target, and version 1 of everything published.
func New() *Repo {
	r := &Repo{
		Now: Start, Version: map[tuf.Role]int64{}, Expires: map[tuf.Role]time.Time{}, Keys: map[tuf.Role][]verify.Signer{},
		Signers: map[tuf.Role][]verify.Signer{}, Thresholds: map[tuf.Role]any{}, Hashes: true,
		Targets: map[string][]byte{"fw/a.suit": []byte("one")}, Files: map[string][]byte{},
		DelegatedTargets: map[tuf.Role]map[string][]byte{}, Delegations: map[tuf.Role]map[string]any{},
	}
	for i, role := range topLevel {
		r.Keys[role] = []verify.Signer{Ed25519(i)}
	}
	r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)
	return r
}

// Publish makes the next version of each role, in the order given. Publish without roles does targets, snapshot, timestamp.
func (r *Repo) Publish(roles ...tuf.Role) {
	if len(roles) == 0 {
		roles = []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}
	}
	for _, role := range roles {
		r.Version[role]++
		r.Put(role)
	}
}

// Republish publishes targets, snapshot and timestamp under the versions that they have.
func (r *Repo) Republish() {
	r.Put(tuf.RoleTargets)
	r.Put(tuf.RoleSnapshot)
	r.Put(tuf.RoleTimestamp)
}

// Put signs and stores the present version of a role.
func (r *Repo) Put(role tuf.Role) []byte {
	data := r.Build(role)
	r.Files[r.Name(role)] = data
	if role == tuf.RoleRoot {
		r.oldRoot = r.Keys[role]
	}
	return data
}

// Name is where the present version of a role is served.
func (r *Repo) Name(role tuf.Role) string {
	if role == tuf.RoleTimestamp || r.Plain && role != tuf.RoleRoot {
		return "metadata/" + url.PathEscape(string(role)) + ".json"
	}
	return fmt.Sprintf("metadata/%d.%s.json", r.Version[role], url.PathEscape(string(role)))
}

// Clone returns a repository in the same state, which goes on by itself. Edit and the faults stay behind.
func (r *Repo) Clone() *Repo {
	c := &Repo{
		Now: r.Now, Version: maps.Clone(r.Version), Expires: maps.Clone(r.Expires), Keys: maps.Clone(r.Keys), Signers: maps.Clone(r.Signers),
		Thresholds: maps.Clone(r.Thresholds), Targets: maps.Clone(r.Targets), DelegatedTargets: map[tuf.Role]map[string][]byte{},
		Delegations: map[tuf.Role]map[string]any{}, Hashes: r.Hashes, Algorithms: r.Algorithms, Plain: r.Plain, Files: maps.Clone(r.Files),
		Patience: r.Patience, oldRoot: r.oldRoot,
	}
	for role, files := range r.DelegatedTargets {
		c.DelegatedTargets[role] = maps.Clone(files)
	}
	for role, d := range r.Delegations {
		c.Delegations[role] = maps.Clone(d)
		if keys, ok := d["keys"].(map[string]any); ok {
			c.Delegations[role]["keys"] = maps.Clone(keys)
		}
		if roles, ok := d["roles"].([]any); ok {
			c.Delegations[role]["roles"] = slices.Clone(roles)
		}
	}
	return c
}

// Past returns what is served now, to be served again later: see Stale, or assign it to Files.
func (r *Repo) Past() map[string][]byte { return maps.Clone(r.Files) }

// Root returns a published root.
func (r *Repo) Root(version int) []byte {
	return r.Files[fmt.Sprintf("metadata/%d.root.json", version)]
}

// Build signs the present version of a role and returns it.
func (r *Repo) Build(role tuf.Role) []byte {
	signed := r.Signed(role)
	if r.Edit != nil {
		r.Edit(role, signed)
	}
	return Sign(signed, r.signers(role)...)
}

func (r *Repo) signers(role tuf.Role) []verify.Signer {
	signers := slices.Clone(r.Signers[role])
	if r.Signers[role] == nil {
		signers = slices.Clone(r.Keys[role])
		if role == tuf.RoleRoot {
			for _, old := range r.oldRoot {
				if !slices.ContainsFunc(signers, func(s verify.Signer) bool { return ID(s) == ID(old) }) {
					signers = append(signers, old)
				}
			}
		}
	}
	return signers
}

// Signed assembles the signed part of a role.
func (r *Repo) Signed(role tuf.Role) map[string]any {
	expires := r.Expires[role]
	if expires.IsZero() {
		expires = r.Now.Add(24 * time.Hour)
	}
	kind := role
	if !slices.Contains(topLevel, role) {
		kind = tuf.RoleTargets
	}
	signed := map[string]any{
		"_type": string(kind), "spec_version": "1.0.34", "version": r.Version[role], "expires": expires.UTC().Format(time.RFC3339),
	}
	switch role {
	case tuf.RoleRoot:
		r.fillRoot(signed)
	case tuf.RoleTimestamp:
		signed["meta"] = map[string]any{"snapshot.json": r.metaFile(tuf.RoleSnapshot)}
	case tuf.RoleSnapshot:
		meta := map[string]any{}
		for listed := range r.Version {
			if listed == tuf.RoleTargets || !slices.Contains(topLevel, listed) {
				meta[listed.Filename()] = r.metaFile(listed)
			}
		}
		signed["meta"] = meta
	default:
		files := r.DelegatedTargets[role]
		if role == tuf.RoleTargets {
			files = r.Targets
		}
		if d := r.Delegations[role]; d != nil {
			signed["delegations"] = d
		}
		targets := map[string]any{}
		for name, data := range files {
			targets[name] = map[string]any{"length": len(data), "hashes": r.store(name, data)}
		}
		signed["targets"] = targets
	}
	return signed
}

// store serves a target, and returns its "hashes".
func (r *Repo) store(name string, data []byte) map[string]any {
	algorithms := r.Algorithms
	if len(algorithms) == 0 {
		algorithms = []verify.Hash{verify.SHA256}
	}
	hashes := map[string]any{}
	for _, h := range algorithms {
		sum := verify.Sum(h, data)
		hashes[h.String()] = hex.EncodeToString(sum.Bytes())
		if dir, file := path.Split(name); !r.Plain {
			r.Files[fmt.Sprintf("targets/%s%x.%s", dir, sum.Bytes(), file)] = data
		}
	}
	if r.Plain {
		r.Files["targets/"+name] = data
	}
	return hashes
}

func (r *Repo) fillRoot(signed map[string]any) {
	keys, roles := map[string]any{}, map[string]any{}
	for _, role := range topLevel {
		list := r.Keys[role]
		ids := []any{}
		for _, s := range list {
			keys[ID(s)] = keyJSON(keyOf(s))
			ids = append(ids, ID(s))
		}
		threshold := r.Thresholds[role]
		if threshold == nil {
			threshold = 1
		}
		roles[string(role)] = map[string]any{"keyids": ids, "threshold": threshold}
	}
	signed["consistent_snapshot"], signed["keys"], signed["roles"] = !r.Plain, keys, roles
}

func (r *Repo) metaFile(role tuf.Role) map[string]any {
	meta := map[string]any{"version": r.Version[role]}
	if r.Hashes {
		data := r.Files[r.Name(role)]
		meta["length"] = len(data)
		meta["hashes"] = map[string]any{"sha256": hex.EncodeToString(verify.Sum(verify.SHA256, data).Bytes())}
	}
	return meta
}
