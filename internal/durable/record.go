// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"sync"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// MaxRecord is the largest record, in bytes, that lies in files. On a device
// the region sets the limit.
const MaxRecord = 1 << 20

// Record is a small value in two copies: the newest and the one before it.
// Store overwrites the older copy in place and syncs it, so a torn write costs
// that copy and never the newest one. It is safe for concurrent use within a
// process; processes that share a record hold a lock.
//
// A new record is first formatted: copy 1 gets sequence number 0, which stands
// for "never stored". From then on at least one copy is valid at every
// instant, so two invalid copies are damage and are never taken for a fresh
// record. A copy that cannot be read, twice, counts as invalid: that is how a
// torn write shows on a medium with error correction.
type Record struct {
	name   string
	copies [2]region
	device bool // blank regions are a record that was never stored

	mu       sync.Mutex
	poisoned error
}

// OpenRecord opens the record whose copies are the files name.0 and name.1, and
// creates them if neither exists. Their directory must exist and be durable.
//
// Power may fail at any point of the creation: each copy is an atomic file, and
// a missing one is made again as long as the other is valid.
func OpenRecord(fsys simfs.FS, name string) (*Record, error) {
	r := &Record{name: name, copies: [2]region{
		&fileRegion{fsys, name + ".0"},
		&fileRegion{fsys, name + ".1"},
	}}
	if err := r.create(fsys); err != nil {
		return nil, fmt.Errorf("open record %s: %w", name, err)
	}
	if err := r.settle(fsys.SyncDir(path.Dir(name))); err != nil {
		return nil, fmt.Errorf("open record %s: %w", name, err)
	}
	return r, nil
}

// NewDeviceRecord opens the record in the two regions of size bytes at off0 and
// off1 of d. They must not share an erase block, because a torn write can
// damage the whole block. Regions whose headers are blank, all bits zero or all
// bits one, hold a record that was never stored; anything else that is not a
// copy is [ErrCorrupt] when it is loaded. Its caller closes d.
func NewDeviceRecord(d simfs.Device, off0, off1, size int64) (*Record, error) {
	total, err := d.Size()
	if err != nil {
		return nil, fmt.Errorf("open device record: %w", err)
	}
	lo, hi := min(off0, off1), max(off0, off1)
	if lo < 0 || size <= headerSize || size > hi-lo || size > total-hi {
		return nil, fmt.Errorf("device record of %d bytes at %d and %d of %d: %w", size, off0, off1, total, simfs.ErrBounds)
	}
	r := &Record{name: fmt.Sprintf("at %d and %d", off0, off1), device: true, copies: [2]region{
		&deviceRegion{d, off0, size},
		&deviceRegion{d, off1, size},
	}}
	if err := r.settle(nil); err != nil {
		return nil, fmt.Errorf("open record %s: %w", r.name, err)
	}
	return r, nil
}

// settle makes durable what an earlier process may have left in the cache.
func (r *Record) settle(err error) error {
	for _, c := range r.copies {
		if err == nil {
			err = c.sync()
		}
	}
	return err
}

// Load returns the newest valid copy and its sequence number, which starts at 1.
//
// Errors: [fs.ErrNotExist] if nothing was ever stored, [ErrCorrupt] if neither
// copy is valid, [ErrPoisoned], or a read error.
func (r *Record) Load() (data []byte, seq uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.load()
	if err != nil {
		return nil, 0, fmt.Errorf("load record %s: %w", r.name, err)
	}
	if s.newest.seq == 0 {
		return nil, 0, fmt.Errorf("load record %s: never stored: %w", r.name, fs.ErrNotExist)
	}
	return s.newest.data, s.newest.seq, nil
}

// LoadRecord returns what a record in files holds without opening it. It writes nothing, and syncs only the copy that it returns, unless the
// caller knows that sequence number already: a process that was killed may have left it written and not yet durable. Errors: as
// Load; [fs.ErrNotExist] also if there is no record.
func LoadRecord(fsys simfs.FS, name string, known uint64) (data []byte, seq uint64, err error) {
	r := &Record{name: name, copies: [2]region{&fileRegion{fsys, name + ".0"}, &fileRegion{fsys, name + ".1"}}}
	_, err0 := r.copies[0].read()
	_, err1 := r.copies[1].read()
	if errors.Is(err0, fs.ErrNotExist) && errors.Is(err1, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("load record %s: %w", name, fs.ErrNotExist)
	}
	s, err := r.load()
	switch {
	case err == nil && s.newest.seq == 0:
		err = fmt.Errorf("never stored: %w", fs.ErrNotExist)
	case err == nil && s.newest.seq != known:
		err = r.copies[s.index].sync()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("load record %s: %w", name, err)
	}
	return s.newest.data, s.newest.seq, nil
}

// Store replaces the record. The new one is durable when Store returns nil.
// After an error the old one is, unless power failed as well: then it may be
// either.
//
// Errors: [ErrTooLarge]; [ErrCorrupt] if neither copy is valid, since a record
// is never started afresh over a damaged one; [ErrPoisoned]; or a write error.
// If it was the sync that failed, the record must be opened again.
func (r *Record) Store(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.store(data); err != nil {
		return fmt.Errorf("store record %s: %w", r.name, err)
	}
	return nil
}

// StoreBoth makes both copies hold data, so that damage to either of them later brings nothing older back. It
// writes only what differs. Errors and power cuts: as Store.
func (r *Record) StoreBoth(data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range len(r.copies) {
		s, err := r.load()
		if err == nil && s.twin && bytes.Equal(s.newest.data, data) {
			return nil
		}
		if err == nil {
			err = r.store(data)
		}
		if err != nil {
			return fmt.Errorf("store record %s: %w", r.name, err)
		}
	}
	return nil
}

func (r *Record) store(data []byte) error {
	limit := min(r.copies[0].max(), r.copies[1].max()) - headerSize
	if int64(len(data)) > limit {
		return fmt.Errorf("%d bytes, at most %d: %w", len(data), limit, ErrTooLarge)
	}
	s, err := r.load()
	if err != nil {
		return err
	}
	if s.newest.seq == math.MaxUint64 {
		return fmt.Errorf("sequence number exhausted: %w", ErrCorrupt)
	}
	if s.blank {
		// From here on copy 1 vouches that a torn copy 0 was a first Store.
		if err := r.put(1, formatted(1), make([]byte, headerSize)); err != nil {
			return err
		}
	}
	older := 1 - s.index
	return r.put(older, frame{s.newest.seq + 1, data}.append(nil, recordMagic, uint64(older)), void)
}

// put writes copy i durably. When that fails it puts undo over the start of the
// copy, so that nobody believes what may only be in a cache.
func (r *Record) put(i int, b, undo []byte) error {
	err := r.copies[i].write(b)
	if err == nil {
		return nil
	}
	undone := r.copies[i].write(undo)
	if errors.Is(err, errSync) || undone != nil {
		r.poisoned = err
	}
	return err
}

// void is what replaces the header of a copy that was not stored. It is neither
// a header nor blank.
var void = append([]byte("FMx1"), make([]byte, headerSize-4)...)
