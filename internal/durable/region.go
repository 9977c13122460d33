// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// region is where one copy of a Record lies.
type region interface {
	// read returns the bytes at the start of the region: a frame, or whatever is
	// there instead.
	read() ([]byte, error)
	// write puts b at the start of the region and makes it durable. errSync is
	// found in the error if it was the sync that failed.
	write(b []byte) error
	// sync makes durable what others may have written.
	sync() error
	// max is the size of the largest frame.
	max() int64
}

var errSync = errors.New("sync")

// fileRegion is a file; it is opened for each operation.
type fileRegion struct {
	fsys simfs.FS
	name string
}

func (r *fileRegion) max() int64 { return headerSize + MaxRecord }

func (r *fileRegion) read() (b []byte, err error) {
	f, err := r.fsys.OpenFile(r.name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readFrame(f, 0, r.max())
}

func (r *fileRegion) write(b []byte) error {
	return r.with(func(f simfs.Device) error { return writeSync(f, b, 0) })
}

// sync has nothing to do for a missing copy; load calls that one corrupt.
func (r *fileRegion) sync() error {
	err := r.with(simfs.Device.Sync)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (r *fileRegion) with(do func(simfs.Device) error) (err error) {
	f, err := r.fsys.OpenFile(r.name, os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return do(f)
}

// deviceRegion is a part of a device.
type deviceRegion struct {
	device    simfs.Device
	off, size int64
}

func (r *deviceRegion) max() int64            { return r.size }
func (r *deviceRegion) read() ([]byte, error) { return readFrame(r.device, r.off, r.size) }
func (r *deviceRegion) write(b []byte) error  { return writeSync(r.device, b, r.off) }
func (r *deviceRegion) sync() error           { return r.device.Sync() }

func writeSync(d simfs.Device, b []byte, off int64) error {
	if _, err := d.WriteAt(b, off); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errSync, err)
	}
	return nil
}

// readFrame reads a header and as much data as it claims, at most max bytes in
// all; less if the medium ends before.
func readFrame(r io.ReaderAt, off, max int64) ([]byte, error) {
	head, err := readUpTo(r, off, headerSize)
	if err != nil || len(head) < headerSize {
		return head, err
	}
	n := int64(binary.BigEndian.Uint32(head[4:]))
	if n == 0 || n > max-headerSize {
		return head, nil
	}
	data, err := readUpTo(r, off+headerSize, n)
	return append(head, data...), err
}

func readUpTo(r io.ReaderAt, off, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:got], err
}
