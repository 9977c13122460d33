// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/verify"
)

// A Patch is an opened patch. It keeps one page of the table in memory. Not safe for concurrent use.
type Patch struct {
	h      header
	patch  io.ReaderAt
	digest verify.Digest

	page    []byte // verified
	number  int64  // of page; -1: none
	first   int64  // offset of the page's first frame
	entries [pageEntries]entry
}

// Open reads the header of a patch, whose signed digest is digest: SHA-256, the Info.Digest of Make. memory is how many bytes
// of buffers the patch may need to be applied, 0 means DefaultMemory. The patch itself is not trusted; it may lie in a
// cache directory or behind ranges of a server.
//
// Errors: *fetch.DigestError if the header is not the signed one; ErrFormat, ErrBounds; ErrMemory; those of patch.
func Open(patch io.ReaderAt, digest verify.Digest, memory int64) (*Patch, error) {
	if digest.Hash() != verify.SHA256 {
		return nil, fmt.Errorf("patch under %v, expected sha256: %w", digest, ErrUse)
	}
	b := make([]byte, headerSize)
	if err := readFull(patch, b, 0); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if got := verify.Sum(verify.SHA256, b); got != digest {
		return nil, &fetch.DigestError{Part: "delta header", Want: digest, Got: got}
	}
	h, err := decodeHeader(b)
	if err != nil {
		return nil, err
	}
	if memory = cmp.Or(memory, DefaultMemory); h.memory > memory || needed(h.frameSize, 0) > memory {
		return nil, fmt.Errorf("%d bytes, at most %d allowed: %w", h.memory, memory, ErrMemory)
	}
	return &Patch{h: h, patch: patch, digest: digest, number: -1}, nil
}

// needed is the memory for applying: the block, the largest packed frame, and 448 KiB for the model, the window of the
// old image, the page of the table and what zstd holds.
func needed(frameSize, packed int64) int64 { return frameSize + packed + 448<<10 }

// OldSize returns the size of the image that the patch was made from.
func (p *Patch) OldSize() int64 { return p.h.oldSize }

// NewSize returns the size of the image that the patch makes.
func (p *Patch) NewSize() int64 { return p.h.newSize }

// OldDigest returns the SHA-256 of the image that the patch was made from.
func (p *Patch) OldDigest() verify.Digest { return digestOf(p.h.old) }

// NewDigest returns the SHA-256 of the image that the patch makes.
func (p *Patch) NewDigest() verify.Digest { return digestOf(p.h.new) }

// FrameSize returns the number of bytes that each frame but the last makes.
func (p *Patch) FrameSize() int64 { return p.h.frameSize }

// Frames returns the number of frames.
func (p *Patch) Frames() int64 { return p.h.frames() }

// Memory returns how many bytes of buffers applying needs, as its maker declared; a frame that needs more is refused.
func (p *Patch) Memory() int64 { return p.h.memory }

// CheckBase reads the old image and returns nil if it is the one that the patch was made from, else ErrBase. Apply does
// it before its first write; callers who resume often may do it once and set ApplyOptions.BaseChecked.
func (p *Patch) CheckBase(ctx context.Context, old io.ReaderAt) error {
	h, buf := sha256.New(), make([]byte, 64<<10)
	for at := int64(0); at < p.h.oldSize; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), p.h.oldSize-at)]
		if err := readFull(old, b, at); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("old image ends before %d of %d bytes: %w", at+int64(len(b)), p.h.oldSize, ErrBase)
			}
			return fmt.Errorf("read old image at %d: %w", at, err)
		}
		h.Write(b)
		at += int64(len(b))
	}
	if got := [32]byte(h.Sum(nil)); got != p.h.old {
		return fmt.Errorf("old image is %v, the patch was made from %v: %w", digestOf(got), p.OldDigest(), ErrBase)
	}
	return nil
}

