// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
)

// Contents of simulated files and devices are pages shared between images: a
// page or a content may be changed only by the tree that owns it, everybody
// else copies it first. Thousands of images of one disk cost their differences.

const pageSize = 4096

type digest = [sha256.Size]byte

// owner is the identity of a tree between two clones of it.
type owner struct{ _ byte }

type page struct {
	owner *owner
	sum   atomic.Pointer[digest]
	data  [pageSize]byte
}

func (p *page) digest() *digest {
	if sum := p.sum.Load(); sum != nil {
		return sum
	}
	sum := digest(sha256.Sum256(p.data[:]))
	p.sum.Store(&sum)
	return &sum
}

// content is the bytes of a file or device. Pages that are nil or missing at
// the end are zero; bytes of the last page beyond size are zero.
type content struct {
	owner *owner
	sum   atomic.Pointer[digest]
	size  int64
	pages []*page
}

// by returns c itself if o owns it, or else a copy that o does.
func (c *content) by(o *owner) *content {
	if c.owner == o {
		c.sum.Store(nil)
		return c
	}
	return &content{owner: o, size: c.size, pages: append([]*page(nil), c.pages...)}
}

func (c *content) page(i int) *page {
	if i < len(c.pages) {
		return c.pages[i]
	}
	return nil
}

// edit returns page i for writing.
func (c *content) edit(i int) *page {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	switch p := c.pages[i]; {
	case p == nil:
		c.pages[i] = &page{owner: c.owner}
	case p.owner != c.owner:
		c.pages[i] = &page{owner: c.owner, data: p.data}
	default:
		p.sum.Store(nil)
	}
	return c.pages[i]
}

func (c *content) write(b []byte, off int64) {
	c.size = max(c.size, off+int64(len(b)))
	for len(b) > 0 {
		n := copy(c.edit(int(off / pageSize)).data[off%pageSize:], b)
		b, off = b[n:], off+int64(n)
	}
}

// read copies what there is at off and returns how much that was.
func (c *content) read(b []byte, off int64) int {
	b = b[:min(int64(len(b)), max(c.size-off, 0))]
	for done := 0; done < len(b); {
		at := off + int64(done)
		rest := b[done:min(len(b), done+int(pageSize-at%pageSize))]
		if p := c.page(int(at / pageSize)); p != nil {
			copy(rest, p.data[at%pageSize:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(b)
}

func (c *content) truncate(size int64) {
	if size < c.size {
		c.pages = c.pages[:min(int64(len(c.pages)), (size+pageSize-1)/pageSize)]
		if i := int(size / pageSize); size%pageSize != 0 && c.page(i) != nil {
			clear(c.edit(i).data[size%pageSize:])
		}
	}
	c.size = size
}

func (c *content) digest() *digest {
	if sum := c.sum.Load(); sum != nil {
		return sum
	}
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(c.size)))
	for i, p := range c.pages {
		if p != nil && *p.digest() != zeroPage {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(i)))
			h.Write(p.digest()[:])
		}
	}
	sum := digest(h.Sum(nil))
	c.sum.Store(&sum)
	return &sum
}

var zeroPage = digest(sha256.Sum256(make([]byte, pageSize)))

// garbage is what a medium holds where nothing was written: not zeros.
func garbage(b []byte, off int64) {
	for i := range b {
		at := uint64(off) + uint64(i)
		b[i] = byte((at*0x9e3779b97f4a7c15)>>56) | 1
	}
}
