// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package tuftest is a repository for tests that can be right or wrong in any way: it signs anything with any key, and
// serves it from memory, with faults. Metadata is assembled by hand here, by no code that the library uses to write it.
//
// A Repo is a client.Remote. Its keys are the same in every run and known to everybody: use it in tests only. Misuse panics.
// A Repo is not safe for concurrent use.
package tuftest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Repo is the repository. Change its fields, then publish. Zero entries of the maps mean: the keys of New, threshold 1,
// signed by the listed keys, expiring a day after Now.
type Repo struct {
	Now        time.Time
	Version    map[tuf.Role]int64
	Expires    map[tuf.Role]time.Time
	Keys       map[tuf.Role][]verify.Signer // listed in root
	Signers    map[tuf.Role][]verify.Signer // who signs, if not Keys
	Thresholds map[tuf.Role]any
	Targets    map[string][]byte

	// Delegated roles are published under their names as roles, after they have Keys. DelegatedTargets are their files, Delegations the
	// "delegations" objects of any targets role; Delegate fills them in.
	DelegatedTargets map[tuf.Role]map[string][]byte
	Delegations      map[tuf.Role]map[string]any

	Hashes bool // list lengths and digests in timestamp and snapshot
	Edit   func(role tuf.Role, signed map[string]any)

	Files    map[string][]byte // what is served, by the name that a client asks for
	Fault    func(name string, data []byte, err error) ([]byte, error)
	Requests []string

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
		r.Keys[role] = []verify.Signer{testkeys.Ed25519(i)}
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
	if role == tuf.RoleTimestamp {
		return "metadata/timestamp.json"
	}
	return fmt.Sprintf("metadata/%d.%s.json", r.Version[role], url.PathEscape(string(role)))
}

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
				if !slices.ContainsFunc(signers, func(s verify.Signer) bool { return s.Public() == old.Public() }) {
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
			sum := verify.Sum(verify.SHA256, data)
			targets[name] = map[string]any{"length": len(data), "hashes": map[string]any{"sha256": hex.EncodeToString(sum.Bytes())}}
			dir, file := path.Split(name)
			r.Files[fmt.Sprintf("targets/%s%x.%s", dir, sum.Bytes(), file)] = data
		}
		signed["targets"] = targets
	}
	return signed
}

func (r *Repo) fillRoot(signed map[string]any) {
	keys, roles := map[string]any{}, map[string]any{}
	for _, role := range topLevel {
		list := r.Keys[role]
		ids := []any{}
		for _, s := range list {
			keys[KeyID(s.Public())] = KeyJSON(s.Public())
			ids = append(ids, KeyID(s.Public()))
		}
		threshold := r.Thresholds[role]
		if threshold == nil {
			threshold = 1
		}
		roles[string(role)] = map[string]any{"keyids": ids, "threshold": threshold}
	}
	signed["consistent_snapshot"], signed["keys"], signed["roles"] = true, keys, roles
}

// Delegate lets from delegate to a role: it appends d, which may lack name, keyids and threshold, to from's delegations, and gives the role
// a key of its own if it has none. It publishes nothing.
func (r *Repo) Delegate(from tuf.Role, to string, d map[string]any) {
	role := tuf.Role(to)
	if r.Keys[role] == nil {
		r.Keys[role] = []verify.Signer{testkeys.Ed25519(1000 + len(r.Keys))}
	}
	if r.DelegatedTargets[role] == nil {
		r.DelegatedTargets[role] = map[string][]byte{}
	}
	all := r.delegations(from)
	entry := map[string]any{"name": to, "threshold": 1, "terminating": false, "keyids": r.list(all, r.Keys[role])}
	maps.Copy(entry, d)
	roles, _ := all["roles"].([]any)
	all["roles"] = append(roles, entry)
}

// DelegateBins lets from delegate everything to 2^bits succinct roles, which share one key. It returns their names.
func (r *Repo) DelegateBins(from tuf.Role, prefix string, bits int) []tuf.Role {
	key := []verify.Signer{testkeys.Ed25519(999)}
	all := r.delegations(from)
	all["succinct_roles"] = map[string]any{"bit_length": bits, "name_prefix": prefix, "threshold": 1, "keyids": r.list(all, key)}
	var names []tuf.Role
	for i := range 1 << bits {
		name := tuf.Role(tuf.BinName(prefix, bits, uint32(i)))
		r.Keys[name], r.DelegatedTargets[name] = key, map[string][]byte{}
		names = append(names, name)
	}
	return names
}

func (r *Repo) delegations(from tuf.Role) map[string]any {
	if r.Delegations[from] == nil {
		r.Delegations[from] = map[string]any{"keys": map[string]any{}}
	}
	return r.Delegations[from]
}

func (r *Repo) list(delegations map[string]any, signers []verify.Signer) []any {
	ids := []any{}
	for _, s := range signers {
		delegations["keys"].(map[string]any)[KeyID(s.Public())] = KeyJSON(s.Public())
		ids = append(ids, KeyID(s.Public()))
	}
	return ids
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

// Get serves Files; it is the Remote of tuf/client.
func (r *Repo) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	r.Requests = append(r.Requests, name)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, ok := r.Files[name]
	var err error
	if !ok {
		err = fmt.Errorf("get %s: %w", name, fs.ErrNotExist)
	}
	if r.Fault != nil {
		data, err = r.Fault(name, data, err)
	}
	return slices.Clone(data), err
}

// KeyID is the key id that this package gives a key. It is not the specification's hash: a client must not care.
func KeyID(k verify.Key) string { return hex.EncodeToString(k.ID().Bytes()) }

// KeyJSON is the KEY object of a public key.
func KeyJSON(k verify.Key) map[string]any {
	key, err := tuf.KeyOf(k)
	if err != nil {
		panic(err)
	}
	kind, scheme, public := key.KeyVal()
	return map[string]any{"keytype": kind, "scheme": scheme, "keyval": map[string]any{"public": public}}
}

// Signature is one entry of "signatures".
func Signature(signed any, s verify.Signer) map[string]any {
	text, err := json.Marshal(signed)
	if err != nil {
		panic(err)
	}
	canonical, err := tuf.Canonical(text)
	if err != nil {
		panic(err)
	}
	sig, err := s.Sign(context.Background(), canonical)
	if err != nil {
		panic(err)
	}
	return map[string]any{"keyid": KeyID(s.Public()), "sig": hex.EncodeToString(sig)}
}

// Sign makes a metadata file, indented so that it is not in canonical form.
func Sign(signed any, signers ...verify.Signer) []byte {
	signatures := []any{}
	for _, s := range signers {
		signatures = append(signatures, Signature(signed, s))
	}
	return Envelope(signed, signatures)
}

// Envelope makes a metadata file out of its parts.
func Envelope(signed any, signatures any) []byte {
	data, err := json.MarshalIndent(map[string]any{"signed": signed, "signatures": signatures}, "", " ")
	if err != nil {
		panic(err)
	}
	return data
}
