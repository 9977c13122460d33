// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package tufsim is a repository for tests that can be right or wrong in any way: it signs anything with any key, and
// serves it from memory. Metadata is assembled by hand here, by no code that the library uses to write it.
package tufsim

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
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
	Hashes     bool // list lengths and digests in timestamp and snapshot
	Edit       func(role tuf.Role, signed map[string]any)

	Files    map[string][]byte // what is served, by the name that a client asks for
	Fault    func(name string, data []byte, err error) ([]byte, error)
	Requests []string

	oldRoot []verify.Signer // who must sign the next root too
}

// Start is the time at which every Repo begins.
var Start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// New returns a repository with one Ed25519 key per role, one target, and version 1 of everything published.
func New() *Repo {
	r := &Repo{
		Now: Start, Version: map[tuf.Role]int64{}, Expires: map[tuf.Role]time.Time{}, Keys: map[tuf.Role][]verify.Signer{},
		Signers: map[tuf.Role][]verify.Signer{}, Thresholds: map[tuf.Role]any{}, Hashes: true,
		Targets: map[string][]byte{"fw/a.suit": []byte("one")}, Files: map[string][]byte{},
	}
	for i, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
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
	return fmt.Sprintf("metadata/%d.%s.json", r.Version[role], role)
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
	signed := map[string]any{
		"_type": string(role), "spec_version": "1.0.34", "version": r.Version[role], "expires": expires.UTC().Format(time.RFC3339),
	}
	switch role {
	case tuf.RoleRoot:
		r.fillRoot(signed)
	case tuf.RoleTimestamp:
		signed["meta"] = map[string]any{"snapshot.json": r.metaFile(tuf.RoleSnapshot)}
	case tuf.RoleSnapshot:
		signed["meta"] = map[string]any{"targets.json": r.metaFile(tuf.RoleTargets)}
	case tuf.RoleTargets:
		targets := map[string]any{}
		for name, data := range r.Targets {
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
	for role, list := range r.Keys {
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
	if k.Type() == verify.P256 {
		text, err := k.MarshalPEM()
		if err != nil {
			panic(err)
		}
		return map[string]any{"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": map[string]any{"public": string(text)}}
	}
	public := k.Public().(ed25519.PublicKey)
	return map[string]any{"keytype": "ed25519", "scheme": "ed25519", "keyval": map[string]any{"public": hex.EncodeToString(public)}}
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
