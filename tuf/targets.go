// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/firmament-dev/firmament/verify"
)

// Targets is verified targets metadata: the files that may be installed. It is immutable and safe for concurrent use. It keeps neither
// the file nor a structure per target, but the digests of the file's blocks and where some entries begin: what it is asked for it reads again, from
// bytes that have to be those that were verified.
//
// TUF 1.0.34, section 4.5. Search follows its delegations.
type Targets struct {
	header
	role   Role
	keys   [sha256.Size]byte // with which it was verified
	head   value             // the signed part without the targets
	blocks *blocks           // the file
	sorted *blocks           // what is read in its place, if its members were not in order
	count  int
	marks  []mark

	delegations delegations
}

// mark is where an entry begins.
type mark struct {
	path string
	at   int64
}

// Len is the number of targets listed.
func (t *Targets) Len() int { return t.count }

// All iterates the targets in ascending order of their paths, until the first error. Paths are the signer's text: use them as file names only after
// CheckPath. Errors: ErrCache if the file is no longer what was verified.
func (t *Targets) All() iter.Seq2[TargetFile, error] {
	return func(yield func(TargetFile, error) bool) {
		if len(t.marks) == 0 {
			return
		}
		if err := t.from(0, func(file TargetFile) bool { return yield(file, nil) }); err != nil {
			yield(TargetFile{}, err)
		}
	}
}

// Target returns the entry of a target path in this metadata alone. It reads a small part of the file. Errors: ErrTargetUnknown; ErrCache
// if that part is no longer what was verified.
func (t *Targets) Target(name string) (found TargetFile, err error) {
	listed := false
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].path > name }) - 1
	if i >= 0 {
		err = t.from(i, func(file TargetFile) bool {
			if listed = file.Path == name; listed {
				found = file
			}
			return file.Path < name
		})
	}
	if err == nil && !listed {
		err = fmt.Errorf("%w: %.200q", ErrTargetUnknown, name)
	}
	return found, err
}

// errStop ends the reading of entries early.
var errStop = errors.New("stop")

// from reads entries from a mark on, until yield returns false.
func (t *Targets) from(mark int, yield func(TargetFile) bool) error {
	file := t.blocks
	if t.sorted != nil {
		file = t.sorted
	}
	s := newScanner(file.reader(1), t.marks[mark].at)
	err := s.members("targets", true, nil, func(name value, _ int64) error {
		v, err := s.canonical(3)
		if err != nil {
			return err
		}
		file, err := parseTargetFile(name.unquoted(), v)
		if err == nil && !yield(file) {
			err = errStop
		}
		return err
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// TargetFile is what trusted targets metadata says of one file. Length is in bytes; Digests has at least one entry
// or the file cannot be verified; Custom is the signer's JSON object, nil if there is none.
type TargetFile struct {
	Path    string
	Length  int64
	Digests []verify.Digest
	Custom  json.RawMessage
}

// Verify compares the whole file with its entry. Errors: ErrLength, ErrHash.
func (t TargetFile) Verify(data []byte) error {
	if int64(len(data)) != t.Length {
		return fmt.Errorf("target %.200q: %w: %d bytes listed, %d seen", t.Path, ErrLength, t.Length, len(data))
	}
	if err := (hashes{digests: t.Digests}).check(data); err != nil {
		return fmt.Errorf("target %.200q: %w", t.Path, err)
	}
	return nil
}

// Copy copies the file from src to dst and compares it with its entry on the way, in constant memory. It reads at most one
// byte more than the entry's length. What dst has got is good only if Copy returns nil.
// Errors: ErrLength, ErrHash, those of dst and src.
func (t TargetFile) Copy(dst io.Writer, src io.Reader) error {
	writers := []io.Writer{dst}
	sums := make([]hash.Hash, len(t.Digests))
	for i, d := range t.Digests {
		sums[i] = d.Hash().New()
		writers = append(writers, sums[i])
	}
	n, err := io.Copy(io.MultiWriter(writers...), io.LimitReader(src, t.Length))
	if err != nil {
		return fmt.Errorf("target %.200q: %w", t.Path, err)
	}
	if n == t.Length {
		more, err := io.CopyN(io.Discard, src, 1)
		if n += more; err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("target %.200q: %w", t.Path, err)
		}
	}
	if n != t.Length {
		return fmt.Errorf("target %.200q: %w: %d bytes listed, %d or more seen", t.Path, ErrLength, t.Length, n)
	}
	if len(sums) == 0 {
		return fmt.Errorf("target %.200q: %w: no digest of a known algorithm listed", t.Path, ErrHash)
	}
	for i, d := range t.Digests {
		if seen := sums[i].Sum(nil); !bytes.Equal(seen, d.Bytes()) {
			return fmt.Errorf("target %.200q: %w: %s listed, %x seen", t.Path, ErrHash, d, seen)
		}
	}
	return nil
}

// Filename is the path under which the repository keeps the file: with consistent snapshots the hexadecimal digest
// and a point stand before the last element (HASH.FILENAME.EXT, section 5.7). Of several digests SHA-256 is preferred, then SHA-512.
// Errors: ErrPath, ErrHash if no digest of a known algorithm is listed.
func (t TargetFile) Filename(consistent bool) (string, error) {
	if err := CheckPath(t.Path); err != nil {
		return "", err
	}
	if !consistent {
		return t.Path, nil
	}
	for _, h := range []verify.Hash{verify.SHA256, verify.SHA512, verify.SHA384} {
		if i := slices.IndexFunc(t.Digests, func(d verify.Digest) bool { return d.Hash() == h }); i >= 0 {
			dir, file := path.Split(t.Path)
			return fmt.Sprintf("%s%x.%s", dir, t.Digests[i].Bytes(), file), nil
		}
	}
	return "", fmt.Errorf("target %.200q: %w: no digest of a known algorithm listed", t.Path, ErrHash)
}

func parseTargetFile(path string, v value) (t TargetFile, err error) {
	if err := v.object("target"); err != nil {
		return t, err
	}
	t.Path, t.Length = path, -1
	var h hashes
	for name, v := range v.members() {
		switch name {
		case "length":
			t.Length, err = v.integer("target length", 0)
		case "hashes":
			h, err = parseHashes(v)
		case "custom":
			err = v.object("custom")
			t.Custom = v.json()
		}
		if err != nil {
			return t, err
		}
	}
	if t.Length < 0 || !h.listed {
		return t, malformed("target %.200q: length and hashes expected", path)
	}
	t.Digests = h.digests
	return t, nil
}

// MaxPath is the longest target path that CheckPath accepts, in bytes.
const MaxPath = 1024

// CheckPath returns ErrPath unless name is safe as a relative path on any system and in a URL's path: elements
// separated by single slashes, none of them "." or "..", no backslash, colon or control character, valid UTF-8, at
// most MaxPath bytes.
func CheckPath(name string) error {
	if len(name) > MaxPath || name == "." || !fs.ValidPath(name) || strings.ContainsAny(name, `\:`) ||
		bytes.ContainsFunc([]byte(name), func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return fmt.Errorf("%w: %.200q", ErrPath, name)
	}
	return nil
}
