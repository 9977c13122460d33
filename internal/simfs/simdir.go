// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"syscall"
)

// simFS is the file system of a Sim.
type simFS struct{ s *Sim }

// do runs f locked, on a machine that has power.
func (v simFS) do(verb, name string, f func() error) error {
	if err := checkName(verb, name); err != nil {
		return err
	}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	err := v.s.gone
	if err == nil {
		err = f()
	}
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: verb, Path: name, Err: err}
}

// see is a lookup that the caller learns from.
func (s *Sim) see(name string) (inode, bool) {
	ino, ok := s.live.lookup(name)
	hashString(s.observed, fmt.Sprintf("%s there %t", name, ok))
	return ino, ok
}

// parent returns the directory that holds name.
func (s *Sim) parent(name string) (inode, error) {
	dir, ok := s.live.lookup(path.Dir(name))
	if !ok {
		return 0, fs.ErrNotExist
	}
	if _, ok := s.live.dirs[dir]; !ok {
		return 0, syscall.ENOTDIR
	}
	return dir, nil
}

func (v simFS) OpenFile(name string, flag int) (File, error) {
	h := simHandle{sim: v.s, name: name, write: flag&os.O_RDWR != 0, fat: v.s.onFAT(name)}
	err := v.do("open", name, func() (err error) {
		h.ino, err = v.open(name, flag)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &simFile{h}, nil
}

func (v simFS) open(name string, flag int) (inode, error) {
	s := v.s
	ino, ok := s.see(name)
	c := s.live.files[ino]
	switch {
	case ok && c == nil:
		return 0, fmt.Errorf("want a regular file, found a directory: %w", fs.ErrInvalid)
	case ok && flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		return 0, fs.ErrExist
	case !ok && flag&os.O_CREATE == 0:
		return 0, fs.ErrNotExist
	case !ok:
		return v.create(Create, name)
	}
	if flag&os.O_TRUNC != 0 && c.size > 0 {
		return ino, s.record(&op{kind: Truncate, name: name, ino: ino, fat: s.onFAT(name)})
	}
	return ino, nil
}

func (v simFS) create(kind Kind, name string) (inode, error) {
	dir, err := v.s.parent(name)
	if err != nil {
		return 0, err
	}
	ino := v.s.newInode()
	o := &op{kind: kind, name: name, ino: ino, edits: []edit{{dir, path.Base(name), ino}}, fat: v.s.onFAT(name)}
	return ino, v.s.record(o)
}

func (v simFS) Mkdir(name string) error {
	return v.do("mkdir", name, func() error {
		ino, ok := v.s.see(name)
		if _, isDir := v.s.live.dirs[ino]; ok && isDir {
			return nil
		}
		if ok {
			return fs.ErrExist
		}
		_, err := v.create(Mkdir, name)
		return err
	})
}

func (v simFS) Rename(oldname, newname string) error {
	if err := checkName("rename", newname); err != nil {
		return err
	}
	return v.do("rename", oldname, func() error { return v.rename(oldname, newname) })
}

func (v simFS) rename(oldname, newname string) error {
	s := v.s
	ino, ok := s.see(oldname)
	if !ok {
		return fs.ErrNotExist
	}
	from, err := s.parent(oldname)
	if err != nil {
		return err
	}
	to, err := s.parent(newname)
	if err != nil {
		return err
	}
	target, replaces := s.live.lookup(newname)
	_, isDir := s.live.dirs[ino]
	_, targetIsDir := s.live.dirs[target]
	switch {
	case replaces && target == ino:
		return nil
	case replaces && (isDir || targetIsDir):
		return fs.ErrExist
	}
	err = s.record(&op{
		kind: Rename, name: oldname, to: newname, fat: s.onFAT(oldname) || s.onFAT(newname),
		edits: []edit{{to, path.Base(newname), ino}, {from, path.Base(oldname), 0}},
	})
	if err == nil && replaces {
		s.free(target)
	}
	return err
}

func (v simFS) Remove(name string) error {
	return v.do("remove", name, func() error {
		s := v.s
		ino, ok := s.see(name)
		if !ok {
			return fs.ErrNotExist
		}
		if name == "." || len(s.live.dirs[ino]) > 0 {
			return syscall.ENOTEMPTY
		}
		dir, err := s.parent(name)
		if err != nil {
			return err
		}
		err = s.record(&op{kind: Remove, name: name, edits: []edit{{dir, path.Base(name), 0}}, fat: s.onFAT(name)})
		if err == nil {
			s.free(ino)
		}
		return err
	})
}

// free notes whose blocks the next file that grows will get.
func (s *Sim) free(ino inode) {
	if c := s.live.files[ino]; c != nil && c.size > 0 {
		s.live.freeze() // its pages are not changed any more, even if it is still open
		s.freed = c
	}
}

func (v simFS) ReadDir(name string) (names []string, err error) {
	err = v.do("readdir", name, func() error {
		entries, err := v.dir(name)
		if err != nil {
			return err
		}
		if err := v.s.begin(onRead); err != nil {
			return err
		}
		names = slices.Sorted(maps.Keys(entries))
		hashString(v.s.observed, fmt.Sprintf("%s lists %q", name, names))
		return nil
	})
	return names, err
}

func (v simFS) dir(name string) (map[string]inode, error) {
	ino, ok := v.s.see(name)
	if !ok {
		return nil, fs.ErrNotExist
	}
	entries, ok := v.s.live.dirs[ino]
	if !ok {
		return nil, syscall.ENOTDIR
	}
	return entries, nil
}

func (v simFS) SyncDir(name string) error {
	return v.do("sync", name, func() error {
		if _, err := v.dir(name); err != nil {
			return err
		}
		ino, _ := v.s.live.lookup(name)
		return v.s.record(&op{kind: SyncDir, name: name, ino: ino})
	})
}

func (v simFS) Lock(name string) (io.Closer, error) {
	var lock *simLock
	err := v.do("lock", name, func() error {
		ino, err := v.open(name, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		if v.s.locks[ino] {
			return ErrBusy
		}
		v.s.locks[ino] = true
		lock = &simLock{s: v.s, ino: ino}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return lock, nil
}

type simLock struct {
	s      *Sim
	ino    inode
	closed bool
}

func (l *simLock) Close() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed || !l.s.locks[l.ino] {
		return fs.ErrClosed
	}
	l.closed = true
	delete(l.s.locks, l.ino)
	return nil
}
