// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// FileCounter is a Counter in two files, for devices without a hardware one. Each Raise
// overwrites the older copy, syncs it, and then does the same to the other, so a power cut leaves the
// old number or the new one, and damage to one file afterwards changes nothing. It
// protects against accidents and replayed releases, not against somebody who can write
// its files: who deletes both has set it to 0.
//
// A FileCounter is safe for concurrent use within a process; processes that share one must
// hold a lock. It re-reads its files on every call.
type FileCounter struct {
	mu     sync.Mutex
	record *durable.Record
}

// NewCounter opens the counter in the files name.0 and name.1 of fsys (a directory that
// install.OpenDir opened), and creates it with the number 0 if neither exists. The directory of name
// must exist. Two damaged files are ErrCounter, never 0. A cut during the creation leaves a counter that the next NewCounter completes.
func NewCounter(fsys simfs.FS, name string) (*FileCounter, error) {
	record, err := durable.OpenRecord(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCounter, err)
	}
	c := &FileCounter{record: record}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// Value returns the number on disk. Errors wrap ErrCounter, or are ctx's.
func (c *FileCounter) Value(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load()
}

// Raise makes the number at least to; it is durable when Raise returns nil. Errors wrap
// ErrCounter, or are ctx's. After an error the number is the old one or to. When it was the sync to disk that failed, every later call fails too, until NewCounter
// has opened the counter again.
func (c *FileCounter) Raise(ctx context.Context, to uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now, err := c.load()
	if err != nil {
		return err
	}
	if now == 0 && to == 0 {
		return nil
	}
	to = max(to, now)
	// Into both copies, also when a cut left that half done, so that losing the newer one later does not lower the number.
	if err := c.record.StoreBoth(binary.BigEndian.AppendUint64(nil, to)); err != nil {
		return fmt.Errorf("raise from %d to %d: %w: %w", now, to, ErrCounter, err)
	}
	return nil
}

func (c *FileCounter) load() (uint64, error) {
	data, _, err := c.record.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // created and never raised; the record tells this from damage
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrCounter, err)
	}
	if len(data) != 8 {
		return 0, fmt.Errorf("%w: record of %d bytes, expected 8", ErrCounter, len(data))
	}
	return binary.BigEndian.Uint64(data), nil
}
