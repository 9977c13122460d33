// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"bufio"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sort"
)

// An Index cuts an image into chunks where its content says so, and names each by its digest: chunks that two images share are found
// wherever they lie. Its file format is casync's .caibx, version 2:
//
//	header  8 bytes 48, 8 bytes 96824d9c7b129ff9, 8 bytes flags (bit 61: chunks are named by SHA-512/256, else SHA-256),
//	        3 times 8 bytes: smallest, average and largest chunk
//	table   8 bytes ff, 8 bytes e75b9e112f17417d, then for each chunk 8 bytes with the offset of its end and 32 bytes with its digest
//	tail    16 bytes 0, 8 bytes 48, 8 bytes length of table and tail, 8 bytes 4b4f050e5549ecd1
//
// All integers are little endian. An index is not signed and need not be trusted: it tells where bytes may be found,
// the page file's signed root decides whether they are the right ones. It is immutable and safe for concurrent use.
type Index struct {
	flags         uint64
	min, avg, max int64
	ends          []int64
	ids           [][32]byte
}

// Limits of an index.
const (
	// MaxIndexChunks is how many chunks an index may have.
	MaxIndexChunks = 4 << 20
	// MaxIndexChunk is the longest chunk in bytes.
	MaxIndexChunk = 4 << 20
)

// ErrIndex says that bytes are no index, or not one that this package reads.
var ErrIndex = errors.New("chunk: not an index")

const (
	indexType  = 0x96824d9c7b129ff9
	tableType  = 0xe75b9e112f17417d
	tailMarker = 0x4b4f050e5549ecd1
	sha512Flag = 0x2000000000000000
	caFlags    = 0x9000000000000000 // what casync sets for a blob
	indexHead  = 48
	tableItem  = 40
)

// Size returns the size of the image in bytes.
func (x *Index) Size() int64 {
	if len(x.ends) == 0 {
		return 0
	}
	return x.ends[len(x.ends)-1]
}

// Chunks returns the number of chunks.
func (x *Index) Chunks() int { return len(x.ends) }

// Chunk returns where chunk n, from 0, begins, its length and its digest.
func (x *Index) Chunk(n int) (offset, length int64, id [32]byte) {
	if n > 0 {
		offset = x.ends[n-1]
	}
	return offset, x.ends[n] - offset, x.ids[n]
}

// at returns the number of the chunk that holds the byte at offset.
func (x *Index) at(offset int64) int {
	return sort.Search(len(x.ends), func(n int) bool { return x.ends[n] > offset })
}

// sum names a chunk.
func (x *Index) sum(p []byte) [32]byte {
	if x.flags&sha512Flag != 0 {
		return sha512.Sum512_256(p)
	}
	return sha256.Sum256(p)
}

// hash is what sum hashes with.
func (x *Index) hash() hash.Hash {
	if x.flags&sha512Flag != 0 {
		return sha512.New512_256()
	}
	return sha256.New()
}

// Agreeing returns the index of the first chunks that r yields as the index says, so that its Size is as far as a half-written image can be
// built upon. It costs one pass of hashing, much less than BuildIndex. The error is r's.
func (x *Index) Agreeing(r io.Reader) (*Index, error) {
	h := x.hash()
	var buf [32 << 10]byte
	var sum [32]byte
	same := *x
	for n := range x.ends {
		same.ends, same.ids = x.ends[:n], x.ids[:n]
		offset, length, id := x.Chunk(n)
		h.Reset()
		copied, err := io.CopyBuffer(h, io.LimitReader(r, length), buf[:])
		if err != nil {
			return nil, fmt.Errorf("read image at %d: %w", offset+copied, err)
		}
		if copied < length || [32]byte(h.Sum(sum[:0])) != id {
			return &same, nil
		}
	}
	return x, nil
}

