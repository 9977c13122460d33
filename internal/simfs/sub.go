// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"fmt"
	"io"
	"path"
)

// Sub returns the part of fsys below the directory dir, which it makes if it does
// not exist. Whether dir itself survives a power cut is up to the caller, who syncs its
// parent.
func Sub(fsys FS, dir string) (FS, error) {
	if err := fsys.Mkdir(dir); err != nil {
		return nil, fmt.Errorf("sub %s: %w", dir, err)
	}
	return sub{fsys, dir}, nil
}

type sub struct {
	fsys FS
	dir  string
}

func (s sub) OpenFile(name string, flag int) (File, error) {
	return s.fsys.OpenFile(path.Join(s.dir, name), flag)
}

func (s sub) Rename(oldname, newname string) error {
	return s.fsys.Rename(path.Join(s.dir, oldname), path.Join(s.dir, newname))
}

func (s sub) Mkdir(name string) error               { return s.fsys.Mkdir(path.Join(s.dir, name)) }
func (s sub) Remove(name string) error              { return s.fsys.Remove(path.Join(s.dir, name)) }
func (s sub) ReadDir(name string) ([]string, error) { return s.fsys.ReadDir(path.Join(s.dir, name)) }
func (s sub) SyncDir(name string) error             { return s.fsys.SyncDir(path.Join(s.dir, name)) }
func (s sub) Lock(name string) (io.Closer, error)   { return s.fsys.Lock(path.Join(s.dir, name)) }
