// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

// Dir is a Storage in a directory. Processes on one directory exclude each other for as long as one call takes, by a lock on the file
// called lock; a process that dies holds nothing. A file's tag is its SHA-256, so that content which comes back has its old tag.
type Dir struct {
	fsys simfs.FS

	mu    sync.Mutex
	clean map[string]bool // directories without the temporary files of an earlier cut
}

const lockName = "lock"

// OpenDir opens the existing directory path as Storage. Its files can be read by everybody, so that any web server
// can serve them. Errors: fs.ErrNotExist.
func OpenDir(path string) (*Dir, error) {
	fsys, err := simfs.OpenPublicDir(path)
	if err != nil {
		return nil, err
	}
	return NewDir(fsys), nil
}

// NewDir is OpenDir for a directory that is open already; its files have the modes that fsys gives them.
func NewDir(fsys simfs.FS) *Dir { return &Dir{fsys: fsys, clean: map[string]bool{}} }

// Close releases the directory, if OpenDir opened it.
func (d *Dir) Close() error {
	if c, ok := d.fsys.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Get implements Storage.
func (d *Dir) Get(ctx context.Context, name string, max int64) ([]byte, Tag, error) {
	if err := checkName(ctx, name); err != nil {
		return nil, "", err
	}
	data, err := durable.ReadFile(d.fsys, name, max)
	if errors.Is(err, durable.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", tuf.ErrLength, err)
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	return data, Tag(hex.EncodeToString(sum[:])), nil
}

// Open implements Storage.
func (d *Dir) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkName(ctx, name); err != nil {
		return nil, err
	}
	f, err := d.fsys.OpenFile(name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return fileReader{io.NewSectionReader(f, 0, math.MaxInt64), f}, nil
}

type fileReader struct {
	io.Reader
	io.Closer
}

// Put implements Storage.
func (d *Dir) Put(ctx context.Context, name string, data io.Reader, old Tag) error {
	return d.locked(ctx, name, func() error {
		dir := path.Dir(name)
		if err := d.prepare(dir); err != nil {
			return err
		}
		same, err := d.has(name, old)
		if err != nil {
			return err
		}
		if !same {
			return errors.Join(conflict(name), d.fsys.SyncDir(dir)) // whoever wrote it may have been killed before that
		}
		if err := d.write(name, cancellable(ctx, data)); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		return nil
	})
}

func (d *Dir) write(name string, src io.Reader) error {
	f, err := durable.Create(d.fsys, name)
	if err != nil {
		return err
	}
	var buf []byte
	if _, ok := src.(io.WriterTo); !ok {
		buf = make([]byte, copyBuffer)
	}
	if _, err := io.CopyBuffer(f, src, buf); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Commit()
}

// prepare makes a directory and removes what a cut left in it, once.
func (d *Dir) prepare(dir string) error {
	if d.clean[dir] {
		return nil
	}
	if err := durable.MkdirAll(d.fsys, dir); err != nil {
		return err
	}
	if err := durable.RemoveTemps(d.fsys, dir); err != nil {
		return err
	}
	d.clean[dir] = true
	return nil
}

// has reports whether a file has a tag. Whether there is one is told without reading it: it may be an image.
func (d *Dir) has(name string, tag Tag) (same bool, err error) {
	f, err := d.fsys.OpenFile(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return tag == "", nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if tag == "" {
		return false, nil
	}
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(f, 0, math.MaxInt64))
	return hex.EncodeToString(h.Sum(nil)) == string(tag), err
}

// List implements Storage.
func (d *Dir) List(ctx context.Context, dir string) ([]string, error) {
	if err := checkName(ctx, dir); err != nil {
		return nil, err
	}
	var names []string
	err := d.walk(ctx, dir, &names)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	slices.Sort(names)
	return names, err
}

func (d *Dir) walk(ctx context.Context, dir string, names *[]string) error {
	files, dirs, err := simfs.Files(d.fsys, dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		if !durable.IsTemp(name) {
			*names = append(*names, path.Join(dir, name))
		}
	}
	for _, name := range dirs {
		if err := errors.Join(ctx.Err(), d.walk(ctx, path.Join(dir, name), names)); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements Storage. Directories stay.
func (d *Dir) Delete(ctx context.Context, name string) error {
	return d.locked(ctx, name, func() error {
		if err := d.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := d.fsys.SyncDir(path.Dir(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// locked runs f with the directory to itself. The lock cannot be waited for, so it is tried again and again.
func (d *Dir) locked(ctx context.Context, name string, f func() error) (err error) {
	if err := checkName(ctx, name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for wait := time.Millisecond; ; wait = min(2*wait, maxLockWait) {
		lock, err := d.fsys.Lock(lockName)
		if err == nil {
			return errors.Join(f(), lock.Close())
		}
		if !errors.Is(err, simfs.ErrBusy) {
			return fmt.Errorf("lock repository: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock repository: %w: %w", err, ctx.Err())
		case <-time.After(wait):
		}
	}
}

const (
	maxLockWait = 50 * time.Millisecond
	copyBuffer  = 256 << 10
)

// checkName refuses names that nobody can have, those that this Storage uses itself among them.
func checkName(ctx context.Context, name string) error {
	if name == lockName || durable.IsTemp(name) {
		return fmt.Errorf("%w: %.200q is reserved", tuf.ErrPath, name)
	}
	return errors.Join(ctx.Err(), tuf.CheckPath(name))
}

// cancellable leaves alone what lies in memory: that is written in one piece.
func cancellable(ctx context.Context, src io.Reader) io.Reader {
	if _, ok := src.(interface{ Len() int }); ok {
		return src
	}
	return reader{ctx, src}
}

// reader fails when its context ends.
type reader struct {
	ctx context.Context
	src io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.src.Read(p)
}
