// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/directio"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

// A partFile is a file that is being made beside its final name, which it gets only when it is right. What an
// interrupted run left in it is there for the next one. It is a fetch.Sink, Holder, Reserver and Stager.
type partFile struct {
	*directio.File
	name   string // the final one
	alone  bool   // no other process has it
	fresh  bool   // nothing was in it, and nobody else writes to it: it holds what was written here
	offset int64
	kept   atomic.Int64 // bytes that are there and count: from an earlier run, or written in this one. The file may be longer
	served atomic.Int64 // as many of them are read from here and come back: they need not be written again

	dirty int64     // bytes that a power cut may take
	since time.Time // when they were none

	sum    hash.Hash // over the bytes from 0 up to summed, as they were written in order; nil: nobody wants to know
	summed int64
}

// What a power cut may take of a part.
const (
	syncEvery = 4 << 20
	syncAfter = 10 * time.Second
)

// openPart opens the part for name. Of what is read meanwhile, nothing may be written over.
func openPart(name string, inputs ...string) (*partFile, error) {
	if name == "" {
		return nil, cli.Usagef("--out is missing")
	}
	if err := errors.Join(plain(name), noInput(name, inputs), noInput(name+".part", inputs)); err != nil {
		return nil, err
	}
	f, alone, err := openAlone(name + ".part")
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	p := &partFile{File: directio.New(f), name: name, alone: alone, fresh: alone && st.Size() == 0, since: time.Now()}
	p.kept.Store(st.Size())
	return p, nil
}

// newPart opens the part for name, and has nothing in it.
func newPart(name string, inputs ...string) (*partFile, error) {
	p, err := openPart(name, inputs...)
	if err == nil {
		err = p.empty()
	}
	return p, err
}

// noInput refuses a file to write that is one of those that are read.
func noInput(name string, inputs []string) error {
	here, err := os.Stat(name)
	if err != nil {
		return nil // nothing to write over
	}
	for _, input := range inputs {
		if st, err := os.Stat(input); err == nil && os.SameFile(here, st) {
			return cli.Usagef("%s would be written over, and is %s, which is read: want another name for what is made", name, input)
		}
	}
	return nil
}

// plain refuses a name at which something else than a regular file is.
func plain(name string) error {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return cli.Inputf("%s is there and no regular file", name)
	}
	return nil
}

// openAlone opens a regular file that has no other name, for one process at a time: who has another name could change it after it was found to be
// right. Not alone: the system cannot tell.
func openAlone(name string) (f *os.File, alone bool, err error) {
	for {
		if err := plain(name); err != nil {
			return nil, false, err
		}
		f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|directio.NoFollow, 0o644)
		if err != nil {
			return nil, false, err
		}
		alone, err = directio.Lock(f)
		if errors.Is(err, directio.ErrLocked) {
			err = cli.Inputf("%s: another process is making this file", name)
		}
		if err == nil {
			var here, there os.FileInfo
			if here, err = f.Stat(); err == nil {
				there, err = os.Lstat(name)
			}
			if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(here, there) {
				f.Close() // it was finished, and renamed, between open and lock
				continue
			}
			if err == nil && directio.Names(here) > 1 {
				err = cli.Inputf("%s has another name, too (a hard link): remove one of them", name)
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

// Held implements fetch.Holder: all that is there may be right.
func (p *partFile) Held() int64 { return p.kept.Load() }

// Write appends b. Zeros behind all that the file has become a hole.
func (p *partFile) Write(b []byte) (done int, err error) {
	for done < len(b) {
		n := len(b) - done
		if here := p.served.Load() - p.offset; here > 0 {
			n = int(min(int64(n), here))
			p.note(b[done:done+n], p.offset)
		} else {
			if n, err = p.put(b[done:], p.offset); err != nil {
				return done, err
			}
			p.kept.Store(max(p.kept.Load(), p.offset+int64(n)))
		}
		done, p.offset = done+n, p.offset+int64(n)
	}
	return done, nil
}

// WriteAt writes b at any place.
func (p *partFile) WriteAt(b []byte, at int64) (done int, err error) {
	for done < len(b) {
		n, err := p.put(b[done:], at+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// put writes the first of b, as many as are zeros, or are not. Whether zeros are behind the end only the file's length can
// tell: what is there counts no longer (see kept) before it is gone.
func (p *partFile) put(b []byte, at int64) (n int, err error) {
	piece := b[:0]
	for empty := isZero(b); len(piece) < len(b) && isZero(b[len(piece):]) == empty; {
		piece = b[:min(len(b), len(piece)+len(zeros))]
	}
	end := int64(-1) // of the file, if that matters
	if isZero(piece) {
		st, err := p.Stat()
		if err != nil {
			return 0, err
		}
		end = st.Size()
	}
	if n = len(piece); end >= 0 && at >= end {
		err = errors.Join(p.Truncate(at+int64(n)), p.Hole(at, int64(n))) // room for it may be reserved
	} else {
		n, err = p.File.WriteAt(piece, at)
	}
	if err != nil {
		return n, err
	}
	p.note(piece, at)
	if p.dirty += int64(n); p.dirty >= syncEvery || time.Since(p.since) >= syncAfter {
		err = p.Sync()
	}
	return n, err
}

// note adds b to the sum if it is what comes next.
func (p *partFile) note(b []byte, at int64) {
	if p.sum != nil && at == p.summed {
		p.sum.Write(b)
		p.summed += int64(len(b))
	}
}

// Sync makes durable what was written.
func (p *partFile) Sync() error {
	p.dirty, p.since = 0, time.Now()
	return p.File.Sync()
}

// is compares all of the part, size bytes, with their digest. If a running sum was asked for from the begin, and everything was written in order, that costs nothing.
func (p *partFile) is(size int64, want verify.Digest) error {
	res := fetch.Resource{Size: size, Digest: want}
	if !p.fresh || p.sum == nil || p.summed != size {
		return readBack(p, res)
	}
	return compare(p.sum, res)
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
		p.kept.Store(min(p.kept.Load(), offset)) // who goes back does not believe the rest
		if p.sum != nil && offset < p.summed {
			p.sum, p.summed = sha256.New(), 0
		}
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

// empty gives up all that is in it.
func (p *partFile) empty() error {
	p.offset, p.dirty = 0, 0
	p.kept.Store(0)
	p.served.Store(0)
	return p.Truncate(0)
}

// finish gives the file its name, after all of it is on disk. That it is the right one the caller has read back, unless it is fresh: what passed through
// Write need not be what the file holds.
func (p *partFile) finish() error {
	err := errors.Join(p.Truncate(p.offset), p.File.Sync())
	if !p.alone { // a system without locks may not rename what is open
		err = errors.Join(err, p.File.Close())
	}
	if err == nil {
		err = os.Rename(p.name+".part", p.name)
	}
	if p.alone { // now that nobody can take it for a part
		err = errors.Join(err, p.File.Close())
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
