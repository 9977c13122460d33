// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// wrongStates are what a repository must not do, or a server does to it.
var wrongStates = slices.Concat(
	each("nobody signs ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) { signedBy(r, role) }),
	each("a stranger signs ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) { signedBy(r, role, tuftest.Ed25519(5000)) }),
	rooted(each("too few sign ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		r.Keys[role] = append(slices.Clone(r.Keys[role]), tuftest.Ed25519(5001), tuftest.Ed25519(5002))
		r.Thresholds[role] = len(r.Keys[role])
		r.Signers[role] = r.Keys[role][1:]
		publish(r, tuf.RoleRoot)
	})),
	each("a signature twice in ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		signedBy(r, role, append(slices.Clone(r.Keys[role]), r.Keys[role]...)...)
	}),
	rooted(each("expired: ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		r.Expires[role] = r.Now.Add(-time.Second)
		publish(r, role)
	})),
	differing(&difference{"tuf/client", "section 5: the expiration must be higher than the time of the update"},
		each("expires at this very second: ", topRoles, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
			r.Expires[role] = r.Now
			publish(r, role)
		})),
	each("an older version of ", []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets}, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		others := slices.DeleteFunc([]tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}, func(x tuf.Role) bool { return x == role })
		for _, other := range others {
			r.Version[other]++
		}
		r.Version[role]--
		r.Republish()
	}),
	each("lists another digest of ", []tuf.Role{tuf.RoleSnapshot, tuf.RoleTargets}, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		r.Hashes = true
		lists(r, role, func(meta map[string]any) { meta["hashes"] = map[string]any{"sha256": strings.Repeat("00", 32)} })
	}),
	each("lists another length of ", []tuf.Role{tuf.RoleSnapshot, tuf.RoleTargets}, func(r *tuftest.Repo, rng *rand.Rand, role tuf.Role) {
		r.Hashes = true
		lists(r, role, func(meta map[string]any) { meta["length"] = meta["length"].(int) + 1 - 2*rng.IntN(2) })
	}),
	each("lists another version of ", []tuf.Role{tuf.RoleSnapshot, tuf.RoleTargets}, func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		lists(r, role, func(meta map[string]any) { meta["version"] = meta["version"].(int64) + 1 })
		r.Files[fmt.Sprintf("metadata/%d.%s.json", r.Version[role]+1, role)] = r.Files[r.Name(role)]
	}),
	each("another _type of ", topRoles, signs(func(signed map[string]any) { signed["_type"] = "mirrors" })),
	each("no _type of ", topRoles, signs(func(signed map[string]any) { delete(signed, "_type") })),
	differing(&difference{"tuf/client", "section 4.3: clients must verify that spec_version matches; here its major version must"},
		each("spec_version 2.0 of ", topRoles, signs(func(signed map[string]any) { signed["spec_version"] = "2.0.0" }))),
	each("no version of ", topRoles, signs(func(signed map[string]any) { delete(signed, "version") })),
	each("version 0 of ", topRoles, signs(func(signed map[string]any) { signed["version"] = 0 })),
	each("a negative version of ", topRoles, signs(func(signed map[string]any) { signed["version"] = -1 })),
	each("a version in words of ", topRoles, signs(func(signed map[string]any) { signed["version"] = "2" })),
	each("no expiry of ", topRoles, signs(func(signed map[string]any) { delete(signed, "expires") })),
	each("an expiry in words of ", topRoles, signs(func(signed map[string]any) { signed["expires"] = "tomorrow" })),
	each("no content of ", []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot}, signs(func(signed map[string]any) { delete(signed, "meta") })),
	each("no JSON for ", topRoles, file(func(data []byte) []byte { return data[:len(data)-2] })),
	each("nothing for ", topRoles, file(func([]byte) []byte { return nil })),
	each("null for ", topRoles, file(func([]byte) []byte { return []byte("null") })),
	each("data after ", topRoles, file(func(data []byte) []byte { return append(slices.Clone(data), "{}"...) })),
	each("a byte changed in ", topRoles, file(func(data []byte) []byte {
		return []byte(strings.Replace(string(data), `"spec_version": "1.0.34"`, `"spec_version": "1.0.35"`, 1))
	})),
	each("404 for ", []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets}, spoilt(tuftest.Status(http.StatusNotFound))),
	each("500 for ", topRoles, spoilt(tuftest.Status(http.StatusInternalServerError))),
	each("cut off: ", topRoles, spoilt(tuftest.Truncate(60))),
	each("endless: ", topRoles, spoilt(tuftest.Endless())),
	[]state{
		{name: "a root is left out", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Publish(tuf.RoleRoot)
			r.Files[fmt.Sprintf("metadata/%d.root.json", r.Version[tuf.RoleRoot])] = r.Build(tuf.RoleRoot)
			r.Version[tuf.RoleRoot]++
			r.Files[fmt.Sprintf("metadata/%d.root.json", r.Version[tuf.RoleRoot]-1)] = r.Build(tuf.RoleRoot)
		}},
		{name: "root is not signed by the one before", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Keys[tuf.RoleRoot], r.Thresholds[tuf.RoleRoot] = []verify.Signer{tuftest.Ed25519(5003)}, 1
			r.Signers[tuf.RoleRoot] = r.Keys[tuf.RoleRoot]
			publish(r, tuf.RoleRoot)
		}},
		{name: "root is not signed by itself", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Signers[tuf.RoleRoot] = r.Keys[tuf.RoleRoot]
			r.Keys[tuf.RoleRoot], r.Thresholds[tuf.RoleRoot] = []verify.Signer{tuftest.Ed25519(5003)}, 1
			publish(r, tuf.RoleRoot)
		}},
		{name: "a threshold of 0", differ: &difference{"go-tuf", "section 4.3: a threshold is how many keys have to sign, at least one; here a root that says otherwise is refused, and the one before stays"}, change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Thresholds[tuf.RoleTargets] = 0
			r.Signers[tuf.RoleTargets] = []verify.Signer{}
			publish(r, tuf.RoleRoot)
		}},
		{name: "a role vanishes from snapshot", change: func(r *tuftest.Repo, rng *rand.Rand) {
			r.Edit = func(role tuf.Role, signed map[string]any) {
				if role == tuf.RoleSnapshot {
					delete(signed["meta"].(map[string]any), "targets.json")
				}
			}
			r.Publish()
		}},
		{name: "other bytes for the target", change: func(r *tuftest.Repo, rng *rand.Rand) {
			release(r, rng)
			r.Spoil("targets/*", func(_ *tuftest.Repo, a *tuftest.Answer) { a.Data = []byte(strings.ToUpper(string(a.Data))) })
		}},
		{name: "the target is cut off", change: func(r *tuftest.Repo, rng *rand.Rand) {
			release(r, rng)
			r.Spoil("targets/*", tuftest.Claim(1))
		}},
		{name: "the target is endless", change: func(r *tuftest.Repo, rng *rand.Rand) {
			release(r, rng)
			r.Spoil("targets/*", tuftest.Endless())
		}},
		{name: "no digest of the target", change: func(r *tuftest.Repo, rng *rand.Rand) {
			entry(r, func(target map[string]any) { delete(target, "hashes") })
		}},
		{name: "a digest of the target by tomorrow's algorithm", change: func(r *tuftest.Repo, rng *rand.Rand) {
			entry(r, func(target map[string]any) { target["hashes"] = map[string]any{"sha9": "00"} })
		}},
		{name: "no length of the target", change: func(r *tuftest.Repo, rng *rand.Rand) {
			entry(r, func(target map[string]any) { delete(target, "length") })
		}},
		{name: "a delegated role is signed by a stranger", partial: true, change: func(r *tuftest.Repo, rng *rand.Rand) {
			delegate(r, rng, map[string]any{"paths": []any{"team/*"}}, tuftest.Ed25519(5004))
		}},
		{name: "a delegation with a threshold of 0", differ: &difference{"tuf/client", "section 4.5: a threshold is how many keys have to sign, at least one; otherwise the delegator's file is refused, wherever the target is"}, change: func(r *tuftest.Repo, rng *rand.Rand) {
			delegate(r, rng, map[string]any{"paths": []any{"team/*"}, "threshold": 0}, tuftest.Ed25519(5004))
		}},
		{name: "the newest root is hidden", after: "new keys of timestamp", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Version[tuf.RoleRoot]++
			r.Keys[tuf.RoleTimestamp] = []verify.Signer{tuftest.Ed25519(1)} // as in root 1
			r.Publish(tuf.RoleTimestamp)
			delete(r.Files, "metadata/2.root.json")
		}},
		{name: "a member given twice", differ: &difference{"tuf/client", "RFC 8259, section 4: names within an object should be unique; here they must be, since a signature covers one meaning"},
			change: func(r *tuftest.Repo, _ *rand.Rand) {
				r.Publish()
				name := r.Name(tuf.RoleTimestamp)
				r.Files[name] = []byte(strings.Replace(string(r.Files[name]), `"_type"`, `"_type": "x", "_type"`, 1))
			}},
		{name: "a target that is null", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Edit = func(role tuf.Role, signed map[string]any) {
				if role == tuf.RoleTargets {
					signed["targets"].(map[string]any)["fw/null"] = nil
				}
			}
			r.Publish()
		}},
		{name: "bins of 33 bits", change: func(r *tuftest.Repo, _ *rand.Rand) {
			delete(r.Targets, "fw/a.suit")
			r.Delegations[tuf.RoleTargets] = nil
			r.DelegateBins(tuf.RoleTargets, "many", 1)
			r.Delegations[tuf.RoleTargets]["succinct_roles"].(map[string]any)["bit_length"] = 33
			r.Publish()
		}},
		{name: "bins of 0 bits", change: func(r *tuftest.Repo, _ *rand.Rand) {
			r.Delegations[tuf.RoleTargets] = nil
			r.DelegateBins(tuf.RoleTargets, "zero", 1)
			r.Delegations[tuf.RoleTargets]["succinct_roles"].(map[string]any)["bit_length"] = 0
			r.Publish()
		}},
	},
)

