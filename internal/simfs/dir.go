// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Dir is an [FS] over a directory of the operating system. It holds the
// directory itself, not its path, and reaches nothing outside it ([os.Root]).
type Dir struct {
	root *os.Root
	file fs.FileMode // of what is made in it
	dir  fs.FileMode
}

// OpenDir opens an existing directory. What is made in it belongs to its owner
// alone: modes 0600 and 0700.
func OpenDir(path string) (*Dir, error) { return openDir(path, 0o600, 0o700) }

// OpenPublicDir opens an existing directory whose content is for everybody, as
// the files of a web server are: modes 0644 and 0755.
func OpenPublicDir(path string) (*Dir, error) { return openDir(path, 0o644, 0o755) }

func openDir(path string, file, dir fs.FileMode) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the directory has to be made first", err)
	}
	if err != nil {
		return nil, err
	}
	return &Dir{root, file, dir}, nil
}

// Close releases the directory. Files opened from it stay open.
func (d *Dir) Close() error { return d.root.Close() }

// OpenFile implements [FS].
func (d *Dir) OpenFile(name string, flag int) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	// A file that is replaced while it is opened is opened again.
	for range maxReplaced {
		f, err := d.openFile(name, flag)
		if !errors.Is(err, errReplaced) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: errReplaced}
}

const maxReplaced = 1000

var errReplaced = errors.New("replaced while it was opened")

func (d *Dir) openFile(name string, flag int) (File, error) {
	// The first look keeps a link from being followed and a FIFO from being
	// opened. The second, below, tells whether the name was exchanged between.
	switch fi, err := d.root.Lstat(name); {
	case err == nil && !fi.Mode().IsRegular():
		return nil, notRegular(name, fi)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	f, err := d.root.OpenFile(name, flag&^os.O_TRUNC|openNonblock, d.file)
	if err != nil {
		return nil, err
	}
	if err := d.sameRegular(name, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if flag&os.O_TRUNC != 0 {
		if err := f.Truncate(0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return osFile{f}, nil
}

func (d *Dir) sameRegular(name string, f *os.File) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if !opened.Mode().IsRegular() {
		return notRegular(name, opened)
	}
	named, err := d.root.Lstat(name)
	if err != nil {
		return err
	}
	if !named.Mode().IsRegular() {
		return notRegular(name, named)
	}
	if !os.SameFile(opened, named) {
		return errReplaced
	}
	return nil
}

func notRegular(name string, fi fs.FileInfo) error {
	err := fmt.Errorf("want a regular file, found %v: %w", fi.Mode(), fs.ErrInvalid)
	return &fs.PathError{Op: "open", Path: name, Err: err}
}

// Mkdir implements [FS]. The new directory has mode 0700.
func (d *Dir) Mkdir(name string) error {
	if err := checkName("mkdir", name); err != nil {
		return err
	}
	if name == "." {
		return nil
	}
	err := d.root.Mkdir(name, d.dir)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if fi, lerr := d.root.Lstat(name); lerr != nil || !fi.IsDir() {
		return err
	}
	return nil
}

// Rename implements [FS].
func (d *Dir) Rename(oldname, newname string) error {
	if err := errors.Join(checkName("rename", oldname), checkName("rename", newname)); err != nil {
		return err
	}
	return d.root.Rename(oldname, newname)
}

// Remove implements [FS].
func (d *Dir) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	return d.root.Remove(name)
}

// ReadDir implements [FS].
func (d *Dir) ReadDir(name string) (names []string, err error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	names, err = f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// SyncDir implements [FS]. Where the operating system has no such operation
// (Windows) it does nothing: the file system's own journal orders the entries.
func (d *Dir) SyncDir(name string) (err error) {
	if err := checkName("sync", name); err != nil {
		return err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return &fs.PathError{Op: "sync", Path: name, Err: fmt.Errorf("not a directory: %w", fs.ErrInvalid)}
	}
	return syncDir(f)
}

// Lock implements [FS].
func (d *Dir) Lock(name string) (io.Closer, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	file := f.(osFile).File
	if err := lockFile(file); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: name, Err: err}, file.Close())
	}
	return file, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}
