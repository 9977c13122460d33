// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// Digest is a digest value together with its algorithm. It is comparable (a public
// value, so == is the comparison) and usable as a map key. The zero Digest is
// invalid and equals no Digest that NewDigest, Sum or ParseDigest return.
type Digest struct {
	hash Hash
	sum  [MaxHashSize]byte // hash.Size() bytes, then zeros
}

// NewDigest wraps a digest that was computed or read elsewhere. It is ErrAlgorithm if h is not
// Valid and ErrMalformed if sum has not exactly h.Size() bytes: truncated digests do not exist here.
func NewDigest(h Hash, sum []byte) (Digest, error) {
	if !h.Valid() {
		return Digest{}, fmt.Errorf("digest algorithm %d: %w", int(h), ErrAlgorithm)
	}
	if len(sum) != h.Size() {
		return Digest{}, fmt.Errorf("%v digest of %d bytes, expected %d: %w", h, len(sum), h.Size(), ErrMalformed)
	}
	d := Digest{hash: h}
	copy(d.sum[:], sum)
	return d, nil
}

// Sum returns the digest of data. It panics if h is not Valid, as Hash.New does.
func Sum(h Hash, data []byte) Digest {
	if h == SHA256 { // without an allocation
		return sum256(sha256.Sum256(data))
	}
	w := h.New()
	w.Write(data)
	d := Digest{hash: h}
	w.Sum(d.sum[:0])
	return d
}

func sum256(sum [sha256.Size]byte) Digest {
	d := Digest{hash: SHA256}
	copy(d.sum[:], sum[:])
	return d
}

// SumReader returns the digest of everything r yields, and how many bytes that was. It
// reads in constant memory until io.EOF; bound r if it comes from outside. Errors are r's own.
// It panics if h is not Valid, as Hash.New does.
func SumReader(h Hash, r io.Reader) (Digest, int64, error) {
	w := h.New()
	n, err := io.Copy(w, r)
	if err != nil {
		return Digest{}, n, err
	}
	d := Digest{hash: h}
	w.Sum(d.sum[:0])
	return d, n, nil
}

// ParseDigest reads the String form, "sha256:" followed by exactly 64 lower-case
// hexadecimal digits (96 and 128 for the longer hashes). Each Digest has one such form.
func ParseDigest(s string) (Digest, error) {
	name, digits, ok := strings.Cut(s, ":")
	if !ok {
		return Digest{}, fmt.Errorf("digest %.80q: expected algorithm:hex: %w", s, ErrMalformed)
	}
	h, err := ParseHash(name)
	if err != nil {
		return Digest{}, err
	}
	if len(digits) != 2*h.Size() || strings.ToLower(digits) != digits {
		return Digest{}, fmt.Errorf("%v digest of %d digits, expected %d in lower case: %w", h, len(digits), 2*h.Size(), ErrMalformed)
	}
	sum, err := hex.DecodeString(digits)
	if err != nil {
		return Digest{}, fmt.Errorf("%v digest: %v: %w", h, err, ErrMalformed)
	}
	return NewDigest(h, sum)
}

// Hash returns the algorithm, 0 for the zero Digest.
func (d Digest) Hash() Hash { return d.hash }

// Bytes returns a copy of the value, nil for the zero Digest.
func (d Digest) Bytes() []byte {
	if d.IsZero() {
		return nil
	}
	return append([]byte(nil), d.sum[:d.hash.Size()]...)
}

// Is reports whether d is the digest by h whose value is sum. The zero Digest is none.
func (d Digest) Is(h Hash, sum []byte) bool {
	return d.hash == h && h != 0 && string(d.sum[:h.Size()]) == string(sum)
}

// IsZero reports whether d is the zero Digest, which stands for "no digest".
func (d Digest) IsZero() bool { return d.hash == 0 }

// String returns "sha256:" and lower-case hexadecimal digits, "none" for the zero Digest.
func (d Digest) String() string {
	if d.IsZero() {
		return "none"
	}
	return d.hash.String() + ":" + hex.EncodeToString(d.sum[:d.hash.Size()])
}

// MarshalText returns the String form; the zero Digest is an error.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, fmt.Errorf("zero digest: %w", ErrMalformed)
	}
	return []byte(d.String()), nil
}

// UnmarshalText is ParseDigest.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
