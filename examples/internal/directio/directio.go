// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package directio writes a download to a file past the page cache, where the system can: nobody is going to read it soon, a
// sync then has little left to do, and the memory stays with whoever needs it.
package directio

import (
	"errors"
	"os"
	"unsafe"
)

// align is what memory, offset and length of a direct write must be multiples of. All disks in use are content with it.
const align = 4096

// ErrLocked says that another process has locked the file.
var ErrLocked = errors.New("directio: file is locked")

// A File is an *os.File whose large aligned writes go to the disk directly. What is written either way, Sync makes durable.
type File struct {
	*os.File
	direct *os.File // nil: everything goes the usual way
}

// New returns f with direct writes, if its file system knows them.
func New(f *os.File) *File { return &File{File: f, direct: openDirect(f.Name())} }

// Direct reports whether writes may go to the disk directly. Some file systems refuse only the first one.
func (f *File) Direct() bool { return f.direct != nil }

// WriteAt implements io.WriterAt.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if f.direct != nil && len(p) > 0 && (int64(uintptr(unsafe.Pointer(&p[0])))|int64(len(p))|off)%align == 0 {
		if n, err := f.direct.WriteAt(p, off); err == nil {
			return n, nil
		}
		f.direct.Close()
		f.direct = nil // some file systems say so only now
	}
	return f.File.WriteAt(p, off)
}

// Close closes both.
func (f *File) Close() error {
	if f.direct != nil {
		f.direct.Close() // its writes have returned; what counts is that Sync was called
	}
	return f.File.Close()
}
