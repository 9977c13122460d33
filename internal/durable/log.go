// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// Log is an append-only file of records, safe for concurrent use within a
// process; processes that share one hold a lock.
//
// The file is a header frame, magic "FMh1" with the generation as its sequence
// number, and then one frame after another, magic "FMl1", numbered from 0. The
// place of a frame is generation<<32 | offset, so frames of an older generation
// that surface in stale blocks are not taken for records of this one.
//
// An Append is synced before the next one starts, so a power cut leaves at most
// one incomplete frame, the last. What follows the last valid frame is dropped
// when the log is opened, unless a later frame is valid: then it is damage.
type Log struct {
	fsys simfs.FS
	name string
	max  int64

	mu       sync.Mutex
	file     simfs.File
	tail     position
	poisoned error
}

// OpenLog opens the log, at most max bytes long with its headers, and creates
// it if it does not exist. The directory must exist and be durable.
//
// Errors: [ErrCorrupt] for damage that is not a torn tail, [ErrTooLarge] if the
// file is longer than max.
func OpenLog(fsys simfs.FS, name string, max int64) (*Log, error) {
	l := &Log{fsys: fsys, name: name, max: min(max, maxLog)}
	if err := l.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open log %s: %w", name, err), l.Close())
	}
	return l, nil
}

func (l *Log) open() (err error) {
	l.file, err = l.fsys.OpenFile(l.name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		if err := WriteFile(l.fsys, l.name, logHeader(1)); err != nil {
			return err
		}
		l.file, err = l.fsys.OpenFile(l.name, os.O_RDWR)
	}
	if err != nil {
		return err
	}
	// A process that was killed may have left the file renamed or written, and
	// not yet durable: what is believed below must survive a power cut.
	if err := l.fsys.SyncDir(path.Dir(l.name)); err != nil {
		return err
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	b, err := readAll(l.file, l.name, l.max)
	if err != nil {
		return err
	}
	if _, l.tail, err = parseLog(b); err != nil {
		return err
	}
	if l.tail.off == int64(len(b)) {
		return nil
	}
	return l.cut()
}

// Append adds a record, durably. After an error the log is as it was before
// and, unless it was a sync that failed, can be used on.
//
// Errors: [ErrTooLarge] if there is no room, [ErrPoisoned], or a write error.
func (l *Log) Append(rec []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return fmt.Errorf("append to log %s: %w", l.name, err)
	}
	b := l.tail.frame(rec)
	if l.tail.off+int64(len(b)) > l.max {
		return fmt.Errorf("append %d bytes to log %s: at %d of %d: %w", len(b), l.name, l.tail.off, l.max, ErrTooLarge)
	}
	if err := writeSync(l.file, b, l.tail.off); err != nil {
		// The frame must not stay in the cache, where the next one to open the
		// log would believe it.
		cut := l.cut()
		if errors.Is(err, errSync) || cut != nil {
			l.poisoned = err
		}
		return fmt.Errorf("append to log %s: %w", l.name, err)
	}
	l.tail = l.tail.after(len(b))
	return nil
}

// cut drops what follows the last record.
func (l *Log) cut() error {
	if err := l.file.Truncate(l.tail.off); err != nil {
		return err
	}
	return l.file.Sync()
}

// Records reads all records, oldest first.
func (l *Log) Records() ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return nil, fmt.Errorf("read log %s: %w", l.name, err)
	}
	b, err := readAll(l.file, l.name, l.max)
	if err != nil {
		return nil, fmt.Errorf("read log %s: %w", l.name, err)
	}
	recs, tail, err := parseLog(b)
	if err == nil && tail != l.tail {
		err = fmt.Errorf("ends at %d, want %d: %w", tail.off, l.tail.off, ErrCorrupt)
	}
	if err != nil {
		return nil, fmt.Errorf("read log %s: %w", l.name, err)
	}
	return recs, nil
}

// Rewrite replaces all records, atomically, and starts a new generation. After
// an error the log is the old one or the new one, and must be opened again.
// [ErrTooLarge] is the exception: nothing happened.
func (l *Log) Rewrite(recs [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usable(); err != nil {
		return fmt.Errorf("rewrite log %s: %w", l.name, err)
	}
	b, tail, err := buildLog(l.tail.generation+1, recs, l.max)
	if err != nil {
		return fmt.Errorf("rewrite log %s: %w", l.name, err)
	}
	if err := l.replace(b); err != nil {
		l.poisoned = err
		return fmt.Errorf("rewrite log %s: %w", l.name, err)
	}
	l.tail = tail
	return nil
}

func (l *Log) replace(b []byte) error {
	if err := WriteFile(l.fsys, l.name, b); err != nil {
		return err
	}
	f, err := l.fsys.OpenFile(l.name, os.O_RDWR)
	if err != nil {
		return err
	}
	old := l.file
	l.file = f
	return old.Close()
}

// Close closes the file. Nothing is pending then.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *Log) usable() error {
	if l.poisoned != nil {
		return fmt.Errorf("%w: %w", ErrPoisoned, l.poisoned)
	}
	if l.file == nil {
		return fs.ErrClosed
	}
	return nil
}
