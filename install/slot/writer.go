// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package slot

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// blockSize is how much Finish reads, and erases, at a time.
const blockSize = 64 << 10

// writer writes one image from the start of a slot. It implements [install.Resumer].
type writer struct {
	dev      install.Device
	name     string
	img      install.Image
	capacity int64
	offset   int64
}

func (w *writer) Offset() int64 { return w.offset }

func (w *writer) Resume(offset int64) error {
	if offset < 0 || offset > w.img.Size {
		return fmt.Errorf("slot %s: resume at %d of %d bytes: %w", w.name, offset, w.img.Size, install.ErrBounds)
	}
	w.offset = offset
	return nil
}

func (w *writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.img.Size-w.offset {
		return 0, fmt.Errorf("slot %s: %d bytes at %d, image ends at %d: %w", w.name, len(p), w.offset, w.img.Size, install.ErrBounds)
	}
	n, err := w.dev.WriteAt(p, w.offset)
	w.offset += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return n, fmt.Errorf("slot %s: write at %d: %w", w.name, w.offset, err)
	}
	return n, nil
}

// ReadAt reads the slot, as far as it was written or not: a planner takes from there what comes again in the image. It may be called while Write is.
func (w *writer) ReadAt(p []byte, off int64) (int, error) { return w.dev.ReadAt(p, off) }

// Staging is true: the slot is not armed before Finish.
func (w *writer) Staging() bool { return true }

func (w *writer) Sync() error {
	if err := w.dev.Sync(); err != nil {
		return fmt.Errorf("slot %s: sync: %w", w.name, err)
	}
	return nil
}

func (w *writer) Close() error { return nil }

// Finish erases what an older, longer image left behind the new one, so that the slot's content is a function of
// the signed image alone, and verifies what the medium holds.
func (w *writer) Finish(ctx context.Context) error {
	if w.offset != w.img.Size {
		return fmt.Errorf("slot %s: finish at %d of %d bytes: %w", w.name, w.offset, w.img.Size, install.ErrBounds)
	}
	// What is read from here on must come from the medium. A cache that survived a failed sync shows zeros, or an
	// image, that the medium does not have.
	if err := w.settle(); err != nil {
		return err
	}
	buf := make([]byte, blockSize)
	if err := w.eraseTail(ctx, buf); err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	return w.verify(ctx, buf)
}

// settle syncs, and tells a device that can to forget its cache.
func (w *writer) settle() error {
	if err := w.Sync(); err != nil {
		return err
	}
	if d, ok := w.dev.(simfs.CacheDropper); ok {
		if err := d.DropCache(); err != nil {
			return fmt.Errorf("slot %s: drop the cache: %w", w.name, err)
		}
	}
	return nil
}

// eraseTail writes zeros where the tail is not zero already: flash wears, and most tails are.
func (w *writer) eraseTail(ctx context.Context, buf []byte) error {
	zero := make([]byte, blockSize)
	for off := w.img.Size; off < w.capacity; {
		n := min(int64(len(buf)), w.capacity-off)
		if err := w.read(ctx, buf[:n], off); err != nil {
			return err
		}
		if !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := w.dev.WriteAt(zero[:n], off); err != nil {
				return fmt.Errorf("slot %s: erase at %d: %w", w.name, off, err)
			}
		}
		off += n
	}
	return nil
}

func (w *writer) verify(ctx context.Context, buf []byte) error {
	h := w.img.Digest.Hash().New()
	for off := int64(0); off < w.img.Size; {
		n := min(int64(len(buf)), w.img.Size-off)
		if err := w.read(ctx, buf[:n], off); err != nil {
			return err
		}
		h.Write(buf[:n])
		off += n
	}
	got, err := verify.NewDigest(w.img.Digest.Hash(), h.Sum(nil))
	if err != nil {
		return err
	}
	if got != w.img.Digest {
		return fmt.Errorf("slot %s: %d bytes have digest %s, want %s: %w", w.name, w.img.Size, got, w.img.Digest, install.ErrVerifyAfterWrite)
	}
	return nil
}

func (w *writer) read(ctx context.Context, p []byte, off int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n, err := w.dev.ReadAt(p, off); n < len(p) {
		return fmt.Errorf("slot %s: read at %d: %w", w.name, off, err)
	}
	return nil
}
