// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// listing is a role's keys as its delegator lists them. Key ids are names that whoever made the metadata chose.
type listing struct {
	ids       []string
	keys      map[string]*metadata.Key
	threshold int
}

// same reports whether two listings demand the same signatures, under the same key ids.
func (l listing) same(other listing) bool {
	a, b := slices.Sorted(slices.Values(l.ids)), slices.Sorted(slices.Values(other.ids))
	return l.threshold == other.threshold && slices.EqualFunc(a, b, func(a, b string) bool {
		one, two := l.keys[a], other.keys[b]
		return a == b && one != nil && two != nil && one.Scheme == two.Scheme && one.Value.PublicKey == two.Value.PublicKey
	})
}

// listed is a top-level role's keys in each of the roots.
func listed(role tuf.Role, roots ...*metadata.RootType) (list []listing) {
	for _, root := range roots {
		list = append(list, listing{root.Roles[string(role)].KeyIDs, root.Keys, root.Roles[string(role)].Threshold})
	}
	return list
}

// id returns the id under which a key is listed, "" if it is not.
func (l listing) id(k tuf.Key) string {
	for _, id := range l.ids {
		if sameKey(l.keys[id], k) {
			return id
		}
	}
	return ""
}

// listings is the keys of a delegated role: as each of the roles that are changed lists them, and otherwise as is published.
func (d *draft) listings(ctx context.Context, role tuf.Role) (list []listing, err error) {
	for _, from := range slices.Sorted(maps.Keys(d.edited)) {
		if l, ok := inDelegations(role, d.edited[from]); ok {
			list = append(list, l)
		}
	}
	if len(list) > 0 || d.base == nil {
		return list, nil
	}
	_, from, err := d.base.delegator(ctx, string(role))
	if err != nil {
		return nil, err
	}
	l, err := d.listingBy(ctx, role, from)
	return []listing{l}, err
}

// listingBy is the keys of a delegated role as one role lists them, changed or published.
func (d *draft) listingBy(ctx context.Context, role, from tuf.Role) (listing, error) {
	delegations, changed := d.edited[from]
	switch {
	case changed:
	case from == tuf.RoleTargets:
		delegations = d.base.targets.Signed.Delegations
	default:
		meta, err := d.base.set.DelegatedMeta(string(from))
		if err != nil {
			return listing{}, err
		}
		data, err := d.s.read(ctx, from, meta.Version)
		if err != nil {
			return listing{}, err
		}
		m, err := parse(metadata.Targets(), data)
		if err != nil {
			return listing{}, fmt.Errorf("read %s: %w", from, err)
		}
		delegations = m.Signed.Delegations
	}
	l, _ := inDelegations(role, delegations)
	return l, nil
}

func inDelegations(role tuf.Role, d *metadata.Delegations) (listing, bool) {
	if d == nil {
		return listing{}, false
	}
	if bins := d.SuccinctRoles; bins != nil && isBin(string(role)) && role[:strings.LastIndexByte(string(role), '-')] == tuf.Role(bins.NamePrefix) {
		return listing{bins.KeyIDs, d.Keys, bins.Threshold}, true
	}
	for _, r := range d.Roles {
		if r.Name == string(role) {
			return listing{r.KeyIDs, d.Keys, r.Threshold}, true
		}
	}
	return listing{}, false
}

// atHand is how many distinct keys of a listing have a signer for the role.
func (d *draft) atHand(role tuf.Role, l listing) int {
	return len(publicKeys(slices.DeleteFunc(d.o.signersOf(role), func(s verify.Signer) bool { return l.id(keyOf(s)) == "" })))
}

// sign returns the metadata file: m signed over the canonical form by every signer that a list has, once, under the id that it has there.
func sign[T metadata.Roles](ctx context.Context, m *metadata.Metadata[T], signers []verify.Signer, lists ...listing) ([]byte, error) {
	text, err := json.Marshal(m.Signed)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %v", err)
	}
	canonical, err := tuf.Canonical(text)
	if err != nil {
		return nil, err
	}
	m.Signatures = []metadata.Signature{}
	signed := make(map[string]bool)
	for _, s := range signers {
		public := keyOf(s)
		var sig []byte
		for _, l := range lists {
			id := l.id(public)
			if id == "" || signed[id] {
				continue
			}
			if sig == nil {
				if sig, err = s.Sign(ctx, canonical); err != nil {
					return nil, fmt.Errorf("sign: %w", err)
				}
			}
			signed[id] = true
			m.Signatures = append(m.Signatures, metadata.Signature{KeyID: id, Signature: sig})
		}
	}
	data, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %v", err)
	}
	return data, nil
}

// sameKey reports whether metadata lists a public key, under whatever id.
func sameKey(listed *metadata.Key, k tuf.Key) bool {
	_, scheme, public := k.KeyVal()
	return listed != nil && scheme != "" && listed.Scheme == scheme && strings.TrimSpace(listed.Value.PublicKey) == strings.TrimSpace(public)
}

// idOf returns a public key as keys lists it and the id that it has there, or the id that TUF recommends if it is not listed.
func idOf(keys map[string]*metadata.Key, k tuf.Key) (*metadata.Key, string, error) {
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if sameKey(keys[id], k) {
			return keys[id], id, nil
		}
	}
	return tufKey(k)
}

// tufKey returns a public key as metadata lists it, and its key id.
func tufKey(k tuf.Key) (*metadata.Key, string, error) {
	keyType, scheme, public := k.KeyVal()
	if keyType == "" {
		return nil, "", fmt.Errorf("key of a type that metadata cannot list: %w", verify.ErrAlgorithm)
	}
	key := &metadata.Key{Type: keyType, Scheme: scheme, Value: metadata.KeyVal{PublicKey: public}}
	id, err := key.ID()
	if err != nil {
		return nil, "", fmt.Errorf("key id: %v", err)
	}
	return key, id, nil
}
