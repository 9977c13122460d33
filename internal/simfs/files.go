// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"syscall"
)

// Files is ReadDir with files and directories apart, each sorted. Anything that is neither is among the files.
func Files(fsys FS, dir string) (files, dirs []string, err error) {
	if d, ok := fsys.(*Dir); ok {
		return d.files(dir)
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		switch _, err := fsys.ReadDir(path.Join(dir, name)); {
		case err == nil:
			dirs = append(dirs, name)
		case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.ENOTDIR):
			files = append(files, name)
		case !errors.Is(err, fs.ErrNotExist): // one that was removed meanwhile is in neither
			return nil, nil, err
		}
	}
	return files, dirs, nil
}

// files asks the operating system once, and not once for each name.
func (d *Dir) files(name string) (files, dirs []string, err error) {
	if err := checkName("readdir", name); err != nil {
		return nil, nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	entries, err := f.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, e.Name())
		} else {
			files = append(files, e.Name())
		}
	}
	slices.Sort(files)
	slices.Sort(dirs)
	return files, dirs, err
}