// rooted marks those whose root is right.
func rooted(states []state) []state {
	for i := range states {
		states[i].rooted = true
	}
	return states
}

func differing(why *difference, states []state) []state {
	for i := range states {
		states[i].differ = why
	}
	return states
}

// publish publishes what there is, and a root only if it is about that one: a right root that is served once is trusted from then on.
func publish(r *tuftest.Repo, role tuf.Role) {
	if role == tuf.RoleRoot {
		r.Publish(tuf.RoleRoot)
	}
	r.Publish()
}

func signedBy(r *tuftest.Repo, role tuf.Role, signers ...verify.Signer) {
	r.Signers[role] = append([]verify.Signer{}, signers...)
	publish(r, role)
}

func lists(r *tuftest.Repo, of tuf.Role, change func(meta map[string]any)) {
	r.Edit = func(_ tuf.Role, signed map[string]any) {
		if meta, ok := signed["meta"].(map[string]any); ok {
			if m, ok := meta[of.Filename()].(map[string]any); ok {
				change(m)
			}
		}
	}
	r.Publish()
}

// signs changes what a role says, before it is signed.
func signs(change func(signed map[string]any)) func(*tuftest.Repo, *rand.Rand, tuf.Role) {
	return func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		r.Edit = func(published tuf.Role, signed map[string]any) {
			if published == role {
				change(signed)
			}
		}
		publish(r, role)
	}
}

// file changes the bytes of a role's file. What lists it does not list digests.
func file(change func([]byte) []byte) func(*tuftest.Repo, *rand.Rand, tuf.Role) {
	return func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		r.Hashes = false
		publish(r, role)
		r.Files[r.Name(role)] = change(r.Files[r.Name(role)])
	}
}

func spoilt(fault tuftest.Fault) func(*tuftest.Repo, *rand.Rand, tuf.Role) {
	return func(r *tuftest.Repo, _ *rand.Rand, role tuf.Role) {
		publish(r, role)
		r.Spoil(r.Name(role), fault)
	}
}

func entry(r *tuftest.Repo, change func(target map[string]any)) {
	r.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTargets {
			for _, target := range maps.All(signed["targets"].(map[string]any)) {
				change(target.(map[string]any))
			}
		}
	}
	r.Publish()
}
