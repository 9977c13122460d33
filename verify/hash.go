// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// Hash is a digest algorithm, numbered as in the IANA COSE Algorithms registry.
// The zero value is no algorithm.
type Hash int

// The digest algorithms in use (RFC 9054, section 5).
const (
	SHA256 Hash = -16
	SHA384 Hash = -43
	SHA512 Hash = -44
)

// MaxHashSize is the size of the longest digest, in bytes.
const MaxHashSize = sha512.Size

// ParseHash returns the algorithm for its String form: "sha256", "sha384" or "sha512".
// Anything else is ErrAlgorithm.
func ParseHash(name string) (Hash, error) {
	for _, h := range []Hash{SHA256, SHA384, SHA512} {
		if h.String() == name {
			return h, nil
		}
	}
	return 0, fmt.Errorf("hash algorithm %.20q: %w", name, ErrAlgorithm)
}

// Valid reports whether h is one of the algorithms of this package.
func (h Hash) Valid() bool { return h.Size() != 0 }

// Size returns the digest length in bytes, 0 if h is not Valid.
func (h Hash) Size() int {
	switch h {
	case SHA256:
		return sha256.Size
	case SHA384:
		return sha512.Size384
	case SHA512:
		return sha512.Size
	}
	return 0
}

// New returns a running hash. Like crypto.Hash.New it panics if h is not Valid, which is a
// programming error: every Hash read from input went through NewDigest or ParseHash.
func (h Hash) New() hash.Hash {
	switch h {
	case SHA256:
		return sha256.New()
	case SHA384:
		return sha512.New384()
	case SHA512:
		return sha512.New()
	}
	panic(fmt.Sprintf("verify: New of %v", h))
}

// String returns the lower-case name, such as "sha256".
func (h Hash) String() string {
	switch h {
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	case SHA512:
		return "sha512"
	}
	return fmt.Sprintf("hash(%d)", int(h))
}
