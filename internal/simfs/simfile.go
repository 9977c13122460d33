// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// maxSimFile bounds a simulated file; a write beyond it is EFBIG.
const maxSimFile = 1 << 31

// simHandle is an open file or device.
type simHandle struct {
	sim    *Sim
	ino    inode
	name   string
	write  bool
	fat    bool
	closed bool
}

type (
	simFile   struct{ simHandle }
	simDevice struct{ simHandle }
)

// do runs f locked on the content, if the handle is good.
func (h *simHandle) do(verb string, f func(c *content) error) error {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	c, ok := h.sim.live.files[h.ino]
	err := fs.ErrClosed
	switch {
	case h.sim.gone != nil:
		err = h.sim.gone
	case h.closed:
	case !ok:
		err = fs.ErrNotExist
	default:
		err = f(c)
	}
	if err == nil || err == io.EOF {
		return err
	}
	return &fs.PathError{Op: verb, Path: h.name, Err: err}
}

func (h *simHandle) ReadAt(b []byte, off int64) (n int, err error) {
	err = h.do("read", func(c *content) error {
		if off < 0 {
			return fs.ErrInvalid
		}
		if err := h.sim.begin(onRead); err != nil {
			return err
		}
		n = c.read(b, off)
		h.sim.observe(h.name, c, off, n)
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// observe adds what was read to the hash: whole pages by their own hash.
func (s *Sim) observe(name string, c *content, off int64, n int) {
	hashString(s.observed, name)
	var pos [16]byte
	binary.BigEndian.PutUint64(pos[:], uint64(off))
	binary.BigEndian.PutUint64(pos[8:], uint64(n))
	s.observed.Write(pos[:])
	for end := off + int64(n); off < end; {
		i, in := int(off/pageSize), off%pageSize
		to := min(end-off+in, pageSize)
		switch p := c.page(i); {
		case p == nil && to-in == pageSize:
			s.observed.Write(zeroPage[:])
		case p == nil:
			s.observed.Write(make([]byte, to-in))
		case to-in == pageSize:
			s.observed.Write(p.digest()[:])
		default:
			s.observed.Write(p.data[in:to])
		}
		off += to - in
	}
}

func (h *simHandle) Size() (size int64, err error) {
	err = h.do("stat", func(c *content) error {
		size = c.size
		hashString(h.sim.observed, fmt.Sprintf("%s has %d", h.name, size))
		return nil
	})
	return size, err
}

func (h *simHandle) writeAt(kind Kind, b []byte, off int64) (n int, err error) {
	err = h.do("write", func(c *content) error {
		switch {
		case !h.write:
			return fs.ErrPermission
		case off < 0:
			return fs.ErrInvalid
		case kind == DeviceWrite:
			if err := checkBounds(h.name, len(b), off, c.size); err != nil {
				return err
			}
		case off > maxSimFile-int64(len(b)):
			return syscall.EFBIG
		}
		o := &op{kind: kind, name: h.name, ino: h.ino, off: off, data: slices.Clone(b), size: c.size, fat: h.fat, stale: h.sim.freed}
		if err := h.sim.record(o); err != nil {
			n = h.sim.partial(o, err)
			return err
		}
		n = len(b)
		return nil
	})
	return n, err
}

// partial lets the first half of a write through that met a full medium.
func (s *Sim) partial(o *op, err error) int {
	if !errors.Is(err, syscall.ENOSPC) || len(o.data) < 2 {
		return 0
	}
	half := *o
	half.data = o.data[:len(o.data)/2]
	half.failed = err
	s.log[len(s.log)-1] = &half
	half.apply(s.live, fate{how: done})
	return len(half.data)
}

func (h *simHandle) sync(kind Kind) error {
	return h.do("sync", func(*content) error {
		return h.sim.record(&op{kind: kind, name: h.name, ino: h.ino})
	})
}

func (h *simHandle) Close() error {
	h.sim.mu.Lock()
	defer h.sim.mu.Unlock()
	if h.closed {
		return &fs.PathError{Op: "close", Path: h.name, Err: fs.ErrClosed}
	}
	h.closed = true
	return nil
}

func (f *simFile) WriteAt(b []byte, off int64) (int, error) { return f.writeAt(Write, b, off) }
func (f *simFile) Sync() error                              { return f.sync(Sync) }

func (f *simFile) Truncate(size int64) error {
	return f.do("truncate", func(*content) error {
		switch {
		case !f.write:
			return fs.ErrPermission
		case size < 0 || size > maxSimFile:
			return fs.ErrInvalid
		}
		return f.sim.record(&op{kind: Truncate, name: f.name, ino: f.ino, size: size, fat: f.fat})
	})
}

func (d *simDevice) WriteAt(b []byte, off int64) (int, error) { return d.writeAt(DeviceWrite, b, off) }
func (d *simDevice) Sync() error                              { return d.sync(DeviceSync) }

// onFAT reports whether a file with a valid name lies on a FAT partition.
func (s *Sim) onFAT(name string) bool {
	return slices.ContainsFunc(s.opt.FAT, func(dir string) bool {
		return dir == "." || strings.HasPrefix(name, dir+"/")
	})
}
