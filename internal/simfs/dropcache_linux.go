// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// DropCache implements [CacheDropper]: posix_fadvise(2), POSIX_FADV_DONTNEED.
func (d *osDevice) DropCache() error {
	if err := unix.Fadvise(int(d.file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return os.NewSyscallError("fadvise", err)
	}
	return nil
}
