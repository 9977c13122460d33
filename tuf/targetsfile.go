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

// openTargets verifies a file of a targets role, in two readings. The first looks at nothing but JSON: it makes the canonical
// form of the signed part on the way to the signatures' digests, and the digests of the blocks. The second reads what it says, from blocks
// that are the same bytes, once the signatures hold. Neither holds more than one value of it.
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
	verified := verifySigned(file, signers)
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
		if file, verified = sorted(file, signers); verified != nil {
			return nil, verified
		}
		t.sorted = file
	}
	if verified != nil {
		return nil, verified
	}
	return t, t.read(file.reader())
}

// sorted puts a small file into order, in memory, and verifies it in that form.
func sorted(file *blocks, signers *roleKeys) (*blocks, error) {
	data, err := file.reader().readAll()
	if err != nil {
		return nil, err
	}
	canonical, err := Canonical(data)
	if err != nil {
		return nil, err
	}
	data = value(canonical).json()
	file = newBlocks(bytes.NewReader(data), int64(len(data)), nil)
	if err := verifySigned(file, signers); err != nil {
		return nil, err
	}
	return file, file.complete()
}

// verifySigned is the first reading: it returns nil if the file is a metadata file that signers signed.
func verifySigned(file *blocks, signers *roleKeys) error {
	s := newScanner(file, 0)
	var signatures map[string][]byte
	var votes *votes
	signed := int64(-1)
	seen := make(map[string]bool)
	err := s.object("metadata", false, func(name value, _ int64) error {
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
			return passSigned(s, votes)
		}
		_, err := s.canonical(1)
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	if signed < 0 || signatures == nil {
		return malformed("metadata: signed and signatures expected")
	}
	if votes == nil {
		votes = newVotes(signers, signatures)
		if err := passSigned(newScanner(file.reader(), signed), votes); err != nil {
			return err
		}
	}
	return votes.count()
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

// passSigned passes the signed part and writes its canonical form to out.
func passSigned(s *scanner, out *votes) error {
	members := 0
	return s.copyObject("signed", out, func(name value) error {
		if members++; members > maxMembers {
			return s.fail("too many members")
		}
		b, err := s.peek()
		if err != nil {
			return err
		}
		if b == '{' && string(name) == `"targets"` {
			return s.copyObject("targets", out, func(value) error { return s.copyValue(3, out) })
		}
		return s.copyValue(2, out)
	})
}

// copyObject passes an object of sorted members and writes its canonical form, but for the values, which are each's.
func (s *scanner) copyObject(what string, out *votes, each func(name value) error) error {
	separator := []byte("{")
	err := s.object(what, true, func(name value, _ int64) error {
		out.Write(separator)
		out.Write(name)
		out.Write([]byte(":"))
		separator = []byte(",")
		return each(name)
	})
	if separator[0] == '{' {
		out.Write(separator)
	}
	out.Write([]byte("}"))
	return err
}

func (s *scanner) copyValue(depth int, out *votes) error {
	v, err := s.canonical(depth)
	out.Write(v)
	return err
}

// votes counts the distinct public keys of a role that signed what is written to it.
type votes struct {
	role   *roleKeys
	checks []vote
	buf    []byte
}

type vote struct {
	key Key
	signatureCheck
}

func newVotes(signers *roleKeys, signatures map[string][]byte) *votes {
	v := &votes{role: signers, buf: make([]byte, 0, blockSize)}
	for keyID, key := range signers.keys {
		if sig := signatures[keyID]; sig != nil {
			if check := key.check(sig); check != nil {
				v.checks = append(v.checks, vote{key, check})
			}
		}
	}
	return v
}

// Write takes a piece of the message; pieces are small, so they are handed on together. A nil *votes takes nothing.
func (v *votes) Write(p []byte) {
	if v == nil {
		return
	}
	if len(v.buf)+len(p) > cap(v.buf) {
		v.flush()
	}
	if len(p) > cap(v.buf) {
		for _, c := range v.checks {
			c.Write(p)
		}
		return
	}
	v.buf = append(v.buf, p...)
}

func (v *votes) flush() {
	for _, c := range v.checks {
		c.Write(v.buf)
	}
	v.buf = v.buf[:0]
}

// count is the verdict. Two key ids of one public key are one signer.
func (v *votes) count() error {
	v.flush()
	signers := make(map[Key]bool)
	for _, c := range v.checks {
		if !signers[c.key] && c.Verify() == nil {
			signers[c.key] = true
		}
	}
	return v.role.judge(signers)
}

// read is the second reading, of a file whose signatures hold: it takes the header and the delegations, checks each entry, and notes where
// some of them are.
func (t *Targets) read(file *blocks) error {
	s := newScanner(file, 0)
	return s.object("metadata", false, func(name value, _ int64) error {
		if string(name) != `"signed"` {
			_, err := s.raw()
			return err
		}
		listed := false
		head := value("{")
		err := s.object("signed", true, func(name value, _ int64) error {
			if string(name) == `"targets"` {
				listed = true
				return t.readEntries(s)
			}
			v, err := s.canonical(2)
			if len(head) > 1 {
				head = append(head, ',')
			}
			head = append(append(append(head, name...), ':'), v...)
			if len(head) > maxHeld {
				return malformed("signed: more than %d bytes beside the targets", maxHeld)
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := t.parseHead(append(head, '}')); err != nil {
			return err
		}
		if !listed {
			return malformed("targets: missing")
		}
		return nil
	})
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

// readEntries notes where every so many bytes an entry begins, so that few have to be passed to find one.
func (t *Targets) readEntries(s *scanner) error {
	stride := max(1<<10, s.src.size/8192)
	noted := int64(-stride)
	return s.object("targets", true, func(name value, at int64) error {
		v, err := s.canonical(3)
		if err != nil {
			return err
		}
		path := name.unquoted()
		if _, err := parseTargetFile(path, v); err != nil {
			return err
		}
		if t.count++; at-noted >= stride {
			t.marks = append(t.marks, mark{path, at})
			noted = at
		}
		return nil
	})
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
