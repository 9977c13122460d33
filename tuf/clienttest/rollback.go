// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// rollbacks: versions do not go back (5.4.3, 5.5.5), unless root revoked the keys under which they went too far (5.3.11).
var rollbacks = []Case{
	{"test_rollback.py::test_new_timestamp_version_rollback", func(w *world) {
		w.Publish(timestamp)
		w.accepts()
		w.trustsVersion(timestamp, "2")
		w.restart(timestamp, 1)
		w.Publish(timestamp)
		w.refuses()
		w.trustsVersion(timestamp, "2")
		w.askedLast("timestamp")
	}},
	snapshotRollback("basic", false),
	snapshotRollback("with hashes", true),
	targetsRollback("basic", false),
	targetsRollback("with hashes", true),
	{"test_rollback.py::test_targets_role_removal", func(w *world) {
		w.delegated()
		w.Publish()
		w.accepts()
		delete(w.Version, "delegated")
		w.Publish(snapshot, timestamp)
		w.refuses()
		w.trustsVersion(snapshot, "2")
	}},
	{"test_rollback.py::test_targets_fast_forward_recovery", func(w *world) {
		w.delegated()
		w.restart(targets, 100)
		w.Publish()
		w.accepts()
		w.trustsVersion(targets, "100")
		w.Keys[snapshot] = []verify.Signer{tuftest.Ed25519(20)}
		w.restart(targets, 1)
		delete(w.Version, "delegated")
		w.publishAll()
		w.accepts()
		w.trustsVersion(targets, "1")
	}},
	{"test_rollback.py::test_new_snapshot_fast_forward_recovery", func(w *world) {
		w.restart(snapshot, 100)
		w.Publish(snapshot, timestamp)
		w.accepts()
		w.trustsVersion(snapshot, "100")
		w.Keys[snapshot] = []verify.Signer{tuftest.Ed25519(20)}
		w.Keys[timestamp] = []verify.Signer{tuftest.Ed25519(21)}
		w.restart(snapshot, 1)
		w.publishAll()
		w.accepts()
		w.trustsVersion(snapshot, "1")
	}},
	{"test_rollback.py::test_new_timestamp_fast_forward_recovery", func(w *world) {
		w.restart(timestamp, 100)
		w.Publish(timestamp)
		w.accepts()
		w.trustsVersion(timestamp, "100")
		w.Keys[timestamp] = []verify.Signer{tuftest.Ed25519(20)}
		w.restart(timestamp, 1)
		w.Publish(root, timestamp)
		w.accepts()
		w.trustsVersion(timestamp, "1")
	}},
}

func snapshotRollback(name string, hashes bool) Case {
	return Case{"test_rollback.py::test_snapshot_rollback[" + name + "]", func(w *world) {
		w.Hashes = hashes
		w.Publish(snapshot, timestamp)
		w.accepts()
		w.restart(snapshot, 1)
		w.Publish(snapshot, timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
		w.askedLast("timestamp")
	}}
}

func targetsRollback(name string, hashes bool) Case {
	return Case{"test_rollback.py::test_targets_rollback[" + name + "]", func(w *world) {
		w.Hashes = hashes
		w.Publish(targets, snapshot, timestamp)
		w.accepts()
		w.restart(targets, 1)
		w.Publish(targets, snapshot, timestamp)
		w.refuses()
		w.trustsVersion(snapshot, "2")
		w.trustsVersion(targets, "2")
	}}
}

// delegated has a role with some paths of its own, and publishes it.
func (w *world) delegated() {
	w.Delegate(targets, "delegated", map[string]any{"paths": []any{"delegatedpath/*"}})
	w.Publish("delegated")
}
