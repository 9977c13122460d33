// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
)

const payloadBuffer = 256 << 10

// PutPayload copies a file that targets refer to, such as an image, to payloads/<name>. Name is as tuf.CheckPath has it. A payload does not
// change: putting the same bytes again is no error, other bytes are ErrExists. The file appears whole and durable, or not at all.
func (r *Repository) PutPayload(ctx context.Context, name string, src io.Reader) error {
	if err := tuf.CheckPath(name); err != nil {
		return fmt.Errorf("put payload: %w", err)
	}
	name = "payloads/" + name
	return r.locked(func() error {
		if err := r.putPayload(ctx, name, src); err != nil {
			return fmt.Errorf("put payload %s: %w", name, err)
		}
		return nil
	})
}

func (r *Repository) putPayload(ctx context.Context, name string, src io.Reader) (err error) {
	fsys := r.dir.fsys
	if err := durable.MkdirAll(fsys, path.Dir(name)); err != nil {
		return err
	}
	if err := durable.RemoveTemps(fsys, path.Dir(name)); err != nil {
		return err
	}
	old, err := fsys.OpenFile(name, os.O_RDONLY)
	if err == nil {
		err = compare(ctx, old, src)
		return errors.Join(err, old.Close(), fsys.SyncDir(path.Dir(name)))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The name is free: the lock keeps other writers out, and stale temporary files are gone.
	temp := name + ".0.tmp"
	f, err := fsys.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	if err = fill(ctx, f, src); err == nil {
		err = fsys.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, fsys.Remove(temp))
	}
	return fsys.SyncDir(path.Dir(name))
}

// fill writes src to f and makes it durable before f gets the name under which it is looked for.
func fill(ctx context.Context, f simfs.File, src io.Reader) (err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, payloadBuffer)
	for off := int64(0); ; {
		n, err := io.ReadFull(src, buf)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		if _, err := f.WriteAt(buf[:n], off); n > 0 && err != nil {
			return err
		}
		if end {
			return f.Sync()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		off += int64(n)
	}
}

// compare returns ErrExists unless f holds exactly src.
func compare(ctx context.Context, f simfs.File, src io.Reader) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	old := io.NewSectionReader(f, 0, size)
	a, b := make([]byte, payloadBuffer), make([]byte, payloadBuffer)
	for {
		n, err := io.ReadFull(src, a)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		m, err := io.ReadFull(old, b)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if !bytes.Equal(a[:n], b[:m]) {
			return fmt.Errorf("%w with other content", ErrExists)
		}
		if end {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
