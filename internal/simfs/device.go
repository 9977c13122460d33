// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenDevice opens an existing block device, or regular file in its place, for
// reading and writing. It never creates one; the path may be a link, as those
// in /dev/disk/by-partlabel are. On Linux a block device is opened
// exclusively: [ErrBusy] if it is mounted or open so elsewhere. The size is
// read once, here.
func OpenDevice(path string) (Device, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	flag := os.O_RDWR
	switch mode := fi.Mode(); {
	case mode.IsRegular():
	case mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
		flag |= openExclusive
	default:
		err := fmt.Errorf("want a block device or a regular file, found %v: %w", mode, fs.ErrInvalid)
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f, err := os.OpenFile(path, flag|openNonblock, 0)
	if err != nil {
		return nil, busy(err)
	}
	d, err := newOSDevice(f, fi)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// newOSDevice checks that f is what was looked at before it was opened.
func newOSDevice(f *os.File, before fs.FileInfo) (*osDevice, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(fi, before) {
		return nil, &fs.PathError{Op: "open", Path: f.Name(), Err: fmt.Errorf("exchanged while opening: %w", fs.ErrInvalid)}
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return &osDevice{f, size}, nil
}

type osDevice struct {
	file *os.File
	size int64
}

func (d *osDevice) ReadAt(p []byte, off int64) (int, error) {
	if left := max(d.size-off, 0); off >= 0 && int64(len(p)) > left {
		n, err := d.file.ReadAt(p[:left], off)
		if err == nil {
			err = io.EOF
		}
		return n, err
	}
	return d.file.ReadAt(p, off)
}

func (d *osDevice) WriteAt(p []byte, off int64) (int, error) {
	if err := checkBounds(d.file.Name(), len(p), off, d.size); err != nil {
		return 0, err
	}
	return d.file.WriteAt(p, off)
}

func (d *osDevice) Size() (int64, error) { return d.size, nil }
func (d *osDevice) Sync() error          { return d.file.Sync() }
func (d *osDevice) Close() error         { return d.file.Close() }

func checkBounds(name string, n int, off, size int64) error {
	if off >= 0 && off <= size && int64(n) <= size-off {
		return nil
	}
	err := fmt.Errorf("%d bytes at %d of %d: %w", n, off, size, ErrBounds)
	return &fs.PathError{Op: "write", Path: name, Err: err}
}
