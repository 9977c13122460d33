// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/internal/simfs"
)

const (
	tempSuffix = ".tmp"
	maxTemps   = 4096
)

// WriteFile makes data the content of the file called name, or leaves it as it
// was. The directory must exist and be durable ([MkdirAll]). Names that end as
// temporary files do (".0.tmp", any number) are refused with [fs.ErrInvalid].
//
// Power may fail between any two steps: before the rename is on the medium the
// file is the old one, after it the new one, and a temporary file may be left
// for [RemoveTemps]. Concurrent writers of one file do not mix; one of them
// wins.
func WriteFile(fsys simfs.FS, name string, data []byte) error {
	if IsTemp(name) {
		return &fs.PathError{Op: "write", Path: name, Err: fmt.Errorf("named like a temporary file: %w", fs.ErrInvalid)}
	}
	f, temp, err := createTemp(fsys, name)
	if err != nil {
		return err
	}
	if err := fill(f, data); err != nil {
		return discard(fsys, temp, err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		return discard(fsys, temp, err)
	}
	return fsys.SyncDir(path.Dir(name))
}

// createTemp makes a file that nobody else has. A stale one from before a power
// cut is left alone, so its name is taken and the next number is tried.
func createTemp(fsys simfs.FS, name string) (f simfs.File, temp string, err error) {
	for i := range maxTemps {
		temp = name + "." + strconv.Itoa(i) + tempSuffix
		f, err = fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, temp, err
}

// fill writes data to f and closes it; the data is on the medium when it
// returns nil.
func fill(f simfs.File, data []byte) (err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Sync()
}

func discard(fsys simfs.FS, temp string, err error) error {
	if rerr := fsys.Remove(temp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		return errors.Join(err, rerr)
	}
	return err
}

// ReadFile reads a whole file of at most max bytes: [ErrTooLarge] beyond that,
// [fs.ErrNotExist] if there is none.
func ReadFile(fsys simfs.FS, name string, max int64) (data []byte, err error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readAll(f, name, max)
}

func readAll(f simfs.File, name string, max int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > max {
		err := fmt.Errorf("%d bytes, at most %d: %w", size, max, ErrTooLarge)
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) {
		err = nil // it shrank meanwhile, or it was empty
	}
	return data[:n], err
}

// RemoveTemps deletes the temporary files that power cuts left in a directory.
// Call it when nobody writes there, at start: it cannot tell a stale file from
// one that is being written.
func RemoveTemps(fsys simfs.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	removed := false
	for _, name := range names {
		if !IsTemp(name) {
			continue
		}
		if err := fsys.Remove(path.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = true
	}
	if !removed {
		return nil
	}
	return fsys.SyncDir(dir)
}

// IsTemp reports whether a name is that of a temporary file.
func IsTemp(name string) bool {
	rest, ok := strings.CutSuffix(name, tempSuffix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 || dot == len(rest)-1 {
		return false
	}
	return strings.Trim(rest[dot+1:], "0123456789") == ""
}

// MkdirAll makes a directory and its parents, durably; those that exist are
// left alone, but their entries are made durable too.
func MkdirAll(fsys simfs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	parent := path.Dir(dir)
	if err := MkdirAll(fsys, parent); err != nil {
		return err
	}
	if err := fsys.Mkdir(dir); err != nil {
		return err
	}
	return fsys.SyncDir(parent)
}
