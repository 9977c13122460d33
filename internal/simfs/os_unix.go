// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package simfs

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// A FIFO opened by mistake must not block before it can be refused.
const openNonblock = syscall.O_NONBLOCK

func syncDir(d *os.File) error { return d.Sync() }

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	return err
}

func busy(err error) error {
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return err
}
