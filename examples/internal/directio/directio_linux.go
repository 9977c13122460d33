// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package directio

import (
	"os"
	"syscall"
)

// NoFollow is the flag that keeps os.OpenFile from following a symbolic link; 0 where there is none.
const NoFollow = syscall.O_NOFOLLOW

// Names returns how many names a file has; 1 where that cannot be told.
func Names(st os.FileInfo) uint64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return uint64(sys.Nlink)
	}
	return 1
}

func openDirect(name string) *os.File {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT|NoFollow, 0)
	if err != nil {
		return nil
	}
	return f
}

// Lock keeps f for this process until it is closed, by flock(2). Not locked: the file system cannot.
func Lock(f *os.File) (locked bool, err error) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
	case nil:
		return true, nil
	case syscall.EWOULDBLOCK:
		return false, ErrLocked
	default:
		return false, nil
	}
}

// Reserve makes sure that size bytes will fit, and leaves the file's length alone. A file system that cannot reserve is no error.
func (f *File) Reserve(size int64) error {
	return f.allocate("reserve", keepSize, 0, size)
}

// Hole gives up what was reserved for n bytes at off, and what they held: they are zeros now. A file system that has no holes is no error, and nothing changes.
func (f *File) Hole(off, n int64) error {
	return f.allocate("make a hole in", keepSize|punchHole, off, n)
}

// Modes of fallocate(2).
const (
	keepSize  = 1 // FALLOC_FL_KEEP_SIZE
	punchHole = 2 // FALLOC_FL_PUNCH_HOLE
)

func (f *File) allocate(op string, mode uint32, off, n int64) error {
	err := syscall.Fallocate(int(f.Fd()), mode, off, n)
	if err == nil || err == syscall.EOPNOTSUPP || err == syscall.ENOSYS {
		return nil
	}
	return &os.PathError{Op: op, Path: f.Name(), Err: err}
}
