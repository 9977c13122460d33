// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
)

// Delegation trusts another role with some target paths: those that match one of Paths (tuf.MatchPath), or whose SHA-256 in lower-case
// hexadecimal begins with one of PathHashPrefixes. Exactly one of the two is given. Of Keys, Threshold must sign, 1 if it is 0.
type Delegation struct {
	Role             tuf.Role
	Keys             []tuf.Key
	Threshold        int
	Paths            []string
	PathHashPrefixes []string
	Terminating      bool
}

// Bins delegates everything to 2^Bits roles called Prefix-0 and so on (tuf.BinName), each of them for an equal share of all
// target paths by their SHA-256, so that a release among very many targets changes one small file. Bits is at most MaxBinBits; Classic lists
// the roles one by one with path_hash_prefixes, for clients that do not know succinct_roles (TAP 15).
type Bins struct {
	Prefix    string
	Bits      int
	Keys      []tuf.Key
	Threshold int
	Classic   bool
}

// MaxBinBits bounds Bins: each bin is a file, and all of them are written when the bins are made.
const MaxBinBits = 16

// Change is what one publication changes in one role of targets: the top-level one or a delegated one.
type Change struct {
	Role   tuf.Role          // tuf.RoleTargets if empty
	Add    map[string][]byte // targets by target path; those of the same path are replaced
	Remove []string          // target paths that are withdrawn

	// Custom sets what targets, added or there already, say of themselves beside length and hashes: a JSON object by target path, nil to take
	// it away. A target that is added again without it has none.
	Custom map[string]json.RawMessage

	// Delegate adds delegations after those that there are, or replaces the one to the same role in its place. A role that is new and whose signers
	// are in Options gets its first, empty metadata with it, and one whose keys change is signed anew; of any other the delegate hands in its own
	// (Accept). What it handed in before is good for clients as long as the keys suffice that signed it: to replace them without a gap, list the new ones
	// beside the old, have it sign, and then list the new ones alone.
	Delegate []Delegation
	Revoke   []tuf.Role // roles that are no longer delegated to
	Bins     *Bins      // instead of all other delegations
}

func setDelegation(d *metadata.Delegations, want Delegation) error {
	if err := checkRole(want.Role); err != nil {
		return err
	}
	if slices.Contains(roles, want.Role) {
		return fmt.Errorf("%w: %s is a top-level role", tuf.ErrDelegation, want.Role)
	}
	if (want.Paths == nil) == (want.PathHashPrefixes == nil) {
		return fmt.Errorf("%w: %s: either paths or prefixes expected", tuf.ErrDelegation, want.Role)
	}
	for _, pattern := range want.Paths {
		if err := tuf.CheckPath(pattern); err != nil {
			return fmt.Errorf("%w: %s: a pattern that no target path matches: %w", tuf.ErrDelegation, want.Role, err)
		}
	}
	for _, prefix := range want.PathHashPrefixes {
		if prefix == "" || len(prefix) > 64 || strings.Trim(prefix, "0123456789abcdef") != "" {
			return fmt.Errorf("%w: %s: prefix %.80q: 1 to 64 digits 0-9a-f expected", tuf.ErrDelegation, want.Role, prefix)
		}
	}
	ids, threshold, err := listKeys(d, want.Role, want.Keys, want.Threshold)
	if err != nil {
		return err
	}
	entry := metadata.DelegatedRole{
		Name: string(want.Role), KeyIDs: ids, Threshold: threshold, Terminating: want.Terminating, Paths: want.Paths, PathHashPrefixes: want.PathHashPrefixes,
	}
	if i := slices.IndexFunc(d.Roles, func(r metadata.DelegatedRole) bool { return r.Name == entry.Name }); i >= 0 {
		d.Roles[i] = entry
	} else {
		d.Roles = append(d.Roles, entry)
	}
	return nil
}

func setBins(b Bins) (*metadata.Delegations, []tuf.Role, error) {
	if b.Bits < 1 || b.Bits > MaxBinBits {
		return nil, nil, fmt.Errorf("%w: bins: 1 to %d bits expected, seen %d", tuf.ErrDelegation, MaxBinBits, b.Bits)
	}
	if err := checkRole(tuf.Role(b.Prefix)); err != nil {
		return nil, nil, err
	}
	d := &metadata.Delegations{Keys: map[string]*metadata.Key{}}
	ids, threshold, err := listKeys(d, tuf.Role(b.Prefix), b.Keys, b.Threshold)
	if err != nil {
		return nil, nil, err
	}
	digits := (b.Bits + 3) / 4
	var names []tuf.Role
	for i := range uint32(1) << b.Bits {
		name := tuf.BinName(b.Prefix, b.Bits, i)
		names = append(names, tuf.Role(name))
		if !b.Classic {
			continue
		}
		entry := metadata.DelegatedRole{Name: name, KeyIDs: ids, Threshold: threshold}
		// A bin is as many prefixes of whole digits as its last digit has free bits.
		spare := 4*digits - b.Bits
		for j := range uint32(1) << spare {
			entry.PathHashPrefixes = append(entry.PathHashPrefixes, fmt.Sprintf("%0*x", digits, i<<spare|j))
		}
		d.Roles = append(d.Roles, entry)
	}
	if !b.Classic {
		d.SuccinctRoles = &metadata.SuccinctRoles{KeyIDs: ids, Threshold: threshold, BitLength: b.Bits, NamePrefix: b.Prefix}
	}
	return d, names, nil
}

// listKeys puts the keys of a role into d and returns their ids.
func listKeys(d *metadata.Delegations, role tuf.Role, keys []tuf.Key, threshold int) ([]string, int, error) {
	threshold = max(threshold, 1)
	ids := []string{}
	for _, k := range keys {
		key, id, err := idOf(d.Keys, k)
		if err != nil {
			return nil, 0, err
		}
		d.Keys[id] = key
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) < threshold {
		return nil, 0, fmt.Errorf("%w: %s: threshold %d of %d keys", ErrIncomplete, role, threshold, len(ids))
	}
	return ids, threshold, nil
}

// cloneDelegations is d as it is before it is changed.
func cloneDelegations(d *metadata.Delegations) *metadata.Delegations {
	if d == nil {
		return nil
	}
	return &metadata.Delegations{Keys: maps.Clone(d.Keys), Roles: slices.Clone(d.Roles), SuccinctRoles: d.SuccinctRoles}
}

// pruneDelegations drops the keys that no delegation lists.
func pruneDelegations(d *metadata.Delegations) {
	for id := range d.Keys {
		used := d.SuccinctRoles != nil && slices.Contains(d.SuccinctRoles.KeyIDs, id)
		for _, role := range d.Roles {
			used = used || slices.Contains(role.KeyIDs, id)
		}
		if !used {
			delete(d.Keys, id)
		}
	}
}
