// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"encoding/binary"
	"fmt"
	"math"
)

// maxLog keeps offsets in the low half of a frame's place.
const maxLog = math.MaxUint32

var headerMagic = magic{'F', 'M', 'h', '1'}

func logHeader(generation uint64) []byte {
	return frame{seq: generation}.append(nil, headerMagic, 0)
}

// position is where the next record of a log goes.
type position struct {
	generation uint64
	off        int64
	seq        uint64
}

func (p position) place() uint64 { return p.generation<<32 | uint64(p.off) }

func (p position) frame(rec []byte) []byte {
	return frame{p.seq, rec}.append(nil, logMagic, p.place())
}

func (p position) after(size int) position {
	return position{p.generation, p.off + int64(size), p.seq + 1}
}

// parseLog returns the records in b, which alias it, and where the next one
// goes: the end of b, or the start of a torn tail.
func parseLog(b []byte) (recs [][]byte, tail position, err error) {
	head, err := parseFrame(b, headerMagic, 0)
	if err != nil {
		return nil, tail, fmt.Errorf("header: %w", err)
	}
	tail = position{generation: head.seq, off: head.size()}
	for tail.off < int64(len(b)) {
		f, err := parseFrame(b[tail.off:], logMagic, tail.place())
		if err == nil && f.seq != tail.seq {
			err = fmt.Errorf("sequence number %d, want %d: %w", f.seq, tail.seq, ErrCorrupt)
		}
		if err != nil {
			return recs, tail, onlyTail(b, tail, err)
		}
		recs = append(recs, f.data)
		tail = tail.after(int(f.size()))
	}
	return recs, tail, nil
}

// searchBudget is what the search for a record behind damage may hash at the
// least, in bytes.
const searchBudget = 4 << 20

// onlyTail returns nil if no valid frame follows the damage at p. The bytes it
// hashes in the search are bounded; one torn record of a few kilobytes, whatever
// it holds, stays below the bound.
func onlyTail(b []byte, p position, damage error) error {
	budget := 4*int64(len(b)) + searchBudget
	for off := p.off; off+headerSize <= int64(len(b)); off++ {
		n, err := dataSize(b[off:], logMagic)
		if err != nil {
			continue
		}
		if budget -= n; budget < 0 {
			return fmt.Errorf("record %d at %d, search for a later one given up at %d: %w", p.seq, p.off, off, damage)
		}
		at := position{p.generation, off, binary.BigEndian.Uint64(b[off+8:])}
		if _, err := parseFrame(b[off:], logMagic, at.place()); err == nil {
			return fmt.Errorf("record %d at %d, but record %d at %d is valid: %w", p.seq, p.off, at.seq, off, damage)
		}
	}
	return nil
}

func buildLog(generation uint64, recs [][]byte, max int64) ([]byte, position, error) {
	b := logHeader(generation)
	tail := position{generation: generation, off: int64(len(b))}
	for i, rec := range recs {
		if int64(len(b))+headerSize+int64(len(rec)) > max {
			return nil, tail, fmt.Errorf("record %d of %d does not fit into %d bytes: %w", i, len(recs), max, ErrTooLarge)
		}
		b = append(b, tail.frame(rec)...)
		tail = tail.after(headerSize + len(rec))
	}
	return b, tail, nil
}
