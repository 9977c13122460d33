// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"io"
	"io/fs"
)

// FS is the file storage that everything persistent is written through. Names
// are slash-separated and relative to one root directory, as [fs.ValidPath]
// has them; another name is refused with [fs.ErrInvalid]. Nothing is durable
// before the Sync or SyncDir that covers it has returned nil.
//
// An implementation is safe for concurrent use and reports errors as
// *[fs.PathError], so that [fs.ErrNotExist], [fs.ErrExist] and the errno of a
// full or failing medium are found with errors.Is.
type FS interface {
	// OpenFile opens a regular file. Flag is os.O_RDONLY or os.O_RDWR, with
	// os.O_CREATE, os.O_EXCL and os.O_TRUNC as in [os.OpenFile]; a new file has
	// the mode of its [Dir]. A symbolic link, directory, FIFO or device is refused with
	// [fs.ErrInvalid] and never followed, opened or waited for.
	OpenFile(name string, flag int) (File, error)

	// Mkdir creates one directory and returns nil if it exists already.
	Mkdir(name string) error

	// Rename gives the file oldname the name newname, replacing what was there.
	// It is atomic towards readers; the package comment says what a power cut
	// makes of it.
	Rename(oldname, newname string) error

	// Remove deletes a file or an empty directory.
	Remove(name string) error

	// ReadDir returns the sorted names in a directory; "." is the root.
	ReadDir(name string) ([]string, error)

	// SyncDir makes the entries of a directory durable: the names in it and
	// which file each stands for, not the data of those files.
	SyncDir(name string) error

	// Lock creates the file if it is absent and takes an exclusive lock on it
	// without waiting: [ErrBusy] if anybody, this process included, holds it.
	// Close releases it, and so does the death of the process. The file stays.
	Lock(name string) (io.Closer, error)
}

// File is an open regular file. WriteAt beyond the end extends it. After Sync
// has failed once nothing written through this file can be trusted to be on
// the medium, whatever a second Sync says: write a new file instead.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// Device is a block device, or a file of fixed size in its place. A write that
// would reach beyond its end is refused as a whole with [ErrBounds]. Every
// [File] is a Device too, one that grows.
type Device interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Sync() error
}

var (
	// ErrBusy means that somebody else holds the lock or the device.
	ErrBusy = errors.New("busy")

	// ErrBounds means that a write would reach outside the device. Nothing was
	// written.
	ErrBounds = errors.New("outside the device")
)

func checkName(op, name string) error {
	if fs.ValidPath(name) {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
}