// ReadIndex reads a .caibx of at most MaxIndexChunks chunks. Errors are ErrIndex and r's own.
func ReadIndex(r io.Reader) (*Index, error) {
	b := bufio.NewReader(r)
	var head [indexHead + 16]byte
	if _, err := io.ReadFull(b, head[:]); err != nil {
		return nil, ended(err)
	}
	word := func(p []byte, n int) uint64 { return binary.LittleEndian.Uint64(p[8*n:]) }
	x := &Index{flags: word(head[:], 2), min: int64(word(head[:], 3)), avg: int64(word(head[:], 4)), max: int64(word(head[:], 5))}
	switch {
	case word(head[:], 0) != indexHead || word(head[:], 1) != indexType || word(head[:], 6) != 1<<64-1 || word(head[:], 7) != tableType:
		return nil, fmt.Errorf("no header of an index: %w", ErrIndex)
	case x.min < 1 || x.min > x.avg || x.avg > x.max || x.max > MaxIndexChunk:
		return nil, fmt.Errorf("chunks of %d, %d and %d bytes, at most %d: %w", x.min, x.avg, x.max, MaxIndexChunk, ErrIndex)
	}
	for before := int64(0); ; {
		var item [tableItem]byte
		if _, err := io.ReadFull(b, item[:]); err != nil {
			return nil, ended(err)
		}
		end := int64(word(item[:], 0))
		if end == 0 {
			if word(item[:], 1) != 0 || word(item[:], 2) != indexHead || word(item[:], 4) != tailMarker ||
				word(item[:], 3) != uint64(16+tableItem*(len(x.ends)+1)) {
				return nil, fmt.Errorf("wrong tail after %d chunks: %w", len(x.ends), ErrIndex)
			}
			break
		}
		if end <= before || end-before > x.max || len(x.ends) == MaxIndexChunks {
			return nil, fmt.Errorf("chunk %d from %d to %d, at most %d bytes: %w", len(x.ends), before, end, x.max, ErrIndex)
		}
		x.ends, x.ids, before = append(x.ends, end), append(x.ids, [32]byte(item[8:])), end
	}
	if _, err := b.ReadByte(); err != io.EOF {
		return nil, fmt.Errorf("bytes after the tail: %w", errors.Join(ErrIndex, err))
	}
	return x, nil
}

func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("index ends early: %w", ErrIndex)
	}
	return err
}

// WriteTo writes the index as a .caibx.
func (x *Index) WriteTo(w io.Writer) (int64, error) {
	b := make([]byte, 0, indexHead+16+tableItem*(len(x.ends)+1))
	for _, v := range []uint64{indexHead, indexType, x.flags, uint64(x.min), uint64(x.avg), uint64(x.max), 1<<64 - 1, tableType} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	for n, end := range x.ends {
		b = binary.LittleEndian.AppendUint64(b, uint64(end))
		b = append(b, x.ids[n][:]...)
	}
	for _, v := range []uint64{0, 0, indexHead, uint64(16 + tableItem*(len(x.ends)+1)), tailMarker} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	n, err := w.Write(b)
	return int64(n), err
}

// Sizes of the chunks that BuildIndex cuts.
const (
	cutMin  = 16 << 10
	cutAvg  = 24 << 10
	cutMax  = 64 << 10
	cutMask = uint64(8<<10-1) << 40 // so many bits zero: one place in 8 KiB
)

// gear gives every byte value a random word: the first eight bytes of its SHA-256.
var gear = func() (g [256]uint64) {
	for i := range g {
		sum := sha256.Sum256([]byte{byte(i)})
		g[i] = binary.BigEndian.Uint64(sum[:])
	}
	return g
}()

// BuildIndex cuts what r yields into chunks of 16 to 64 KiB, at places that the 64 bytes before them determine: for each byte b,
// hash = hash*2 + gear[b] (mod 2^64), and a chunk of at least 16 KiB ends where bits 40 to 52 of the hash are zero. Chunks
// are named by SHA-256. (casync cuts elsewhere; indexes of one image made by both do not share chunks.)
func BuildIndex(r io.Reader) (*Index, error) {
	x := &Index{flags: caFlags, min: cutMin, avg: cutAvg, max: cutMax}
	buf := make([]byte, 0, cutMax)
	offset := int64(0)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cutMax])
		buf = buf[:len(buf)+n]
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, fmt.Errorf("read image at %d: %w", offset+int64(len(buf)), err)
		}
		if len(buf) == 0 {
			return x, nil
		}
		if len(x.ends) == MaxIndexChunks {
			return nil, fmt.Errorf("more than %d chunks: %w", MaxIndexChunks, ErrIndex)
		}
		end := cut(buf)
		offset += int64(end)
		x.ends, x.ids = append(x.ends, offset), append(x.ids, sha256.Sum256(buf[:end]))
		buf = buf[:copy(buf, buf[end:])]
	}
}

// cut returns the length of the first chunk of p, which holds the largest chunk or all that is left.
func cut(p []byte) int {
	if len(p) <= cutMin {
		return len(p)
	}
	var hash uint64
	for i := cutMin - 64; i < len(p); i++ {
		hash = hash<<1 + gear[p[i]]
		if i >= cutMin-1 && hash&cutMask == 0 {
			return i + 1
		}
	}
	return len(p)
}