// ApplyOptions configure Apply.
type ApplyOptions struct {
	// Chunks are the author's chunk digests of the new image. Every chunk is compared before it is written. Chunks are at
	// most as large as frames. Nil leaves it to the digests of the patch, which must then be signed themselves.
	Chunks *fetch.Tree
	// BaseChecked says that CheckBase, or the caller, found the old image to be the right one since it last changed.
	// What is read from it is still caught by the digest of the block it ends up in.
	BaseChecked bool
	// SyncEvery is after how many bytes the sink is synced, by default 1 MiB.
	SyncEvery int64
	// OnProgress is called after each block with the bytes that the sink holds. It may be nil.
	OnProgress func(done, total int64)
}

// Apply makes the new image out of old and writes it to sink from the sink's Offset on, block by block; a block is
// written after its digest and those of its chunks held, never before. The sink must not be where old is.
//
// It needs no state to resume: a sink that stands within the image is moved back to the beginning of its frame, if it is a
// fetch.Resumer, and continued. After a power cut, whatever the sink kept and synced is good.
// When it returns nil the sink holds the whole image, synced. Its owner still reads the medium back.
//
// Errors: ErrBase before the first write; *fetch.DigestError for a part of the patch, a block or a chunk that is not
// what was signed; ErrFormat and ErrBounds for a patch that was signed and is wrong all the same; ErrUse; ctx's error;
// those of old, patch and sink. After each of them the image can still be fetched by other means into the same sink.
func (p *Patch) Apply(ctx context.Context, old io.ReaderAt, sink fetch.Sink, o ApplyOptions) error {
	if o.Chunks != nil {
		l := o.Chunks.Layout()
		if l.Size() != p.h.newSize || l.ChunkSize() > p.h.frameSize {
			return fmt.Errorf("chunks of %d bytes of an image of %d, frames of %d of %d: %w", l.ChunkSize(), l.Size(), p.h.frameSize, p.h.newSize, ErrUse)
		}
	}
	at, err := p.begin(sink)
	if err != nil {
		return err
	}
	if at < p.h.newSize && !o.BaseChecked {
		if err := p.CheckBase(ctx, old); err != nil {
			return err
		}
	}
	u, err := newUnpacker(ctx, &p.h, old)
	if err != nil {
		return err
	}
	defer u.zstd.Close()
	block, every := make([]byte, min(p.h.frameSize, p.h.newSize)), cmp.Or(o.SyncEvery, 1<<20)
	synced := at
	for ; at < p.h.newSize; at = sink.Offset() {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, sink.Sync())
		}
		b := block[:min(p.h.frameSize, p.h.newSize-at)]
		if err := p.block(ctx, u, b, at, o.Chunks); err != nil {
			return errors.Join(fmt.Errorf("frame %d: %w", at/p.h.frameSize, err), sink.Sync())
		}
		if err := write(sink, b, at); err != nil {
			return err
		}
		if o.OnProgress != nil {
			o.OnProgress(at+int64(len(b)), p.h.newSize)
		}
		if at+int64(len(b))-synced >= every {
			if err := sink.Sync(); err != nil {
				return fmt.Errorf("sync sink: %w", err)
			}
			synced = at + int64(len(b))
		}
	}
	if err := sink.Sync(); err != nil {
		return fmt.Errorf("sync sink: %w", err)
	}
	return nil
}

// begin returns the offset to begin at, the first byte of a frame.
func (p *Patch) begin(sink fetch.Sink) (int64, error) {
	at := sink.Offset()
	if at < 0 || at > p.h.newSize {
		return 0, fmt.Errorf("sink stands at %d of %d: %w", at, p.h.newSize, ErrUse)
	}
	if at%p.h.frameSize == 0 || at == p.h.newSize {
		return at, nil
	}
	start := at - at%p.h.frameSize
	r, ok := sink.(fetch.Resumer)
	if !ok {
		return 0, fmt.Errorf("sink stands at %d and cannot go back to %d: %w", at, start, ErrUse)
	}
	if err := r.Resume(start); err != nil {
		return 0, fmt.Errorf("resume sink at %d: %w", start, err)
	}
	return start, nil
}

