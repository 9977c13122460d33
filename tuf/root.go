// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/firmament-dev/firmament/verify"
)

// Root is trusted root metadata: the keys and thresholds of the top-level roles. It is immutable.
//
// TUF 1.0.34, section 4.3.
type Root struct {
	header
	consistent bool
	roles      map[Role]*roleKeys
	policy     *Policy
}

// roleKeys is what root says of one role. Keys of a type this package does not know are left out: they can be listed
// beside others but cannot count.
type roleKeys struct {
	threshold int64
	keys      map[string]Key
	groups    []Group // of the local policy
}

// OpenRoot reads the root metadata that the caller trusts already, because it was built in or provisioned. It must be
// signed by its own threshold; its expiry does not matter (section 5.2).
//
// Errors: ErrMalformed, ErrThreshold.
func OpenRoot(data []byte) (*Root, error) { return openRoot(data, nil) }

func openRoot(data []byte, p *Policy) (*Root, error) {
	e, err := openEnvelope(data)
	if err != nil {
		return nil, &RoleError{Role: RoleRoot, Err: err}
	}
	root, err := parseRoot(e.signed, p)
	if err != nil {
		return nil, &RoleError{Role: RoleRoot, Err: err}
	}
	if err := e.verify(root.roles[RoleRoot]); err != nil {
		return nil, &RoleError{Role: RoleRoot, Version: root.version, Err: err}
	}
	return root, nil
}

// InspectRoot reads the signed part of root metadata that nobody need have signed yet, to tell who must. Trust nothing by it.
// Errors: ErrMalformed.
func InspectRoot(signed []byte) (*Root, error) {
	canonical, err := Canonical(signed)
	if err != nil {
		return nil, &RoleError{Role: RoleRoot, Err: err}
	}
	root, err := parseRoot(canonical, nil)
	if err != nil {
		return nil, &RoleError{Role: RoleRoot, Err: err}
	}
	return root, nil
}

// Next reads the root that follows r: signed by r's threshold and by its own, of exactly the next version. Its expiry
// is for the caller to check once no further root follows.
//
// Errors: ErrMalformed, ErrThreshold, ErrRollback. Sections 5.3.4 to 5.3.6.
func (r *Root) Next(data []byte) (*Root, error) {
	if r.version == math.MaxInt64 {
		return nil, &RoleError{Role: RoleRoot, Err: malformed("no version after %d", r.version)}
	}
	fail := func(err error) (*Root, error) {
		return nil, &RoleError{Role: RoleRoot, Version: r.version + 1, Err: err}
	}
	e, err := openEnvelope(data)
	if err != nil {
		return fail(err)
	}
	if err := e.verify(r.roles[RoleRoot]); err != nil {
		return fail(fmt.Errorf("keys of version %d: %w", r.version, err))
	}
	next, err := parseRoot(e.signed, r.policy)
	if err != nil {
		return fail(err)
	}
	if err := e.verify(next.roles[RoleRoot]); err != nil {
		return fail(fmt.Errorf("its own keys: %w", err))
	}
	if next.version != r.version+1 {
		return fail(fmt.Errorf("%w: version %d seen", ErrRollback, next.version))
	}
	return next, nil
}

// ConsistentSnapshot reports whether file names carry versions and hashes (section 6.2).
func (r *Root) ConsistentSnapshot() bool { return r.consistent }

// Threshold is how many distinct keys must sign for role; 0 if r does not know the role.
func (r *Root) Threshold(role Role) int {
	if k := r.roles[role]; k != nil {
		return int(min(k.threshold, math.MaxInt32))
	}
	return 0
}

// Keys returns the distinct public keys of role that this package can use, by key id in ascending order of the id.
func (r *Root) Keys(role Role) []Key {
	if k := r.roles[role]; k != nil {
		return k.distinct()
	}
	return nil
}

// distinct returns the keys by key id in ascending order of the id, each once.
func (k *roleKeys) distinct() []Key {
	var keys []Key
	for _, id := range sortedKeys(k.keys) {
		if !slices.Contains(keys, k.keys[id]) {
			keys = append(keys, k.keys[id])
		}
	}
	return keys
}

func sortedKeys(keys map[string]Key) []string { return slices.Sorted(maps.Keys(keys)) }

func parseRoot(signed value, p *Policy) (*Root, error) {
	r := &Root{roles: make(map[Role]*roleKeys), policy: p}
	var keys map[string]Key
	var roles value
	var err error
	r.header, err = parseHeader(signed, RoleRoot, func(name string, v value) (err error) {
		switch name {
		case "consistent_snapshot":
			if string(v) != "true" && string(v) != "false" {
				return malformed("consistent_snapshot: boolean expected")
			}
			r.consistent = string(v) == "true"
		case "keys":
			keys, err = parseKeys(v)
		case "roles":
			roles = v
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, malformed("keys: missing")
	}
	for name, v := range roles.members() {
		if role := Role(name); role.topLevel() {
			listed, err := parseRoleKeys(name, v, keys)
			if err != nil {
				return nil, err
			}
			r.roles[role] = listed.under(p, role)
		}
	}
	for _, role := range []Role{RoleRoot, RoleTimestamp, RoleSnapshot, RoleTargets} {
		if r.roles[role] == nil {
			return nil, malformed("roles: %s missing", role)
		}
	}
	return r, nil
}

func parseRoleKeys(what string, v value, known map[string]Key) (*roleKeys, error) {
	if err := v.object(what); err != nil {
		return nil, err
	}
	k := &roleKeys{keys: make(map[string]Key)}
	listed := false
	for name, v := range v.members() {
		switch name {
		case "threshold":
			n, err := v.integer(what+" threshold", 1)
			if err != nil {
				return nil, err
			}
			k.threshold = n
		case "keyids":
			listed = v.is('[')
			for id := range v.elements() {
				keyID, err := id.text(what + " keyids")
				if err != nil {
					return nil, err
				}
				if key, ok := known[keyID]; ok {
					k.keys[keyID] = key
				}
			}
		}
	}
	if k.threshold == 0 || !listed {
		return nil, malformed("%s: keyids and threshold expected", what)
	}
	return k, nil
}

// Revoked reports whether one of the keys, named by their Key.ID, can no longer sign for role. If that
// happens to the timestamp or the snapshot role, what a client holds of both is to be forgotten: a thief of the old
// key may have driven the version numbers up (fast-forward attack, section 5.3.11).
func (r *Root) Revoked(role Role, ids []verify.Digest) bool {
	keys := r.Keys(role)
	return slices.ContainsFunc(ids, func(id verify.Digest) bool {
		return !slices.ContainsFunc(keys, func(k Key) bool { return k.ID() == id })
	})
}
