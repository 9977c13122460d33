// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"maps"
	"path"
	"slices"
	"strings"
)

type inode uint64

const rootDir inode = 1

// tree is the state of a whole machine's storage: what a process sees, or what
// is on the medium. A tree that was cloned is not changed any more by writes to
// the clone, nor the clone by writes to it.
type tree struct {
	owner *owner // nil: everything is shared
	mine  map[inode]bool
	files map[inode]*content
	dirs  map[inode]map[string]inode
	devs  map[string]inode
}

func newTree() *tree {
	return &tree{
		files: map[inode]*content{},
		dirs:  map[inode]map[string]inode{rootDir: {}},
		devs:  map[string]inode{},
	}
}

// clone may run concurrently with others on a tree that was cloned before and
// not changed since.
func (t *tree) clone() *tree {
	t.freeze()
	return &tree{files: maps.Clone(t.files), dirs: maps.Clone(t.dirs), devs: maps.Clone(t.devs)}
}

func (t *tree) freeze() {
	if t.owner != nil {
		t.owner, t.mine = nil, nil
	}
}

func (t *tree) own() *owner {
	if t.owner == nil {
		t.owner, t.mine = new(owner), map[inode]bool{}
	}
	return t.owner
}

// file returns a content for writing.
func (t *tree) file(ino inode) *content {
	c := t.files[ino].by(t.own())
	t.files[ino] = c
	return c
}

func (t *tree) addFile(ino inode, size int64) {
	t.files[ino] = &content{owner: t.own(), size: size}
}

// set makes an entry stand for ino, or for nothing if ino is 0.
func (t *tree) set(dir inode, name string, ino inode) {
	t.own()
	if !t.mine[dir] {
		t.dirs[dir] = maps.Clone(t.dirs[dir])
		t.mine[dir] = true
	}
	if ino == 0 {
		delete(t.dirs[dir], name)
	} else {
		t.dirs[dir][name] = ino
	}
}

func (t *tree) lookup(name string) (inode, bool) {
	at := rootDir
	if name == "." {
		return at, true
	}
	for part := range strings.SplitSeq(name, "/") {
		next, ok := t.dirs[at][part]
		if !ok {
			return 0, false
		}
		at = next
	}
	return at, true
}

// prune forgets files that nothing refers to.
func (t *tree) prune() {
	files, dirs := map[inode]*content{}, map[inode]map[string]inode{}
	for _, ino := range t.devs {
		files[ino] = t.files[ino]
	}
	var walk func(inode)
	walk = func(ino inode) {
		if c, ok := t.files[ino]; ok {
			files[ino] = c
			return
		}
		if _, seen := dirs[ino]; seen {
			return
		}
		dirs[ino] = t.dirs[ino]
		for _, child := range t.dirs[ino] {
			walk(child)
		}
	}
	walk(rootDir)
	t.files, t.dirs = files, dirs
}

// digest covers every name and byte that can be reached.
func (t *tree) digest() digest {
	h := sha256.New()
	t.hashDir(h, rootDir, ".")
	for _, name := range slices.Sorted(maps.Keys(t.devs)) {
		hashString(h, "device "+name)
		h.Write(t.files[t.devs[name]].digest()[:])
	}
	return digest(h.Sum(nil))
}

func (t *tree) hashDir(h hash.Hash, dir inode, name string) {
	entries := t.dirs[dir]
	for _, entry := range slices.Sorted(maps.Keys(entries)) {
		full := path.Join(name, entry)
		hashString(h, full)
		if c, ok := t.files[entries[entry]]; ok {
			h.Write(c.digest()[:])
		} else {
			t.hashDir(h, entries[entry], full)
		}
	}
}

func hashString(h hash.Hash, s string) {
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
	h.Write([]byte(s))
}
