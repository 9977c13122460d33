// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/directio"
)

// A partFile is a file that is being made beside its final name, which it gets only when it is right. What an
// interrupted run left in it is there for the next one. It is a fetch.Sink, Scatterer, Reserver and Stager.
type partFile struct {
	*directio.File
	name   string // the final one
	fresh  bool   // nothing was in it, and nobody else writes to it: it holds what was written here
	offset int64
	kept   atomic.Int64 // bytes that are there and count: from an earlier run, or written in this one. The file may be longer
	served atomic.Int64 // as many of them are read from here and come back: they need not be written again
}

// openPart opens the part for name.
func openPart(name string) (*partFile, error) {
	if name == "" {
		return nil, cli.Usagef("--out is missing")
	}
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return nil, cli.Inputf("%s is there and no regular file", name)
	}
	f, alone, err := openAlone(name + ".part")
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = cli.Inputf("%s.part is no regular file", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	p := &partFile{File: directio.New(f), name: name, fresh: alone && st.Size() == 0}
	p.kept.Store(st.Size())
	return p, nil
}

// openAlone opens a file for one process at a time. Not alone: the system cannot tell.
func openAlone(name string) (f *os.File, alone bool, err error) {
	for {
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, false, err
		}
		alone, err = directio.Lock(f)
		if errors.Is(err, directio.ErrLocked) {
			err = cli.Inputf("%s: another process is making this file", name)
		}
		if err == nil && alone {
			var here, there os.FileInfo
			if here, err = f.Stat(); err == nil {
				there, err = os.Stat(name)
			}
			if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(here, there) {
				f.Close() // it was finished, and renamed, between open and lock
				continue
			}
		}
		if err != nil {
			return nil, false, errors.Join(err, f.Close())
		}
		return f, alone, nil
	}
}

func (p *partFile) Offset() int64 { return p.offset }
func (p *partFile) Staging() bool { return true }

// Write appends b. Zeros behind all that the file has become a hole.
func (p *partFile) Write(b []byte) (done int, err error) {
	for done < len(b) {
		n := len(b) - done
		if here := p.served.Load() - p.offset; here > 0 {
			n = int(min(int64(n), here))
		} else {
			if n, err = p.put(b[done:]); err != nil {
				return done, err
			}
			p.kept.Store(max(p.kept.Load(), p.offset+int64(n)))
		}
		done, p.offset = done+n, p.offset+int64(n)
	}
	return done, nil
}

// put writes the first of b at the offset, as many as are zeros, or are not. Whether zeros are behind the end only the file's length can
// tell: what is there counts no longer (see kept) before it is gone.
func (p *partFile) put(b []byte) (int, error) {
	piece := b[:0]
	for empty := isZero(b); len(piece) < len(b) && isZero(b[len(piece):]) == empty; {
		piece = b[:min(len(b), len(piece)+len(zeros))]
	}
	if isZero(piece) {
		st, err := p.Stat()
		if err != nil {
			return 0, err
		}
		if n := int64(len(piece)); p.offset >= st.Size() {
			return len(piece), errors.Join(p.Truncate(p.offset+n), p.Hole(p.offset, n)) // room for it may be reserved
		}
	}
	return p.WriteAt(piece, p.offset)
}

// zeros is as many as are worth a hole.
var zeros [64 << 10]byte

// isZero reports whether b begins with zeros.
func isZero(b []byte) bool {
	n := min(len(b), len(zeros))
	return bytes.Equal(b[:n], zeros[:n])
}

func (p *partFile) Resume(offset int64) error {
	st, err := p.Stat()
	if err == nil && offset > st.Size() {
		err = fmt.Errorf("%s.part has %d bytes, not %d: %w", p.name, st.Size(), offset, io.ErrUnexpectedEOF)
	}
	if err == nil {
		p.offset = offset
	}
	return err
}

// Close closes the file. A part without content is of no use to a later run and is removed.
func (p *partFile) Close() error {
	st, err := p.Stat()
	err = errors.Join(err, p.File.Close())
	if err == nil && st.Size() == 0 {
		err = os.Remove(p.name + ".part")
	}
	return err
}

// finish gives the file its name, after all of it is on disk. That it is the right one the caller has read back, unless it is fresh: what passed through
// Write need not be what the file holds.
func (p *partFile) finish() error {
	err := errors.Join(p.Truncate(p.offset), p.File.Sync(), p.File.Close())
	if err == nil {
		err = os.Rename(p.name+".part", p.name)
	}
	if err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(p.name)); err == nil {
		_ = dir.Sync() // not every system can
		dir.Close()
	}
	return nil
}
