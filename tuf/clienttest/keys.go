// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"slices"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// keys is thresholds and signatures (sections 4.2 and 5).
var keys = []Case{
	{"test_keys.py::test_snapshot_does_not_meet_threshold", func(w *world) {
		w.Thresholds[snapshot] = 3
		w.Keys[snapshot] = append(w.Keys[snapshot], tuftest.Ed25519(20), tuftest.Ed25519(21))
		w.publishAll()
		w.accepts()
		w.Signers[snapshot] = w.Keys[snapshot][:2]
		w.Publish()
		w.refuses()
		w.trustsVersion(snapshot, "2")
	}},
	{"test_keys.py::test_snapshot_has_too_few_keys", func(w *world) {
		w.Thresholds[snapshot] = 6
		for i := range 4 {
			w.Keys[snapshot] = append(w.Keys[snapshot], tuftest.Ed25519(20+i))
		}
		w.Publish(root, snapshot, timestamp)
		w.refuses()
		w.trustsVersion(root, "2")
		w.trustsVersion(snapshot, "")
	}},
	{"test_keys.py::test_duplicate_keys", func(w *world) {
		w.Thresholds[snapshot] = 6
		w.Keys[snapshot] = append(w.Keys[snapshot], slices.Repeat([]verify.Signer{tuftest.Ed25519(20)}, 9)...)
		w.Publish(root, snapshot, timestamp) // snapshot is signed by each entry of the list: nine times the same signature
		w.refuses()
		w.trustsVersion(snapshot, "")
	}},
	{"test_keys.py::test_duplicate_sig_keyids", func(w *world) {
		w.Signers[snapshot] = append(w.Keys[snapshot], w.Keys[snapshot]...)
		w.Put(snapshot)
		w.refuses()
		w.trustsVersion(snapshot, "")
	}},
	keyType("rsa/rsassa-pss-sha256", func() verify.Signer { return tuftest.RSA() }),
	keyType("ecdsa/ecdsa-sha2-nistp256", func() verify.Signer { return tuftest.P256(20) }),
	keyType("ed25519/ed25519", func() verify.Signer { return tuftest.Ed25519(20) }),
	{"test_keys.py::test_invalid_sig_in_valid_metadata", func(w *world) {
		w.Keys[timestamp] = append(w.Keys[timestamp], tuftest.Ed25519(20))
		for _, sig := range []string{otherSignature(w.Keys[timestamp][0]), ""} {
			w.Publish(root, timestamp)
			w.signs(timestamp, w.Keys[timestamp][0], sig)
			w.accepts()
		}
		w.trustsVersion(timestamp, "3")
	}},
	{"beyond::one key under two key ids", func(w *world) {
		// section 5.3.4 and others: a threshold is of distinct keys
		key := tuftest.Ed25519(20)
		w.Thresholds[snapshot] = 2
		w.Keys[snapshot] = []verify.Signer{key}
		w.edit(root, func(signed map[string]any) {
			keys := signed["keys"].(map[string]any)
			keys["another"] = keys[tuftest.ID(key)]
			role := signed["roles"].(map[string]any)["snapshot"].(map[string]any)
			role["keyids"] = append(role["keyids"].([]any), "another")
		})
		w.Publish(root, snapshot, timestamp)
		signed, signatures := tuftest.Open(w.Files[w.Name(snapshot)])
		again := map[string]any{"keyid": "another", "sig": signatures[0].(map[string]any)["sig"]}
		w.Files[w.Name(snapshot)] = tuftest.Envelope(signed, append(signatures, again))
		w.refuses()
		w.trustsVersion(snapshot, "")
	}},
	{"beyond::a key of an unknown type beside others", func(w *world) {
		// section 4.2: implementers may use any key types they like, so a client meets some that it does not know
		w.edit(root, func(signed map[string]any) {
			signed["keys"].(map[string]any)["tomorrow"] = map[string]any{"keytype": "x", "scheme": "x-1", "keyval": map[string]any{"public": "?"}}
			role := signed["roles"].(map[string]any)["snapshot"].(map[string]any)
			role["keyids"] = append(role["keyids"].([]any), "tomorrow")
		})
		w.publishAll()
		w.accepts()
	}},
}

// signs puts a signature under a key id in place of the one that is there.
func (w *world) signs(role tuf.Role, s verify.Signer, sig string) {
	signed, signatures := tuftest.Open(w.Files[w.Name(role)])
	for _, entry := range signatures {
		if entry := entry.(map[string]any); entry["keyid"] == tuftest.ID(s) {
			entry["sig"] = sig
		}
	}
	w.Files[w.Name(role)] = tuftest.Envelope(signed, signatures)
}

// keyType: a key of this type can sign, and what it did not sign is refused.
func keyType(name string, key func() verify.Signer) Case {
	return Case{"test_keys.py::test_keytype_and_scheme[" + name + "]", func(w *world) {
		w.accepts()
		w.Thresholds[root] = 2
		w.Keys[root] = append(w.Keys[root], key())
		w.Publish(root)
		w.accepts()
		w.trustsVersion(root, "2")
		w.Publish(root)
		w.signs(root, key(), otherSignature(key()))
		w.refuses()
		w.trustsVersion(root, "2")
	}}
}