func write(sink fetch.Sink, b []byte, at int64) error {
	n, err := sink.Write(b)
	if err == nil && (n != len(b) || sink.Offset() != at+int64(len(b))) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write sink at %d: %w", at, err)
	}
	return nil
}

// block makes and verifies the block at offset at.
func (p *Patch) block(ctx context.Context, u *unpacker, b []byte, at int64, chunks *fetch.Tree) error {
	n := at / p.h.frameSize
	e, offset, err := p.entry(ctx, n)
	if err != nil {
		return err
	}
	if e.length > int64(len(u.packed)) {
		return fmt.Errorf("packed frame of %d bytes, at most %d: %w", e.length, len(u.packed), ErrBounds)
	}
	packed := u.packed[:e.length]
	if err := readFull(p.patch, packed, offset); err != nil {
		return fmt.Errorf("read patch at %d: %w", offset, err)
	}
	if got := sha256.Sum256(packed); got != e.frame {
		return &fetch.DigestError{Part: "delta frame", Number: n, Offset: offset, Want: digestOf(e.frame), Got: digestOf(got)}
	}
	if err := u.unpack(packed, b, at); err != nil {
		return err
	}
	if got := sha256.Sum256(b); got != e.block {
		return &fetch.DigestError{Part: "delta block", Number: n, Offset: at, Want: digestOf(e.block), Got: digestOf(got)}
	}
	if chunks == nil {
		return nil
	}
	return checkChunks(ctx, b, at, chunks)
}

// checkChunks compares the chunks of a block with the author's digests.
func checkChunks(ctx context.Context, b []byte, at int64, chunks *fetch.Tree) error {
	size := chunks.Layout().ChunkSize()
	for len(b) > 0 {
		n := min(size, int64(len(b)))
		want, err := chunks.Digest(ctx, at/size)
		if err != nil {
			return err
		}
		if got := verify.Sum(verify.SHA256, b[:n]); got != want {
			return &fetch.DigestError{Part: "chunk", Number: at / size, Offset: at, Want: want, Got: got}
		}
		b, at = b[n:], at+n
	}
	return nil
}

// entry returns the table's entry for frame n and where that frame lies.
func (p *Patch) entry(ctx context.Context, n int64) (entry, int64, error) {
	want := n / pageEntries
	if p.number > want {
		p.number = -1 // pages are chained forwards
	}
	for p.number < want {
		if err := ctx.Err(); err != nil {
			return entry{}, 0, err
		}
		if err := p.turn(); err != nil {
			return entry{}, 0, err
		}
	}
	offset := p.first
	for i := range n % pageEntries {
		offset += p.entries[i].length
	}
	return p.entries[n%pageEntries], offset, nil
}

// turn reads and verifies the page after the current one.
func (p *Patch) turn() error {
	next, digest, first := p.number+1, p.h.table, headerSize+p.h.tableSize()
	if p.number >= 0 {
		digest, first = [32]byte(p.page[pageEntries*entrySize:]), p.first
		for i := range p.entries {
			first += p.entries[i].length
		}
	}
	offset, entries, length := p.h.page(next)
	page := make([]byte, length)
	p.number = -1
	if err := readFull(p.patch, page, offset); err != nil {
		return fmt.Errorf("read table at %d: %w", offset, err)
	}
	if got := sha256.Sum256(page); got != digest {
		return &fetch.DigestError{Part: "delta table", Number: next, Offset: offset, Want: digestOf(digest), Got: digestOf(got)}
	}
	for i := range entries {
		p.entries[i] = decodeEntry(page[i*entrySize:])
	}
	p.page, p.number, p.first = page, next, first
	return nil
}

func digestOf(sum [32]byte) verify.Digest {
	d, err := verify.NewDigest(verify.SHA256, sum[:])
	if err != nil {
		panic(err) // 32 bytes are a SHA-256 digest
	}
	return d
}
