// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import "github.com/firmament-dev/firmament/verify"

// ChunkInfo is what the author says about a payload's chunk digests, carried
// in suit-parameter-fetch-arguments as the deterministic CBOR array
//
//	[1, hash algorithm, root digest, chunk size, ? index URI]
//
// where 1 is the version of this form and the algorithm is a COSE code point.
// The root digest, like the rest of the manifest, is signed by the author.
type ChunkInfo struct {
	Root verify.Digest // of the root page; SHA-256
	Size uint32        // bytes per chunk: a power of two, MinChunkSize..MaxChunkSize
	URI  string        // of the page file; "" means the payload's URI + ".chunks"
}
