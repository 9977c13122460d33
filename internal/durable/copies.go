// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// state is what the two copies amount to.
type state struct {
	index  int   // the newest copy
	newest frame // sequence number 0: never stored
	blank  bool  // not even formatted
	twin   bool  // both copies are valid and hold the same data
}

// load reads both copies. It writes nothing.
func (r *Record) load() (state, error) {
	if r.poisoned != nil {
		return state{}, fmt.Errorf("%w: %w", ErrPoisoned, r.poisoned)
	}
	var raw [2][]byte
	var valid [2]bool
	var data [2][]byte
	var errs [2]error
	s := state{index: -1}
	for i, c := range r.copies {
		b, err := readTwice(c)
		if err != nil {
			errs[i] = err
			continue
		}
		raw[i] = b
		f, err := parseFrame(b, recordMagic, uint64(i))
		if err != nil {
			errs[i] = err
			continue
		}
		valid[i], data[i] = f.seq > 0, f.data
		if s.index < 0 || f.seq > s.newest.seq {
			s.index, s.newest = i, f
		}
	}
	if s.index >= 0 {
		s.twin = valid[0] && valid[1] && bytes.Equal(data[0], data[1])
		return s, nil
	}
	if r.device && isBlank(raw[0]) && (isBlank(raw[1]) || isTornFormat(raw[1])) {
		return state{index: 1, blank: true}, nil
	}
	return state{}, fmt.Errorf("copy 0: %w; copy 1: %w", errs[0], errs[1])
}

func readTwice(c region) ([]byte, error) {
	b, err := c.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b, err = c.read()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("missing: %w", ErrCorrupt) // not "never stored"
	}
	return b, err
}

// create makes the files of a record that has none, or lacks one.
func (r *Record) create(fsys simfs.FS) error {
	var missing [2]bool
	var valid bool
	for i, c := range r.copies {
		b, err := c.read()
		if errors.Is(err, fs.ErrNotExist) {
			missing[i] = true
			continue
		}
		if err != nil {
			continue // load will say so
		}
		_, err = parseFrame(b, recordMagic, uint64(i))
		valid = valid || err == nil
	}
	fresh := missing[0] && missing[1]
	for _, i := range []int{1, 0} {
		if !missing[i] || !valid && !fresh {
			continue
		}
		if err := WriteFile(fsys, fmt.Sprintf("%s.%d", r.name, i), formatted(i)); err != nil {
			return err
		}
		valid = true
	}
	return nil
}

// formatted is the copy with sequence number 0.
func formatted(i int) []byte { return frame{}.append(nil, recordMagic, uint64(i)) }

func isBlank(b []byte) bool {
	if len(b) < headerSize {
		return false
	}
	head := b[:headerSize]
	return bytes.Count(head, []byte{0x00}) == headerSize || bytes.Count(head, []byte{0xff}) == headerSize
}

// isTornFormat reports whether b is a blank header, part of which was
// overwritten by the formatted copy 1.
func isTornFormat(b []byte) bool {
	if len(b) < headerSize {
		return false
	}
	for i, want := range formatted(1) {
		if b[i] != want && b[i] != 0x00 && b[i] != 0xff {
			return false
		}
	}
	return true
}
