// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"archive/zip"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
)

// A Bundle is a repository, or as much of one as some devices need, in one file: a zip archive that Client.Export or any zip program made of
// the files under the names that a Remote has for them. It is a Remote and a Streamer, and trusted as little as a server: a device updates from
// it with the Client and the cache that it always uses, and whatever is older than what the device has seen is refused.
type Bundle struct {
	dirRemote
}

// maxBundleDirectory bounds what is read, and held in memory, of the list of files in a bundle.
const maxBundleDirectory = 8 << 20

// OpenBundle opens the archive in the first size bytes of r, which it goes on reading from. Bundles in a directory need no opening: see DirRemote.
// Errors: tuf.ErrMalformed, tuf.ErrLength if the list of files in it is too long.
func OpenBundle(r io.ReaderAt, size int64) (*Bundle, error) {
	opening := &budgetReader{r: r, left: maxBundleDirectory}
	z, err := zip.NewReader(opening, size)
	if err != nil && opening.left < 0 {
		return nil, fmt.Errorf("bundle: %w: list of files of more than %d bytes", tuf.ErrLength, maxBundleDirectory)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w: %w", tuf.ErrMalformed, err)
	}
	opening.opened = true
	return &Bundle{dirRemote{z}}, nil
}

// FS is the bundle's files, unverified; payloads are in "payloads".
func (b *Bundle) FS() fs.FS { return b.fsys }

// budgetReader reads no more than left bytes until opened is set.
type budgetReader struct {
	r      io.ReaderAt
	left   int64
	opened bool
}

func (b *budgetReader) ReadAt(p []byte, off int64) (int, error) {
	if !b.opened {
		if b.left -= int64(len(p)); b.left < 0 {
			return 0, tuf.ErrLength
		}
	}
	return b.r.ReadAt(p, off)
}

// BundleDir writes a bundle as a directory. Each file is durable and complete, or absent.
type BundleDir struct {
	fsys Storage
	open *durable.Pending
}

// NewBundleDir returns a BundleDir in s, which OpenDir opened.
func NewBundleDir(s Storage) *BundleDir { return &BundleDir{fsys: s} }

// Create completes the file before and begins the one called name. It is for Client.Export.
func (d *BundleDir) Create(name string) (io.Writer, error) {
	if err := d.Close(); err != nil {
		return nil, err
	}
	err := durable.MkdirAll(d.fsys, path.Dir(name))
	if err == nil {
		d.open, err = durable.Create(d.fsys, name)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return d.open, nil
}

// Close completes the last file.
func (d *BundleDir) Close() error {
	p := d.open
	d.open = nil
	if p == nil {
		return nil
	}
	return p.Commit()
}

// Discard throws the file away that is not complete.
func (d *BundleDir) Discard() error {
	p := d.open
	d.open = nil
	if p == nil {
		return nil
	}
	return p.Discard()
}
