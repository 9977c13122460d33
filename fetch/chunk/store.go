// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/firmament-dev/firmament/fetch"
)

// ErrChunk says that a file of a chunk store does not hold the chunk that it is named for. It is fetch.ErrDigest, too.
var ErrChunk = fmt.Errorf("chunk: not the chunk: %w", fetch.ErrDigest)

// StoreName returns the path of a chunk in a casync chunk store (.castr): four hexadecimal digits of its digest, a slash, all
// of them, and .cacnk. The file is one zstd frame.
func StoreName(id [32]byte) string {
	name := hex.EncodeToString(id[:])
	return name[:4] + "/" + name + ".cacnk"
}

// WriteStore gives put the file of each chunk of image, once, in the order of the index: with a name by StoreName. Chunks for which
// have is true are left out; have may be nil. put must not keep packed.
//
// Errors: ErrChunk if image is not what the index says; those of image and put.
func WriteStore(x *Index, image io.ReaderAt, have func(name string) bool, put func(name string, packed []byte) error) error {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(false)) // the chunk's name is a better one
	if err != nil {
		return err
	}
	defer z.Close()
	done := make(map[[32]byte]bool, x.Chunks())
	var p, packed []byte
	for n := range x.Chunks() {
		offset, length, id := x.Chunk(n)
		name := StoreName(id)
		if done[id] || have != nil && have(name) {
			continue
		}
		done[id] = true
		p = grow(p, length)
		if err := readAt(image, p, offset); err != nil {
			return fmt.Errorf("read image at %d: %w", offset, err)
		}
		if x.sum(p) != id {
			return fmt.Errorf("%d bytes at %d are not %x: %w", length, offset, id, ErrChunk)
		}
		packed = z.EncodeAll(p, packed[:0])
		if err := put(name, packed); err != nil {
			return fmt.Errorf("store chunk at %d: %w", offset, err)
		}
	}
	return nil
}

func grow(p []byte, n int64) []byte {
	if int64(cap(p)) < n {
		return make([]byte, n)
	}
	return p[:n]
}

// A Store is a fetch.Source that serves one payload out of a casync chunk store, which another source reaches: a file for each
// chunk. Everything else it passes on. With Reuse before it only the missing chunks are asked for, compressed; a payload file asks for
// fewer requests and more bytes. Nothing in the store is trusted. Safe for concurrent use.
type Store struct {
	source fetch.Source
	base   string
	uri    string
	index  *Index
}

// NewStore returns a Store for the payload at uri, which index describes, out of the chunk store at base; "" is the
// source's root.
func NewStore(source fetch.Source, base, uri string, index *Index) *Store {
	if base != "" {
		base = strings.TrimSuffix(base, "/") + "/"
	}
	return &Store{source: source, base: base, uri: uri, index: index}
}

// Open implements fetch.Source. The payload's stream has no validator: chunks are named by what they hold.
func (s *Store) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	if uri != s.uri {
		return s.source.Open(ctx, uri, offset, validator)
	}
	return s.OpenRange(ctx, uri, offset, s.index.Size()-offset, "")
}

// OpenRange implements fetch.RangeSource.
func (s *Store) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*fetch.Stream, error) {
	if uri != s.uri {
		return openRange(ctx, s.source, uri, offset, length, validator)
	}
	size := s.index.Size()
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, fmt.Errorf("%s at %d of %d: %w", fetch.RedactURI(uri), offset, size, fetch.ErrRange)
	}
	return &fetch.Stream{Body: &storeBody{s: s, ctx: ctx, at: offset, end: offset + length}, Offset: offset, Size: size}, nil
}

// A storeBody is the payload from at to end.
type storeBody struct {
	s       *Store
	ctx     context.Context
	at, end int64
	z       *zstd.Decoder
	packed  []byte
	chunk   []byte
	rest    []byte // of chunk
}

func (b *storeBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if b.at == b.end {
		return 0, io.EOF
	}
	if len(b.rest) == 0 {
		if err := b.load(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest[:min(int64(len(b.rest)), b.end-b.at)])
	b.rest, b.at = b.rest[n:], b.at+int64(n)
	return n, nil
}

// load gets the chunk at b.at.
func (b *storeBody) load() error {
	offset, length, id := b.s.index.Chunk(b.s.index.at(b.at))
	uri := b.s.base + StoreName(id)
	st, err := b.s.source.Open(b.ctx, uri, 0, "")
	if err != nil {
		return err
	}
	most := packedBound(length)
	packed := bytes.NewBuffer(grow(b.packed, most+1+bytes.MinRead)[:0])
	n, err := packed.ReadFrom(io.LimitReader(&arriving{b.ctx, st.Body}, most+1))
	st.Body.Close()
	b.packed = packed.Bytes()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", fetch.RedactURI(uri), err)
	case n > most:
		return fmt.Errorf("%s has more than %d bytes for a chunk of %d: %w", fetch.RedactURI(uri), most, length, ErrChunk)
	case st.Size >= 0 && n != st.Size:
		return fmt.Errorf("%s ended at %d of %d: %w", fetch.RedactURI(uri), n, st.Size, fetch.ErrTransport)
	}
	if b.z == nil {
		if b.z, err = newChunkDecoder(); err != nil {
			return err
		}
	}
	if b.chunk, err = unpackChunk(b.z, b.chunk, b.packed, length); err != nil {
		return fmt.Errorf("%s: %w", fetch.RedactURI(uri), err)
	}
	if got := b.s.index.sum(b.chunk); got != id {
		return fmt.Errorf("%s holds %x: %w", fetch.RedactURI(uri), got, ErrChunk)
	}
	b.rest = b.chunk[b.at-offset:]
	return nil
}

// arriving tells of a chunk's bytes as they come: none of them is returned before the last.
type arriving struct {
	ctx context.Context
	io.Reader
}

func (a *arriving) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	fetch.Arrived(a.ctx, n)
	return n, err
}

// packedBound is the most bytes that a chunk is read from.
func packedBound(length int64) int64 { return length + length/64 + 1024 }

func newChunkDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxIndexChunk))
}

// unpackChunk unpacks a chunk of length bytes, in dst if that has room.
func unpackChunk(z *zstd.Decoder, dst, packed []byte, length int64) ([]byte, error) {
	dst, err := z.DecodeAll(packed, grow(dst, length)[:0])
	if err != nil {
		if magic := []byte{0x28, 0xb5, 0x2f, 0xfd}; !bytes.HasPrefix(packed, magic) {
			err = fmt.Errorf("it begins with %x: packed otherwise than with zstd", packed[:min(len(magic), len(packed))])
		}
		return nil, fmt.Errorf("%w: %v", ErrChunk, err)
	}
	if int64(len(dst)) != length {
		return nil, fmt.Errorf("%d bytes, expected %d: %w", len(dst), length, ErrChunk)
	}
	return dst, nil
}

// Close ends reading.
func (b *storeBody) Close() error {
	if b.z != nil {
		b.z.Close()
		b.z = nil
	}
	b.end = b.at
	return nil
}
