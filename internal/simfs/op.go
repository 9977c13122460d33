// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"fmt"
	"slices"
)

// Kind is the kind of a storage operation, a row of the [Table].
type Kind string

const (
	Create      Kind = "create" // also by OpenFile and Lock
	Mkdir       Kind = "mkdir"
	Write       Kind = "write"
	Truncate    Kind = "truncate"
	Sync        Kind = "sync"
	Rename      Kind = "rename"
	Remove      Kind = "remove"
	SyncDir     Kind = "sync-dir"
	DeviceWrite Kind = "device-write"
	DeviceSync  Kind = "device-sync"
	Read        Kind = "read" // of files, directories and devices; never a cut
)

var kinds = []Kind{Create, Mkdir, Write, Truncate, Sync, Rename, Remove, SyncDir, DeviceWrite, DeviceSync, Read}

// op is one recorded operation. It is not changed once it is recorded.
type op struct {
	kind Kind
	name string
	to   string // the new name of a rename

	ino   inode    // of the file or device, or the directory of a SyncDir
	off   int64    // of a write
	data  []byte   // of a write
	size  int64    // before a write, after a truncate
	stale *content // what the medium holds where the file grows
	edits []edit
	fat   bool

	failed error // injected; a failed sync has an effect too
}

// edit is one directory entry, ino 0 for none.
type edit struct {
	dir  inode
	name string
	ino  inode
}

func (o *op) isData() bool  { return o.kind == Write || o.kind == DeviceWrite }
func (o *op) isSize() bool  { return o.kind == Truncate }
func (o *op) isNames() bool { return len(o.edits) > 0 }
func (o *op) isSync() bool  { return o.kind == Sync || o.kind == DeviceSync || o.kind == SyncDir }
func (o *op) end() int64    { return o.off + int64(len(o.data)) }
func (o *op) grows() bool   { return o.end() > o.size }

func (o *op) String() string {
	s := fmt.Sprintf("%-12s %s", o.kind, o.name)
	switch {
	case o.isData():
		s += fmt.Sprintf(" [%d,%d)", o.off, o.end())
	case o.isSize():
		s += fmt.Sprintf(" to %d", o.size)
	case o.to != "":
		s += " -> " + o.to
	}
	if o.failed != nil {
		s += fmt.Sprintf(" (failed: %v)", o.failed)
	}
	return s
}

// fate is what became of one pending operation in a power cut.
type fate struct {
	how    outcome
	lo, hi int   // torn: the bytes of the data that arrived
	unit   int64 // scattered: each unit arrived or not, by the seed
	seed   uint64
	grow   growth
	scar   bool // torn: the 4 KiB around the tear are garbage
	half   int  // halved: which half of a rename on FAT
}

type outcome uint8

const (
	lost outcome = iota
	done
	torn
	scattered
	halved
)

// growth is what a file's size says when its data did not arrive.
type growth uint8

const (
	zeros growth = iota // the size is there, the data reads as zero
	stale               // the size is there, the data is an older file's
	short               // the size ends where the data does
)

func (f fate) String() string {
	size := [...]string{"zeros", "stale bytes", "short file"}[f.grow]
	switch f.how {
	case lost:
		return "lost"
	case done:
		return "done"
	case torn:
		if f.scar {
			size += ", 4 KiB scar"
		}
		return fmt.Sprintf("torn: bytes [%d,%d) arrived, else %s", f.lo, f.hi, size)
	case scattered:
		return fmt.Sprintf("scattered: units of %d by seed %x, else %s", f.unit, f.seed, size)
	default:
		return fmt.Sprintf("half %d of a rename", f.half)
	}
}

// apply changes t as o does under fate f.
func (o *op) apply(t *tree, f fate) {
	switch {
	case f.how == lost:
	case o.isData():
		o.applyData(t, f)
	case o.isSize():
		t.file(o.ino).truncate(o.size)
	case f.how == halved:
		for _, e := range o.halves(f.half) {
			t.set(e.dir, e.name, e.ino)
		}
	default:
		for _, e := range o.edits {
			t.set(e.dir, e.name, e.ino)
		}
	}
}

// halves returns the part of a rename that reached a FAT: both names, neither
// the old name nor the new file, or neither the old file nor the new name.
func (o *op) halves(i int) []edit {
	to, from := o.edits[0], o.edits[1]
	return [...][]edit{{to}, {from}, {{to.dir, to.name, 0}}}[i]
}

func (o *op) applyData(t *tree, f fate) {
	c := t.file(o.ino)
	if f.how == done {
		c.write(o.data, o.off)
		return
	}
	if f.grow != short && o.end() > c.size {
		from := c.size
		c.truncate(o.end())
		if f.grow == stale {
			o.fillStale(c, from)
		}
	}
	if f.how == torn {
		c.write(o.data[f.lo:f.hi], o.off+int64(f.lo))
		if f.scar {
			o.applyScar(c, f)
		}
		return
	}
	for i, u := range slices.Collect(units(o, f.unit)) {
		if coin(f.seed, i) {
			c.write(o.data[u.lo:u.hi], o.off+int64(u.lo))
		}
	}
}

func (o *op) fillStale(c *content, from int64) {
	b := make([]byte, o.end()-from)
	garbage(b, from)
	if o.stale != nil {
		o.stale.read(b, from)
	}
	c.write(b, from)
}

// applyScar damages the whole page in which the write was interrupted, with the
// bytes in it that were not being written.
func (o *op) applyScar(c *content, f fate) {
	at := o.off + int64(f.hi)
	if f.hi == len(o.data) {
		at = o.off + int64(f.lo)
	}
	at -= at % pageSize
	b := make([]byte, max(min(pageSize, c.size-at), 0))
	garbage(b, at)
	c.write(b, at)
}

type span struct{ lo, hi int }

// units cuts the data of a write where its offsets are multiples of unit.
func units(o *op, unit int64) func(yield func(span) bool) {
	return func(yield func(span) bool) {
		for lo := 0; lo < len(o.data); {
			hi := min(len(o.data), lo+int(unit-(o.off+int64(lo))%unit))
			if !yield(span{lo, hi}) {
				return
			}
			lo = hi
		}
	}
}

func coin(seed uint64, i int) bool {
	x := (seed + uint64(i)*0x9e3779b97f4a7c15) ^ seed>>29
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x>>63 == 1
}
