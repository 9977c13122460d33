// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import "time"

// expiration: what has expired when the update starts is not trusted, but does not stand in the way of what follows it.
var expiration = []Case{
	{"test_expiration.py::test_root_expired", func(w *world) {
		w.accepts()
		w.Publish(root)
		w.accepts()
		w.Expires[root] = w.Now.Add(-day)
		w.publishAll()
		w.refuses()
		w.trusts("root 3, snapshot 1, targets 1, timestamp 1") // root is kept before its expiry is looked at (5.3.8, 5.3.10)
	}},
	{"test_expiration.py::test_timestamp_expired", func(w *world) {
		w.accepts()
		w.Expires[timestamp] = w.Now.Add(-5 * day)
		w.Publish(timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 1, targets 1, timestamp 1")
	}},
	{"test_expiration.py::test_snapshot_expired", func(w *world) {
		w.accepts()
		w.Expires[snapshot] = w.Now.Add(-5 * day)
		w.Publish(snapshot, timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 1, targets 1, timestamp 2")
	}},
	{"test_expiration.py::test_targets_expired", func(w *world) {
		w.accepts()
		w.Expires[targets] = w.Now.Add(-5 * day)
		w.Publish(targets, snapshot, timestamp)
		w.refuses()
		w.trusts("root 1, snapshot 2, targets 1, timestamp 2")
	}},
	{"test_expiration.py::test_expired_local_root", func(w *world) {
		w.accepts()
		start := w.Now
		w.Expires[root] = start.Add(7 * day)
		w.Publish(root)
		w.accepts()
		w.Expires[root] = start.Add(21 * day)
		w.Publish(root)
		w.Now = start.Add(18 * day)
		w.accepts()
		w.trustsVersion(root, "3")
	}},
	{"test_expiration.py::test_expired_local_timestamp", func(w *world) {
		start := w.Now
		w.Expires[timestamp] = start.Add(7 * day)
		w.Publish(timestamp)
		w.accepts()
		w.Expires[timestamp] = start.Add(21 * day)
		w.Publish(targets, snapshot, timestamp)
		w.Now = start.Add(18 * day)
		w.accepts()
		w.trusts("root 1, snapshot 2, targets 2, timestamp 3")
	}},
	{"beyond::expires at the very second", func(w *world) {
		// section 5: the expiration must be higher than the time at which the update started
		w.Expires[timestamp] = w.Now.Add(time.Hour)
		w.Publish(timestamp)
		w.Now = w.Now.Add(time.Hour)
		w.refuses()
		w.Now = w.Now.Add(-time.Second)
		w.accepts()
	}},
}
