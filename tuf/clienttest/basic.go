// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"bytes"
	"context"
	"encoding/hex"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

const firstRefresh = "2.root timestamp 1.snapshot 1.targets"

// basic is the workflow of section 5, and what it starts from.
var basic = []Case{
	{"test_basic.py::test_basic_refresh_requests", func(w *world) {
		w.accepts()
		w.asked(firstRefresh)
	}},
	{"test_basic.py::test_basic_refresh_trusted_data", func(w *world) {
		w.accepts()
		w.trusts("root 1, snapshot 1, targets 1, timestamp 1")
		w.trustsServed(root, timestamp, snapshot, targets)
	}},
	{"test_basic.py::test_implicit_refresh", func(w *world) {
		w.doesNotDownload("no such target")
		w.asked(firstRefresh)
		w.trustsServed(root, timestamp, snapshot, targets)
	}},
	{"test_basic.py::test_invalid_initial_root", func(w *world) {
		signed, _ := tuftest.Open(w.Root(1))
		delete(signed, "version")
		w.refusesRoot(tuftest.Sign(signed, w.Keys[root]...))
	}},
	{"test_basic.py::test_unsigned_initial_root", func(w *world) {
		signed, signatures := tuftest.Open(w.Root(1))
		signature := signatures[0].(map[string]any)
		w.refusesRoot(tuftest.Envelope(signed, []any{map[string]any{"keyid": signature["keyid"], "sig": otherSignature(w.Keys[root][0])}}))
	}},
	unsigned(root, "root 1"),
	unsigned(timestamp, "root 2"),
	unsigned(snapshot, "root 2, timestamp 2"),
	unsigned(targets, "root 2, snapshot 2, timestamp 2"),
	{"test_basic.py::test_custom_fields", func(w *world) {
		w.accepts()
		w.Keys[root] = append(w.Keys[root], tuftest.Ed25519(20))
		w.edit(root, func(signed map[string]any) {
			key := signed["keys"].(map[string]any)[tuftest.ID(tuftest.Ed25519(20))].(map[string]any)
			key["extra-field"] = map[string]any{"a": 1, "b": 2}
			signed["custom-field"] = "value"
			signed["roles"].(map[string]any)["root"].(map[string]any)["another-field"] = "value"
		})
		w.Publish(root)
		w.accepts()
		w.trustsVersion(root, "2")
	}},
	{"test_basic.py::test_deprecated_keyid_hash_algorithms", func(w *world) {
		w.accepts()
		w.Keys[snapshot] = []verify.Signer{tuftest.Ed25519(20)}
		w.edit(root, func(signed map[string]any) {
			signed["keys"].(map[string]any)[tuftest.ID(tuftest.Ed25519(20))].(map[string]any)["keyid_hash_algorithms"] = "md5"
		})
		w.Publish(root, snapshot, timestamp)
		w.accepts()
		w.trusts("root 2, snapshot 2, targets 1, timestamp 2")
	}},
	{"test_basic.py::test_metadata_bytes_match", func(w *world) {
		name := w.Name(timestamp)
		w.Files[name] = append(bytes.Clone(w.Files[name]), ' ')
		w.accepts()
		w.trustsServed(timestamp)
	}},
	{"test_basic.py::test_incorrect_metadata_type", func(w *world) {
		// a snapshot that would do as a timestamp, but for its _type, signed by both roles
		w.Keys[snapshot] = append(w.Keys[snapshot], w.Keys[timestamp]...)
		w.Publish(root)
		w.restart(snapshot, 2)
		w.edit(snapshot, func(signed map[string]any) {
			signed["meta"] = map[string]any{"snapshot.json": map[string]any{"version": 1}}
		})
		w.Version[snapshot]++
		w.Files[w.Name(timestamp)] = w.Build(snapshot)
		w.refuses()
		w.trusts("root 2")
	}},
	{"test_basic.py::test_faketime", func(w *world) {
		w.Expires[root] = w.Now.Add(7 * day)
		w.Publish(root)
		w.accepts()
		w.Now = w.Now.Add(8 * day)
		w.refuses()
	}},
}

// refusesRoot gives the client another root to begin with, and expects that it asks for nothing.
func (w *world) refusesRoot(first []byte) {
	w.Helper()
	var err error
	if w.c, err = w.setup(w.t, first, w.Repo); err == nil {
		w.refuses()
	}
	w.asked("")
}

// otherSignature is a signature in the right form, of something else.
func otherSignature(s verify.Signer) string {
	sig, err := s.Sign(context.Background(), []byte("something else"))
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(sig)
}

// unsigned: what nobody signed is not trusted, and what was updated before it is.
func unsigned(role tuf.Role, trusted string) Case {
	return Case{"test_basic.py::test_unsigned_metadata[" + string(role) + "]", func(w *world) {
		w.Signers[role] = []verify.Signer{}
		w.publishAll()
		w.refuses()
		w.trusts(trusted)
	}}
}
