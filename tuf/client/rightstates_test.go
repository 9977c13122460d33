// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

var topRoles = []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets}

// rightStates are what honest repositories do.
var rightStates = slices.Concat([]state{
	{name: "nothing new", change: func(*tuftest.Repo, *rand.Rand) {}},
	{name: "a release", change: func(r *tuftest.Repo, rng *rand.Rand) { release(r, rng) }},
	{name: "some releases", change: func(r *tuftest.Repo, rng *rand.Rand) {
		for range 1 + rng.IntN(4) {
			release(r, rng)
		}
	}},
	{name: "the target is withdrawn", change: func(r *tuftest.Repo, _ *rand.Rand) {
		delete(r.Targets, "fw/a.suit")
		r.Publish()
	}},
	{name: "timestamp alone", change: func(r *tuftest.Repo, _ *rand.Rand) { r.Publish(tuf.RoleTimestamp) }},
	{name: "an hour passes", change: func(r *tuftest.Repo, _ *rand.Rand) { r.Now = r.Now.Add(time.Hour); r.Publish() }},
	{name: "hashes on or off", change: func(r *tuftest.Repo, _ *rand.Rand) { r.Hashes = !r.Hashes; r.Publish() }},
	{name: "targets listed by SHA-512", change: func(r *tuftest.Repo, rng *rand.Rand) {
		r.Algorithms = []verify.Hash{verify.SHA512}
		release(r, rng)
	}},
	{name: "two of three keys", change: func(r *tuftest.Repo, rng *rand.Rand) {
		role := topRoles[rng.IntN(len(topRoles))]
		r.Keys[role] = []verify.Signer{tuftest.Ed25519(rng.IntN(1000)), tuftest.P256(rng.IntN(1000)), tuftest.Ed25519(1000 + rng.IntN(1000))}
		r.Thresholds[role] = 2
		r.Publish(tuf.RoleRoot)
		r.Publish()
	}},
	{name: "some roots", change: func(r *tuftest.Repo, rng *rand.Rand) {
		for range 1 + rng.IntN(4) {
			r.Keys[tuf.RoleRoot], r.Thresholds[tuf.RoleRoot] = []verify.Signer{tuftest.Ed25519(rng.IntN(1000))}, 1
			r.Publish(tuf.RoleRoot)
		}
	}},
	{name: "timestamp begins again after its keys were revoked", change: func(r *tuftest.Repo, rng *rand.Rand) {
		r.Keys[tuf.RoleTimestamp], r.Thresholds[tuf.RoleTimestamp] = []verify.Signer{tuftest.Ed25519(rng.IntN(1000))}, 1
		r.Version[tuf.RoleTimestamp] = 0
		r.Publish(tuf.RoleRoot)
		r.Publish()
	}},
	{name: "a delegation", change: func(r *tuftest.Repo, rng *rand.Rand) {
		delegate(r, rng, map[string]any{"paths": []any{"team/*"}})
	}},
	{name: "a terminating delegation", change: func(r *tuftest.Repo, rng *rand.Rand) {
		delegate(r, rng, map[string]any{"paths": []any{"team/*"}, "terminating": true})
	}},
	{name: "a delegation of something else", change: func(r *tuftest.Repo, rng *rand.Rand) {
		delegate(r, rng, map[string]any{"paths": []any{"team/?", "*"}})
	}},
	{name: "bins", change: func(r *tuftest.Repo, rng *rand.Rand) {
		r.Delegations[tuf.RoleTargets] = nil
		bins := r.DelegateBins(tuf.RoleTargets, fmt.Sprint("bin", rng.IntN(1000)), 3)
		for _, bin := range bins {
			r.DelegatedTargets[bin]["team/x.suit"] = []byte("x in " + string(bin))
		}
		r.Publish(bins...)
		r.Publish()
	}},
	{name: "members nobody knows", change: func(r *tuftest.Repo, _ *rand.Rand) {
		r.Edit = func(_ tuf.Role, signed map[string]any) {
			signed["x-new"] = map[string]any{"a": 1, "b": []any{"two", nil}}
		}
		r.Publish(tuf.RoleRoot)
		r.Publish()
		r.Edit = nil
	}},
	{name: "a name in other letters", change: func(r *tuftest.Repo, _ *rand.Rand) {
		r.Targets["fw/ä ß+&=~.suit"] = []byte("other letters")
		r.Publish()
	}},
	{name: "a name that URLs do not like", also: "fw/a#b?c.suit", differ: &difference{"go-tuf", "section 5.7: the target path is the file's name; here the transport is given the name and escapes it"},
		change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Targets["fw/a#b?c.suit"] = []byte("not liked")
			r.Publish()
		}},
	{name: "a path_hash_prefix", differ: &difference{"go-tuf", "section 4.5: the prefix is of the digest in hexadecimal"},
		change: func(r *tuftest.Repo, rng *rand.Rand) {
			sum := verify.Sum(verify.SHA256, []byte("team/x.suit"))
			delegate(r, rng, map[string]any{"path_hash_prefixes": []any{fmt.Sprintf("%x", sum.Bytes()[:1])}})
		}},
	{name: "a key of tomorrow", differ: &difference{"go-tuf", "section 4.2.2: any key type may be listed; a threshold that others meet is met"},
		change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Keys[tuf.RoleTargets] = append(slices.Clone(r.Keys[tuf.RoleTargets]), tuftest.MLDSA65(1))
			r.Publish(tuf.RoleRoot)
			r.Publish()
		}},
	{name: "new keys of timestamp, and a role vanishes from snapshot",
		differ: &difference{"go-tuf", "section 5.3.11: if the keys of timestamp or of snapshot are rotated, both files are forgotten"},
		change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Keys[tuf.RoleTimestamp], r.Thresholds[tuf.RoleTimestamp] = []verify.Signer{tuftest.Ed25519(7)}, 1
			delete(r.Version, "first")
			r.Publish(tuf.RoleRoot)
			r.Publish()
		}},
	{name: "a large number in a member nobody knows", differ: &difference{"go-tuf", "section 4: what is not known is part of what is signed, as it is"},
		change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Edit = func(role tuf.Role, signed map[string]any) {
				if role == tuf.RoleTargets {
					signed["x-big"] = int64(1<<53 + 1)
				}
			}
			r.Publish()
			r.Edit = nil
		}},
}, each("new keys of ", topRoles, func(r *tuftest.Repo, rng *rand.Rand, role tuf.Role) {
	r.Keys[role], r.Thresholds[role] = []verify.Signer{tuftest.P256(rng.IntN(1000))}, 1
	r.Publish(tuf.RoleRoot)
	r.Publish()
}))

// each is one state per role.
func each(name string, roles []tuf.Role, change func(r *tuftest.Repo, rng *rand.Rand, role tuf.Role)) (states []state) {
	for _, role := range roles {
		states = append(states, state{name: name + string(role), change: func(r *tuftest.Repo, rng *rand.Rand) { change(r, rng, role) }})
	}
	return states
}

func release(r *tuftest.Repo, rng *rand.Rand) {
	r.Targets["fw/a.suit"] = fmt.Appendf(nil, "release %d", rng.Int())
	r.Publish()
}

// delegate adds a role with a name of its own, and publishes it.
func delegate(r *tuftest.Repo, rng *rand.Rand, d map[string]any, signers ...verify.Signer) {
	if all := r.Delegations[tuf.RoleTargets]; all != nil && all["succinct_roles"] != nil {
		r.Delegations[tuf.RoleTargets] = nil
	}
	name := fmt.Sprint("role", rng.Int())
	r.Delegate(tuf.RoleTargets, name, d)
	r.DelegatedTargets[tuf.Role(name)]["team/x.suit"] = []byte("x by " + name)
	if signers != nil {
		r.Signers[tuf.Role(name)] = signers
	}
	r.Publish(tuf.Role(name))
	r.Publish()
}
