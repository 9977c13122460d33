// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

const simulatorTest = "test_repository_simulator.py::TestRepositorySimulator::"

// simulator asks the repository, not the client, whether it does what the other cases rely on.
var simulator = []Case{
	{simulatorTest + "test_repo_initialzation_unittest", func(w *world) {
		for _, role := range []tuf.Role{root, timestamp, snapshot, targets} {
			signed, signatures := tuftest.Open(w.Files[w.Name(role)])
			if w.Version[role] != 1 || fmt.Sprint(signed["version"]) != "1" || signed["_type"] != string(role) || len(signatures) != 1 {
				w.Errorf("%s: version %v, type %v, %d signatures", role, signed["version"], signed["_type"], len(signatures))
			}
		}
		if n := len(w.Files); n != 5 { // and one target
			w.Errorf("%d files", n)
		}
	}},
	{simulatorTest + "test_basic_metadata_hash_support_unittest", func(w *world) {
		w.Hashes = true
		w.Publish()
		data := w.Files["metadata/2.snapshot.json"]
		signed, _ := tuftest.Open(w.Files[w.Name(timestamp)])
		meta := signed["meta"].(map[string]any)["snapshot.json"].(map[string]any)
		sum := fmt.Sprintf("%x", verify.Sum(verify.SHA256, data).Bytes())
		if fmt.Sprint(meta["length"]) != fmt.Sprint(len(data)) || meta["hashes"].(map[string]any)["sha256"] != sum {
			w.Errorf("the timestamp lists %v", meta)
		}
	}},
	{simulatorTest + "test_update_timestamp", func(w *world) {
		w.Expires[timestamp] = w.Now.Add(-5 * day)
		w.Publish(timestamp)
		if signed, _ := tuftest.Open(w.Files[w.Name(timestamp)]); signed["expires"] != "2026-11-18T12:00:00Z" {
			w.Errorf("the timestamp expires at %v", signed["expires"])
		}
	}},
}
