// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package simfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// A FIFO without a writer would block an open for ever.
func TestPTH_04_SpecialFiles(t *testing.T) {
	d, path := openDir(t)
	if err := syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600); err != nil {
		t.Skipf("needs a file system with FIFOs; set TMPDIR to a folder on one: %v", err)
	}
	for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE} {
		if _, err := d.OpenFile("fifo", flag); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("flag %x: %v", flag, err)
		}
	}
	for _, path := range []string{filepath.Join(path, "fifo"), "/dev/null"} {
		if _, err := simfs.OpenDevice(path); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s as a device: %v", path, err)
		}
	}
}
