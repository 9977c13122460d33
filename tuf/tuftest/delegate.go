// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuftest

import (
	"maps"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// Delegate lets from delegate to a role: it appends d, which may lack name, keyids and threshold, to from's delegations, and gives the role
// a key of its own if it has none. It publishes nothing.
func (r *Repo) Delegate(from tuf.Role, to string, d map[string]any) {
	role := tuf.Role(to)
	if r.Keys[role] == nil {
		r.Keys[role] = []verify.Signer{Ed25519(1000 + len(r.Keys))}
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
	key := []verify.Signer{Ed25519(999)}
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
		delegations["keys"].(map[string]any)[ID(s)] = keyJSON(keyOf(s))
		ids = append(ids, ID(s))
	}
	return ids
}
