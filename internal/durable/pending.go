// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// Pending is an atomic file that is written piece by piece, and can be read before it gets its name: for data too large to be held
// in memory until somebody has looked at it. It is not safe for concurrent use.
type Pending struct {
	fsys       simfs.FS
	name, temp string
	f          simfs.File
	size       int64
	err        error
}

// Create starts a new content for the file called name, whose directory must exist and be durable. Nothing of it is under that name
// before Commit. Names are as for [WriteFile]. The caller calls Commit or Discard.
func Create(fsys simfs.FS, name string) (*Pending, error) {
	if IsTemp(name) {
		return nil, &fs.PathError{Op: "write", Path: name, Err: fmt.Errorf("named like a temporary file: %w", fs.ErrInvalid)}
	}
	f, temp, err := createTemp(fsys, name)
	if err != nil {
		return nil, err
	}
	return &Pending{fsys: fsys, name: name, temp: temp, f: f}, nil
}

// Write appends p. After an error nothing more can be written, and the file cannot be committed.
func (p *Pending) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.f.WriteAt(b, p.size)
	p.size += int64(n)
	p.err = err
	return n, err
}

// ReadAt reads what was written.
func (p *Pending) ReadAt(b []byte, off int64) (int, error) { return p.f.ReadAt(b, off) }

// Size is how much was written, in bytes.
func (p *Pending) Size() int64 { return p.size }

// Commit makes the content that of the file, durably, or leaves the file as it was: after an error the new content is gone.
func (p *Pending) Commit() error {
	err := p.err
	if err == nil {
		err = p.f.Sync()
	}
	if err = errors.Join(err, p.f.Close()); err == nil {
		err = p.fsys.Rename(p.temp, p.name)
	}
	if err != nil {
		return discard(p.fsys, p.temp, err)
	}
	return p.fsys.SyncDir(path.Dir(p.name))
}

// Discard throws the content away; the file is what it was.
func (p *Pending) Discard() error {
	return discard(p.fsys, p.temp, p.f.Close())
}
