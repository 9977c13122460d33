// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/verify"
)

func freeze(expires, at time.Time) error {
	return fmt.Errorf("%w: expired %s, update started %s", ErrFreeze, expires.Format(time.RFC3339), at.UTC().Format(time.RFC3339))
}

// MetaFile is what a parent says of a metadata file: its version always, its length and digests if the repository
// lists them (METAFILES, section 4.4). Length is in bytes, 0 if not listed.
type MetaFile struct {
	Version int64
	Length  int64
	hashes  hashes
}

// check compares a file's bytes with what the parent lists. It is safe on bytes that nobody has verified.
func (m MetaFile) check(data []byte) error {
	if m.Length > 0 && int64(len(data)) != m.Length {
		return fmt.Errorf("%w: %w: %d bytes listed, %d seen", ErrMixAndMatch, ErrLength, m.Length, len(data))
	}
	if m.hashes.listed {
		if err := m.hashes.check(data); err != nil {
			return fmt.Errorf("%w: %w", ErrMixAndMatch, err)
		}
	}
	return nil
}

func parseMetaFile(v value) (m MetaFile, err error) {
	if err := v.object("meta"); err != nil {
		return m, err
	}
	for name, v := range v.members() {
		switch name {
		case "version":
			m.Version, err = v.integer(name, 1)
		case "length":
			m.Length, err = v.integer(name, 1)
		case "hashes":
			m.hashes, err = parseHashes(v)
		}
		if err != nil {
			return m, err
		}
	}
	if m.Version == 0 {
		return m, malformed("meta: version missing")
	}
	return m, nil
}

// hashes is a HASHES object: the digests of known algorithms. Where it is listed but holds none of those,
// nothing can match it.
type hashes struct {
	listed  bool
	digests []verify.Digest
}

func parseHashes(v value) (h hashes, err error) {
	if err := v.object("hashes"); err != nil {
		return h, err
	}
	h.listed = true
	for name, v := range v.members() {
		text, err := v.text("hash")
		if err != nil {
			return h, err
		}
		algorithm, err := verify.ParseHash(name)
		if err != nil {
			continue // an algorithm of tomorrow beside one of today
		}
		raw, err := hex.DecodeString(text)
		if err != nil {
			return h, malformed("%s hash: hex expected, seen %.20q", name, text)
		}
		digest, err := verify.NewDigest(algorithm, raw)
		if err != nil {
			return h, malformed("%s hash: %d bytes expected, %d seen", name, algorithm.Size(), len(raw))
		}
		h.digests = append(h.digests, digest)
	}
	return h, nil
}

// check demands that every digest of a known algorithm matches, and that there is one.
func (h hashes) check(data []byte) error {
	if len(h.digests) == 0 {
		return fmt.Errorf("%w: no digest of a known algorithm listed", ErrHash)
	}
	for _, want := range h.digests {
		sum := want.Hash().New()
		sum.Write(data)
		if seen := sum.Sum(nil); !bytes.Equal(seen, want.Bytes()) {
			return fmt.Errorf("%w: %s listed, %x seen", ErrHash, want, seen)
		}
	}
	return nil
}

func (m MetaFile) equal(other MetaFile) bool {
	return m.Version == other.Version && m.Length == other.Length &&
		m.hashes.listed == other.hashes.listed && slices.Equal(m.hashes.digests, other.hashes.digests)
}
