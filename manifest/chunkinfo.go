// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Chunk sizes are powers of two in these bounds, in bytes.
const (
	MinChunkSize = 16 << 10
	MaxChunkSize = 4 << 20
)

const chunkInfoVersion = 1

// ChunkInfo is what the author says about a payload's chunk digests, carried
// in suit-parameter-fetch-arguments as the deterministic CBOR array
//
//	[1, hash algorithm, root digest, chunk size, ? index URI]
//
// where 1 is the version of this form and the algorithm is a COSE code point,
// always -16 (SHA-256). The root digest, like the rest of the manifest, is signed
// by the author; image-size and image-digest stay SUIT's own parameters. How
// pages of digests hang below the root is the matter of package fetch/chunk.
type ChunkInfo struct {
	Root verify.Digest // of the root page; SHA-256
	Size uint32        // bytes per chunk: a power of two, MinChunkSize to MaxChunkSize
	URI  string        // of the page file; "" means the payload's URI + ".chunks"
}

// ParseFetchArguments reads the content of suit-parameter-fetch-arguments.
//
// Errors: ErrMalformed (ErrNotCanonical), ErrLimit, ErrUnsupported for another
// version, verify.ErrAlgorithm for another hash.
func ParseFetchArguments(b []byte) (ChunkInfo, error) {
	info, err := parseFetchArguments(b)
	if err != nil {
		return ChunkInfo{}, fmt.Errorf("fetch arguments: %w", err)
	}
	return info, nil
}

func parseFetchArguments(b []byte) (info ChunkInfo, err error) {
	p := cborstream.New(b, cborstream.Limits{Size: MaxArguments, Depth: 1, Items: MaxArguments})
	n, err := p.Array()
	if err != nil {
		return info, err
	}
	at := p.Offset()
	if v, err := p.Uint(); err != nil {
		return info, err
	} else if v != chunkInfoVersion {
		return info, p.Refuse(at, ErrUnsupported, "version %d, expected %d", v, chunkInfoVersion)
	}
	if n != 4 && n != 5 {
		return info, p.Refuse(0, ErrMalformed, "%d items, expected 4 or 5", n)
	}
	at = p.Offset()
	algorithm, err := p.Int()
	if err != nil {
		return info, err
	}
	if algorithm != int64(verify.SHA256) {
		return info, p.Refuse(at, verify.ErrAlgorithm, "digest algorithm %d, expected %d", algorithm, verify.SHA256)
	}
	at = p.Offset()
	root, err := p.Bytes()
	if err != nil {
		return info, err
	}
	if info.Root, err = verify.NewDigest(verify.SHA256, root); err != nil {
		return info, p.Refuse(at, err, "root digest")
	}
	at = p.Offset()
	size, err := p.Uint()
	if err != nil {
		return info, err
	}
	if !validChunkSize(size) {
		return info, p.Refuse(at, ErrMalformed, "chunk size %d, expected a power of two from %d to %d", size, MinChunkSize, MaxChunkSize)
	}
	info.Size = uint32(size)
	if n == 5 {
		uri, err := decodeURI(p)
		if err != nil {
			return info, err
		}
		info.URI = string(uri)
	}
	p.End()
	return info, p.Done()
}

func validChunkSize(size uint64) bool {
	return MinChunkSize <= size && size <= MaxChunkSize && size&(size-1) == 0
}

// Encode returns the content for suit-parameter-fetch-arguments. It refuses what
// ParseFetchArguments would, with the same errors.
func (c ChunkInfo) Encode() ([]byte, error) {
	n := 4
	if c.URI != "" {
		n++
	}
	b := cborstream.AppendUint(cborstream.AppendArray(nil, n), chunkInfoVersion)
	b = cborstream.AppendInt(b, int64(c.Root.Hash()))
	b = cborstream.AppendBytes(b, c.Root.Bytes())
	b = cborstream.AppendUint(b, uint64(c.Size))
	if c.URI != "" {
		b = cborstream.AppendText(b, c.URI)
	}
	if _, err := ParseFetchArguments(b); err != nil {
		return nil, err
	}
	return b, nil
}
