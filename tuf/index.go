// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/verify"
)

// An index is what Targets knows about a file that it verified, as bytes: with it and the file the metadata is there again without being
// verified again. It binds the file by the digest of every block, and the verification by a digest of the keys and the threshold that
// held then. It proves nothing by itself: only an index that nobody else can have written may be used.
//
//	index   = magic keys:32 size:8 count:8 text(role) list(digest) list(block:32) list(mark) text(head)
//	digest  = algorithm:8 text
//	mark    = offset:8 text(path)
//	list(x) = number:8 x…
//	text    = length:8 bytes
//
// Numbers are big-endian. Head is the signed part without the targets, in canonical form.
const indexMagic = "FMtufix1"

// MaxIndex is the size of the largest index, in bytes.
const MaxIndex = 64 << 20

// Index returns t's index; nil if t's file has to be put into order each time, which is why none can be used.
func (t *Targets) Index() []byte {
	if t.sorted != nil {
		return nil
	}
	number := func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }
	text := func(b []byte, s string) []byte { return append(number(b, int64(len(s))), s...) }
	b := append([]byte(indexMagic), t.keys[:]...)
	b = text(number(number(b, t.blocks.size), int64(t.count)), string(t.role))
	b = number(b, int64(len(t.blocks.digests)))
	for _, d := range t.blocks.digests {
		b = text(text(b, d.Hash().String()), string(d.Bytes()))
	}
	b = number(b, int64(len(t.blocks.sums)))
	for _, sum := range t.blocks.sums {
		b = append(b, sum[:]...)
	}
	b = number(b, int64(len(t.marks)))
	for _, m := range t.marks {
		b = text(number(b, m.at), m.path)
	}
	return text(b, string(t.head))
}

// errIndex: the index is not one for this file, role and keys. The file is then verified as if there were none.
var errIndex = errors.New("index does not fit")

// openIndex puts together the Targets that index describes, over a file that is not read yet.
func openIndex(signers *roleKeys, role Role, r io.ReaderAt, size int64, index []byte) (*Targets, error) {
	d := indexReader{rest: index}
	if d.take(len(indexMagic)) != indexMagic {
		return nil, errIndex
	}
	t := &Targets{role: role, blocks: &blocks{r: r, done: true}}
	copy(t.keys[:], d.take(len(t.keys)))
	t.blocks.size = int64(d.number())
	t.count = int(d.number())
	if d.text() != string(role) || t.blocks.size != size || t.keys != signers.digest() {
		return nil, errIndex
	}
	for range d.list(16) {
		name, sum := d.text(), d.text()
		h, err := verify.ParseHash(name)
		if err != nil {
			return nil, errIndex
		}
		digest, err := verify.NewDigest(h, []byte(sum))
		if err != nil {
			return nil, errIndex
		}
		t.blocks.digests = append(t.blocks.digests, digest)
	}
	n := d.list(sha256.Size)
	if int64(n) != (size+blockSize-1)/blockSize {
		return nil, errIndex
	}
	t.blocks.sums = make([][sha256.Size]byte, n)
	for i := range t.blocks.sums {
		copy(t.blocks.sums[i][:], d.take(sha256.Size))
	}
	t.marks = make([]mark, d.list(16))
	for i := range t.marks {
		t.marks[i].at = int64(d.number())
		t.marks[i].path = d.text()
	}
	t.marks = slices.Clip(t.marks)
	head := []byte(d.text())
	if d.bad || len(d.rest) > 0 || (t.count > 0) != (len(t.marks) > 0) ||
		slices.ContainsFunc(t.marks, func(m mark) bool { return m.at < 0 || m.at >= size }) {
		return nil, errIndex
	}
	if canonical, err := Canonical(value(head).json()); err != nil || !bytes.Equal(canonical, head) {
		return nil, errIndex
	}
	if t.parseHead(head) != nil {
		return nil, errIndex
	}
	return t, nil
}

// indexReader reads an index; after the first thing that is not there, everything is empty.
type indexReader struct {
	rest []byte
	bad  bool
}

func (d *indexReader) take(n int) string {
	if n < 0 || n > len(d.rest) {
		d.bad, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *indexReader) number() uint64 {
	s := d.take(8)
	if s == "" {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(s))
}

func (d *indexReader) text() string { return d.take(int(min(d.number(), uint64(MaxIndex)))) }

// list returns how many things of at least size bytes follow.
func (d *indexReader) list(size int) int {
	n := d.number()
	if n > uint64(len(d.rest)/size) {
		d.bad, d.rest = true, nil
		return 0
	}
	return int(n)
}

// RestoreTargetsIndex is RestoreTargetsFile without verification: index must be authentic, that is, come from Targets.Index by a way that
// nobody can have tampered with. It fails unless the index is for a file of that size that was verified with the keys that the root has
// now; each part of the file is compared with it when it is read.
func (s *Set) RestoreTargetsIndex(r io.ReaderAt, size int64, index []byte) error {
	old, err := openIndex(s.root.roles[RoleTargets], RoleTargets, r, size, index)
	if err == nil {
		s.restoreTargets(old)
	}
	return err
}

// OpenDelegatedIndex is OpenDelegatedFile without verification, under the conditions of RestoreTargetsIndex: d has to
// demand the keys that the file was verified with.
func (s *Set) OpenDelegatedIndex(d Delegation, r io.ReaderAt, size int64, index []byte, at time.Time) (*Targets, error) {
	listed, err := s.DelegatedMeta(d.name)
	if err != nil {
		return nil, err
	}
	t, err := openIndex(d.signers.under(s.root.policy, Role(d.name)), Role(d.name), r, size, index)
	if err == nil && !t.is(listed) {
		err = errIndex
	}
	if err != nil {
		return nil, err
	}
	if err := t.CheckFresh(at); err != nil {
		return nil, fail(Role(d.name), t.version, err)
	}
	return t, nil
}

// CheckFile reads the whole file and returns ErrCache unless it is what was verified.
func (t *Targets) CheckFile() error {
	return t.blocks.reader(readAhead).check()
}

func (b *blocks) check() error {
	for at := int64(0); at < b.size; {
		p, err := b.from(at)
		if err != nil {
			return err
		}
		at += int64(len(p))
	}
	return nil
}
