// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/verify"
)

// openTargets verifies a file of a targets role in one reading: it makes the digests of the blocks and of the whole and, of the signed part, the
// canonical form for the signatures and the contents. What the contents are is said only once the signatures hold; before that
// they are held within fixed bounds, and so is their first fault. A file in which the signatures stand last is read twice.
//
// With must, the file has to be the one that is listed; without, its digests are made and left to be compared. The zero MetaFile lists nothing.
func openTargets(signers *roleKeys, role Role, r io.ReaderAt, size int64, listed MetaFile, must bool) (*Targets, error) {
	t, err := readTargets(signers, r, size, listed, must)
	if err != nil {
		return nil, fail(role, listed.Version, err)
	}
	t.role = role
	if must && listed.Version > 0 && t.version != listed.Version {
		return nil, fail(role, t.version, fmt.Errorf("%w: version %d listed", ErrMixAndMatch, listed.Version))
	}
	return t, nil
}

func readTargets(signers *roleKeys, r io.ReaderAt, size int64, listed MetaFile, must bool) (*Targets, error) {
	if must && listed.Length > 0 && size != listed.Length {
		return nil, fmt.Errorf("%w: %w: %d bytes listed, %d seen", ErrMixAndMatch, ErrLength, listed.Length, size)
	}
	file := newBlocks(r, size, listed.hashes.digests)
	found, verified := verifySigned(file, signers)
	if err := file.complete(); err != nil { // also after an error: bytes that are not the listed ones are just that
		return nil, err
	}
	if must && listed.hashes.listed {
		if err := listed.hashes.equal(file.digests); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMixAndMatch, err)
		}
	}
	t := &Targets{blocks: file, keys: signers.digest()}
	if errors.Is(verified, errUnsorted) {
		if size > maxHeld {
			return nil, malformed("%v; a file of more than %d bytes must be sorted", verified, maxHeld)
		}
		t.sorted, found, verified = sorted(file, signers)
	}
	if verified != nil {
		return nil, verified
	}
	return t, t.take(found)
}

// sorted puts a small file into order, in memory, and verifies it in that form.
func sorted(file *blocks, signers *roleKeys) (*blocks, *contents, error) {
	data, err := file.reader(readAhead).readAll()
	if err != nil {
		return nil, nil, err
	}
	canonical, err := Canonical(data)
	if err != nil {
		return nil, nil, err
	}
	data = value(canonical).json()
	file = newBlocks(bytes.NewReader(data), int64(len(data)), nil)
	found, err := verifySigned(file, signers)
	if err != nil {
		return nil, nil, err
	}
	return file, found, file.complete()
}

// verifySigned returns what the signed part says if file is a metadata file that signers signed.
func verifySigned(file *blocks, signers *roleKeys) (*contents, error) {
	s := newScanner(file, 0)
	var signatures map[string][]byte
	var votes *votes
	signed, found := int64(-1), newContents(file.size)
	seen := make(map[string]bool)
	err := s.object("metadata", false, nil, func(name value, _ int64) error {
		text := name.unquoted()
		if seen[text] {
			return s.fail("member name given twice")
		}
		if seen[text] = true; len(seen) > maxMembers {
			return s.fail("too many members")
		}
		switch text {
		case "signatures":
			v, err := s.canonical(1)
			if err == nil {
				signatures, err = parseSignatures(v)
			}
			return err
		case "signed":
			if _, err := s.peek(); err != nil {
				return err
			}
			signed = s.offset()
			if votes = newVotes(signers, signatures); signatures == nil {
				votes = nil // they come later: for now only pass it
			}
			return passSigned(s, votes, found)
		}
		_, err := s.canonical(1)
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	if signed < 0 || signatures == nil {
		return nil, malformed("metadata: signed and signatures expected")
	}
	if votes == nil {
		votes = newVotes(signers, signatures)
		if err := passSigned(newScanner(file.reader(readAhead), signed), votes, newContents(file.size)); err != nil {
			return nil, err
		}
	}
	return found, votes.count()
}

// maxMembers bounds what stands beside signed and signatures, and beside the known members of signed.
const maxMembers = 64

// end demands that nothing but white space is left.
func (s *scanner) end() error {
	b, err := s.peek()
	if err == nil && (b != 0 || len(s.buf) > 0) {
		err = s.fail("data after the json value")
	}
	return err
}

// parseHead reads all of the signed part but the targets.
func (t *Targets) parseHead(head value) (err error) {
	t.head = head
	t.header, err = parseHeader(head, RoleTargets, func(name string, v value) (err error) {
		if name == "delegations" {
			t.delegations, err = parseDelegations(v)
		}
		return err
	})
	return err
}

// is reports whether t is the file that is listed. Digests that were not made when t was verified are taken for different.
func (t *Targets) is(listed MetaFile) bool {
	return listed.Version == t.version && (listed.Length == 0 || listed.Length == t.blocks.size) &&
		(!listed.hashes.listed || listed.hashes.equal(t.blocks.digests) == nil)
}

// digest names the keys, the threshold and the groups of a role: what was verified with one holds for another that has the same.
func (k *roleKeys) digest() [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d", k.threshold)
	for _, id := range sortedKeys(k.keys) {
		key := k.keys[id]
		fmt.Fprintf(h, " %d:%s %d:%s %d:%s", len(id), id, len(key.scheme), key.scheme, len(key.der), key.der)
	}
	for _, group := range k.groups {
		fmt.Fprintf(h, " %q", []string(group))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// equal demands that every digest of a known algorithm is among those of a file, and that there is one.
func (h hashes) equal(seen []verify.Digest) error {
	if len(h.digests) == 0 {
		return fmt.Errorf("%w: no digest of a known algorithm listed", ErrHash)
	}
	for _, want := range h.digests {
		if !slices.Contains(seen, want) {
			return fmt.Errorf("%w: %v listed, %v seen", ErrHash, h.digests, seen)
		}
	}
	return nil
}
