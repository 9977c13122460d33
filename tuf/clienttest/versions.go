// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"strings"

	"github.com/firmament-dev/firmament/tuf"
)

// versions is what metadata says of versions and what is there (sections 5.3 to 5.6).
var versions = []Case{
	mismatch(root, "root 1"),
	mismatch(snapshot, "root 2, timestamp 2"),
	mismatch(targets, "root 2, snapshot 2, timestamp 2"),
	{"test_basic.py::test_timestamp_content_changes", func(w *world) {
		w.accepts()
		first := string(w.Files[w.Name(timestamp)])
		w.lists(timestamp, snapshot, func(meta map[string]any) { meta["version"] = 100 })
		w.Put(timestamp)
		w.accepts()
		w.askedLast("timestamp")
		if string(w.c.Trusted()["timestamp"]) != first {
			w.Fatal("another timestamp of the same version took the place of the first")
		}
	}},
	{"test_basic.py::test_timestamp_404", func(w *world) {
		w.accepts()
		delete(w.Files, w.Name(timestamp))
		w.refuses()
		w.askedLast("timestamp")
	}},
	{"test_basic.py::test_snapshot_404", func(w *world) {
		w.accepts()
		w.lists(timestamp, snapshot, func(meta map[string]any) { meta["version"] = 2 })
		w.Publish(timestamp)
		w.refuses()
		w.askedLast("2.snapshot")
		w.trusts("root 1, snapshot 1, targets 1, timestamp 2")
	}},
	{"test_basic.py::test_targets_404", func(w *world) {
		w.accepts()
		w.lists(snapshot, targets, func(meta map[string]any) { meta["version"] = 2 })
		w.Publish(snapshot, timestamp)
		w.refuses()
		w.askedLast("2.targets")
		w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
	}},
}

// mismatch: a file that says it is version 3 is served, and listed, as version 2.
func mismatch(role tuf.Role, trusted string) Case {
	return Case{"test_basic.py::test_url_and_metadata_version_mismatch[" + string(role) + "]", func(w *world) {
		w.edit(role, func(signed map[string]any) { signed["version"] = 3 })
		w.publishAll()
		w.refuses()
		w.trusts(trusted)
	}}
}

// hashed is what timestamp and snapshot list besides versions.
var hashed = []Case{
	{"test_basic.py::test_basic_metadata_hash_support", func(w *world) {
		w.Hashes = true
		w.Publish(targets, snapshot, timestamp)
		w.accepts()
		w.trusts("root 1, snapshot 2, targets 2, timestamp 2")
	}},
	{"test_basic.py::test_targets_hash_mismatch", func(w *world) {
		w.Hashes = true
		w.Publish(targets, snapshot, timestamp)
		w.accepts()
		w.lists(snapshot, targets, func(meta map[string]any) { meta["hashes"] = zeros })
		w.Publish(targets, snapshot, timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 3, targets 2, timestamp 3")
	}},
	{"test_basic.py::test_snapshot_hash_mismatch", func(w *world) {
		w.Hashes = true
		w.Publish(snapshot, timestamp)
		w.accepts()
		w.lists(timestamp, snapshot, func(meta map[string]any) { meta["hashes"] = zeros })
		w.Publish(snapshot, timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 2, targets 1, timestamp 3")
	}},
}

var zeros = map[string]any{"sha256": strings.Repeat("0", 64)}
