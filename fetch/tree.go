// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/firmament-dev/firmament/verify"
)

// A PageReader reads pages of the page file, which is not trusted. ReadPage fills p (PageSize bytes) with page n.
type PageReader interface {
	ReadPage(ctx context.Context, n int64, p []byte) error
}

// A Tree looks up chunk digests in a page file and verifies each page against its parent, the first against the
// signed root. It keeps one page per level, so reading in order asks for each page once. Not safe for
// concurrent use.
type Tree struct {
	layout Layout
	root   verify.Digest
	pages  PageReader
	path   []page  // one per level, root first
	at     []int64 // scratch: one entry per level
	hash   *hasher
}

// page is a verified page, or none.
type page struct {
	held   bool
	number int64 // in file order
	data   [PageSize]byte
}

// NewTree returns a Tree over pages. root is SHA-256; anything else is ErrResource.
func NewTree(l Layout, root verify.Digest, pages PageReader) (*Tree, error) {
	if root.Hash() != verify.SHA256 {
		return nil, fmt.Errorf("chunk digests under %v, expected sha256: %w", root, ErrResource)
	}
	if l.pages == 0 {
		return nil, fmt.Errorf("zero layout: %w", ErrResource)
	}
	return &Tree{layout: l, root: root, pages: pages, path: make([]page, l.Levels()), at: make([]int64, l.Levels()), hash: newHasher()}, nil
}

// Layout returns the layout of the page file.
func (t *Tree) Layout() Layout { return t.layout }

// Digest returns the signed digest of chunk n, from 0 to Chunks-1. It reads the pages it does not hold. A page that
// does not fit its parent is a *DigestError and is not kept; other errors are the PageReader's.
func (t *Tree) Digest(ctx context.Context, n int64) (verify.Digest, error) {
	if n < 0 || n >= t.layout.Chunks() {
		return verify.Digest{}, fmt.Errorf("chunk %d of %d: %w", n, t.layout.Chunks(), ErrResource)
	}
	// at[level] is the entry, counted across the whole level, that leads to chunk n.
	at := t.at
	for level := len(at) - 1; level >= 0; level-- {
		at[level] = n
		n /= PageDigests
	}
	want := t.root
	for level := range t.path {
		p := &t.path[level]
		number := t.layout.FirstPage(level) + at[level]/PageDigests
		if !p.held || p.number != number {
			if err := t.load(ctx, p, number, want); err != nil {
				return verify.Digest{}, err
			}
		}
		slot := at[level] % PageDigests * 32
		var err error
		if want, err = verify.NewDigest(verify.SHA256, p.data[slot:slot+32]); err != nil {
			return verify.Digest{}, err
		}
	}
	return want, nil
}

func (t *Tree) load(ctx context.Context, p *page, number int64, want verify.Digest) error {
	p.held = false
	if err := t.pages.ReadPage(ctx, number, p.data[:]); err != nil {
		return err
	}
	if got := t.hash.sum(p.data[:]); got != want {
		return &DigestError{Part: "page", Number: number, Offset: number * PageSize, Want: want, Got: got}
	}
	p.held, p.number = true, number
	return nil
}

// A hasher computes SHA-256 digests again and again without leaving garbage for each: on a small device that is what
// memory would grow by.
type hasher struct {
	h   hash.Hash
	out [sha256.Size]byte
}

func newHasher() *hasher { return &hasher{h: sha256.New()} }

func (h *hasher) sum(p []byte) verify.Digest {
	h.h.Reset()
	h.h.Write(p)
	return h.digest(h.h)
}

// digest returns what a SHA-256 has come to.
func (h *hasher) digest(of hash.Hash) verify.Digest {
	d, err := verify.NewDigest(verify.SHA256, of.Sum(h.out[:0]))
	if err != nil {
		panic(err) // 32 bytes are a SHA-256 digest
	}
	return d
}
