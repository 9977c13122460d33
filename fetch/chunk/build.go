// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

// DefaultSize is the usual chunk size in bytes.
const DefaultSize = fetch.DefaultChunkSize

// ErrLength says that the payload has more or fewer bytes than its size says.
var ErrLength = errors.New("chunk: payload length differs")

// Build reads a payload of exactly size bytes from r and returns its page file and the digest of the root page, which
// is the value to sign. It holds one chunk and the page file (32 bytes per chunk) in memory.
//
// Errors: fetch.ErrResource for a size below 1 or an unusable chunk size, ErrLength if r has
// another length than size, and r's own.
func Build(r io.Reader, size, chunkSize int64) (pages []byte, root verify.Digest, err error) {
	layout, err := fetch.NewLayout(size, chunkSize)
	if err != nil {
		return nil, verify.Digest{}, err
	}
	leaves, err := digests(r, layout)
	if err != nil {
		return nil, verify.Digest{}, err
	}
	levels := [][]byte{pad(leaves)}
	for len(levels[0]) > fetch.PageSize {
		levels = append([][]byte{parents(levels[0])}, levels...)
	}
	for _, level := range levels {
		pages = append(pages, level...)
	}
	return pages, verify.Sum(verify.SHA256, pages[:fetch.PageSize]), nil
}

// digests returns the chunks' digests, one after the other.
func digests(r io.Reader, layout fetch.Layout) ([]byte, error) {
	var all []byte
	buf := make([]byte, min(layout.ChunkSize(), layout.Size()))
	for n := range layout.Chunks() {
		offset, length := layout.Chunk(n)
		if got, err := io.ReadFull(r, buf[:length]); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, fmt.Errorf("payload ends at %d, expected %d bytes: %w", offset+int64(got), layout.Size(), ErrLength)
		} else if err != nil {
			return nil, fmt.Errorf("read payload at %d: %w", offset+int64(got), err)
		}
		sum := sha256.Sum256(buf[:length])
		all = append(all, sum[:]...)
	}
	if n, err := io.ReadFull(r, buf[:1]); n > 0 {
		return nil, fmt.Errorf("payload goes on after %d bytes: %w", layout.Size(), ErrLength)
	} else if err != io.EOF {
		return nil, fmt.Errorf("read payload at %d: %w", layout.Size(), err)
	}
	return all, nil
}

// parents returns the level above: the digests of the pages of level.
func parents(level []byte) []byte {
	var up []byte
	for len(level) > 0 {
		sum := sha256.Sum256(level[:fetch.PageSize])
		up = append(up, sum[:]...)
		level = level[fetch.PageSize:]
	}
	return pad(up)
}

// pad fills the last page with zeros.
func pad(level []byte) []byte {
	if over := len(level) % fetch.PageSize; over != 0 {
		level = append(level, make([]byte, fetch.PageSize-over)...)
	}
	return level
}
