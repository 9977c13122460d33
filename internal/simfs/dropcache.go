// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

// A CacheDropper is a [Device] that can make the next reads come from the
// medium instead of from the operating system's cache. After a Sync that failed, the cache
// shows what was written although the medium does not have it; and a read-back
// that is to prove anything must not be answered by the cache. Written data that
// was not synced stays. [OpenDevice] returns one on Linux; the simulated
// device is one.
type CacheDropper interface {
	DropCache() error
}

// DropCache makes the device show what the medium has, and what is still to be
// written to it.
func (d *simDevice) DropCache() error {
	return d.do("drop cache", func(*content) error {
		s := d.sim
		m := s.base.clone()
		for _, o := range s.log {
			m.step(o)
		}
		medium := m.durable.clone()
		for _, p := range m.pending {
			p.apply(medium, fate{how: done})
		}
		s.live.files[d.ino] = medium.files[d.ino]
		return nil
	})
}
