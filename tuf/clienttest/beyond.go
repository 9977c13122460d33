// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"crypto/sha256"
	"fmt"

	"github.com/firmament-dev/firmament/tuf"
)

// beyond is what the suite does not ask. More of it stands beside the rules that it is about.
var beyond = []Case{
	{"beyond::no consistent snapshots", func(w *world) {
		// section 6.2: without them only root's name carries a version
		w.Plain = true
		w.publishAll()
		w.downloads("fw/a.suit")
		w.asked("2.root 3.root timestamp snapshot targets")
		w.has("one")
	}},
	{"beyond::path_hash_prefixes", func(w *world) {
		// section 4.5: the first hex digits of the SHA-256 of the target path
		const name = "some/target"
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
		w.Delegate(targets, "wrong", map[string]any{"path_hash_prefixes": []any{"0" + digest[1:2]}})
		w.Delegate(targets, "right", map[string]any{"path_hash_prefixes": []any{digest[:3]}})
		w.DelegatedTargets["right"][name] = []byte("content")
		w.Publish("right", "wrong", targets, snapshot, timestamp)
		w.downloads(name)
		w.visited("right")
		w.has("content")
	}},
	{"beyond::succinct_roles", func(w *world) {
		// TAP 15
		const name = "some/target"
		bins := w.DelegateBins(targets, "bin", 4)
		bin := tuf.BinName("bin", 4, uint32(sha256.Sum256([]byte(name))[0]>>4))
		w.DelegatedTargets[tuf.Role(bin)][name] = []byte("content")
		w.Publish(bins...)
		w.Publish()
		w.downloads(name)
		w.visited(bin)
		w.has("content")
	}},
}
