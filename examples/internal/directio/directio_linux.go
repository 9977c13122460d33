// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package directio

import (
	"os"
	"syscall"
)

func openDirect(name string) *os.File {
	f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0)
	if err != nil {
		return nil
	}
	return f
}

// Reserve makes sure that size bytes will fit, and leaves the file's length alone. A file system that cannot reserve is no error.
func (f *File) Reserve(size int64) error {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE, fallocate(2)
	err := syscall.Fallocate(int(f.Fd()), keepSize, 0, size)
	if err == syscall.EOPNOTSUPP || err == syscall.ENOSYS {
		return nil
	}
	return err
}
