// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A frame is how one copy of a Record, or one record of a Log, lies on the
// medium. All numbers are big-endian.
//
//	offset  size  field
//	0       4     magic: "FMr1" (record) or "FMl1" (log)
//	4       4     n, length of the data in bytes
//	8       8     sequence number
//	16      16    SHA-256 over bytes 0..16, the place (8 bytes) and the data, cut to 128 bits
//	32      n     data
//
// The place is where the frame belongs: 0 or 1 for the copies of a record, the
// generation and offset of a log (see log.go). A frame that turns up elsewhere,
// in bytes of an older file or inside the data of another frame, does not check.
const headerSize = 32

type magic [4]byte

var (
	recordMagic = magic{'F', 'M', 'r', '1'}
	logMagic    = magic{'F', 'M', 'l', '1'}
)

type frame struct {
	seq  uint64
	data []byte
}

func (f frame) size() int64 { return headerSize + int64(len(f.data)) }

func (f frame) append(b []byte, m magic, place uint64) []byte {
	start := len(b)
	b = append(b, m[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.data)))
	b = binary.BigEndian.AppendUint64(b, f.seq)
	b = append(b, checksum(b[start:], place, f.data)...)
	return append(b, f.data...)
}

func checksum(head []byte, place uint64, data []byte) []byte {
	h := sha256.New()
	h.Write(head[:16])
	h.Write(binary.BigEndian.AppendUint64(nil, place))
	h.Write(data)
	return h.Sum(nil)[:16]
}

// parseFrame reads the frame at the start of b. Its data aliases b.
func parseFrame(b []byte, m magic, place uint64) (frame, error) {
	n, err := dataSize(b, m)
	if err != nil {
		return frame{}, err
	}
	data := b[headerSize : headerSize+n]
	if want := checksum(b, place, data); !bytes.Equal(want, b[16:headerSize]) {
		return frame{}, fmt.Errorf("checksum is %x, data has %x: %w", b[16:headerSize], want, ErrCorrupt)
	}
	return frame{binary.BigEndian.Uint64(b[8:]), data}, nil
}

// dataSize returns the length that the header claims if b is long enough for it.
func dataSize(b []byte, m magic) (int64, error) {
	if len(b) < headerSize {
		return 0, fmt.Errorf("%d bytes are too few for a header: %w", len(b), ErrCorrupt)
	}
	if !bytes.Equal(b[:4], m[:]) {
		return 0, fmt.Errorf("magic %x, want %x: %w", b[:4], m[:], ErrCorrupt)
	}
	n := int64(binary.BigEndian.Uint32(b[4:]))
	if n > int64(len(b)-headerSize) {
		return 0, fmt.Errorf("length %d, %d bytes left: %w", n, len(b)-headerSize, ErrCorrupt)
	}
	return n, nil
}
