// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package bundle reads and writes repositories in one file or one directory, for devices without a network.
//
// A bundle holds the files of a repository, or as many of them as some devices need, under the names that a Remote has for them: "metadata/timestamp.json",
// "targets/fw/<sha256>.stable.suit", "payloads/1.2.img". In one file it is a zip archive. client.Client.Export makes one; so does any zip program.
//
// A bundle is trusted as little as a server: a device updates from it with the Client and the cache that it always uses, and whatever
// is older than what the device has seen is refused.
package bundle

import (
	"archive/zip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
)

// An Archive is a bundle in one file. It is a client.Remote and a client.Streamer, and safe for concurrent use.
type Archive struct {
	fsys   fs.FS
	remote interface {
		client.Remote
		client.Streamer
	}
}

// Bounds of the list of files in an archive: the bytes of it, which are read, and how many elements the paths in it may have together, each of
// which takes some 150 bytes of memory.
const (
	maxDirectory = 8 << 20
	maxElements  = 256 << 10
)

// Open opens the archive in the first size bytes of r, which it goes on reading from. A bundle in a directory needs no opening: see client.DirRemote.
// Errors: tuf.ErrMalformed, tuf.ErrLength if the list of files in it is too long.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	opening := &budgetReader{r: r, left: maxDirectory}
	z, err := zip.NewReader(opening, size)
	if err != nil && opening.left < 0 {
		return nil, fmt.Errorf("bundle: %w: list of more than %d bytes or %d files", tuf.ErrLength, maxDirectory, maxElements)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w: %w", tuf.ErrMalformed, err)
	}
	opening.opened = true
	elements := 0
	for _, f := range z.File {
		if elements += 1 + strings.Count(f.Name, "/"); elements > maxElements || len(f.Name) > tuf.MaxPath {
			return nil, fmt.Errorf("bundle: %w: list of more than %d files and directories, or a name of more than %d bytes", tuf.ErrLength, maxElements, tuf.MaxPath)
		}
	}
	return &Archive{fsys: z, remote: client.DirRemote(z)}, nil
}

// FS is the archive's files, unverified; payloads are in "payloads".
func (a *Archive) FS() fs.FS { return a.fsys }

// Get implements client.Remote.
func (a *Archive) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	return a.remote.Get(ctx, name, max)
}

// Open implements client.Streamer.
func (a *Archive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return a.remote.Open(ctx, name)
}

// budgetReader reads no more than left bytes until opened is set. Nor does it read the end of a directory that claims more than maxElements files,
// because package zip makes room for what is claimed.
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
	n, err := b.r.ReadAt(p, off)
	if !b.opened && n >= endSize && string(p[:4]) == endMagic && binary.LittleEndian.Uint64(p[32:]) > maxElements {
		b.left = -1
		return 0, tuf.ErrLength
	}
	return n, err
}

// The zip64 end of central directory record has its length, and the number of files at byte 32 (APPNOTE.TXT, section 4.3.14).
const (
	endMagic = "PK\x06\x06"
	endSize  = 56
)

// Dir writes a bundle as a directory. Each file is durable and complete, or absent.
type Dir struct {
	fsys client.Storage
	open *durable.Pending
}

// NewDir returns a Dir in s, which client.OpenDir opened.
func NewDir(s client.Storage) *Dir { return &Dir{fsys: s} }

// Create completes the file before and begins the one called name. It is for client.Client.Export.
func (d *Dir) Create(name string) (io.Writer, error) {
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
func (d *Dir) Close() error {
	p := d.open
	d.open = nil
	if p == nil {
		return nil
	}
	return p.Commit()
}

// Discard throws the file away that is not complete.
func (d *Dir) Discard() error {
	p := d.open
	d.open = nil
	if p == nil {
		return nil
	}
	return p.Discard()
}
