// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import "slices"

// machine is what a power cut works on: what is on the medium for certain, and
// the operations that may or may not be.
type machine struct {
	durable *tree
	pending []*op
}

func (m *machine) clone() *machine {
	return &machine{m.durable.clone(), slices.Clone(m.pending)}
}

// step takes the next operation of the log.
func (m *machine) step(o *op) {
	if o.failed != nil && !o.isSync() && len(o.data) == 0 {
		return
	}
	switch o.kind {
	case Sync, DeviceSync:
		// A failed sync drops what it should have written: the cache calls it
		// clean from now on, the medium never gets it.
		m.settle(o.failed == nil, func(p *op) bool { return p.ino == o.ino && !p.isNames() })
		return
	case SyncDir:
		// After a failed one the entries stay pending: a journal that cannot be
		// written stops the file system, it does not forget single entries.
		if o.failed == nil {
			m.settle(true, func(p *op) bool {
				return slices.ContainsFunc(p.edits, func(e edit) bool { return e.dir == o.ino })
			})
		}
		return
	case Create:
		m.durable.addFile(o.ino, 0)
	case Mkdir:
		m.durable.dirs[o.ino] = map[string]inode{}
	}
	m.pending = append(m.pending, o)
}

// settle removes operations from the pending ones, in order, and commits them
// or not.
func (m *machine) settle(commit bool, covered func(*op) bool) {
	var left []*op
	for _, p := range m.pending {
		if !covered(p) {
			left = append(left, p)
			continue
		}
		if commit {
			p.apply(m.durable, fate{how: done})
			left = supersede(left, p)
		}
	}
	m.pending = left
}

// supersede takes out of older pending operations the entries that a committed
// one has decided: what an entry was before cannot come back.
func supersede(older []*op, by *op) []*op {
	if !by.isNames() {
		return older
	}
	decided := func(e edit) bool {
		return slices.ContainsFunc(by.edits, func(b edit) bool { return b.dir == e.dir && b.name == e.name })
	}
	var left []*op
	for _, o := range older {
		if slices.ContainsFunc(o.edits, decided) {
			rest := *o
			rest.edits = slices.DeleteFunc(slices.Clone(o.edits), decided)
			if len(rest.edits) == 0 {
				continue
			}
			o = &rest
		}
		left = append(left, o)
	}
	return left
}

// cut returns the medium after a power cut in which the pending operations had
// the given fates.
func (m *machine) cut(fates []fate) *tree {
	t := m.durable.clone()
	for i, o := range m.pending {
		o.apply(t, fates[i])
	}
	t.freeze()
	return t
}
