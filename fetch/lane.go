// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/firmament-dev/firmament/verify"
)

// repairs is how often a chunk or page with a wrong digest is asked for again.
const repairs = 2

// fast is how quickly a chunk has to come for the line to be a fast one.
const fast = 100 * time.Millisecond

// A lane receives pieces of the payload, chunk after chunk, verifies each, and hands it to the job. It runs in a
// goroutine of its own, so that receiving and hashing one chunk overlap with writing the one before.
//
// Invariant: everything of the lane's piece before off-held was handed on; buf holds held verified bytes, whole chunks; after them
// the first fill bytes of the chunk at off, which went through sum and which nobody has verified yet; and up to got what came after
// them and nobody has looked at. Nothing of the latter is left when a connection is opened or waited for.
type lane struct {
	j *job

	tree    *Tree // chunk mode, else nil
	sum     hash.Hash
	hash    *hasher
	payload remoteFile
	pages   remoteFile
	budget  budget

	free chan []byte // buffers that the job is done with
	buf  []byte
	held int
	fill int
	got  int
	full bool      // the last read brought all that was asked for: there may be more at once
	gone error     // how the body ended, after the bytes in buf
	from time.Time // when the current chunk began
	off  int64
	end  int64 // of the piece
	body *body // of the payload; nil between requests
	skip int64 // bytes of body that are not wanted again
	anew bool  // body began at 0, though it was not asked to
	high int64 // the furthest that counted as progress

	failures int  // those in a row when the last connection was opened
	slow     bool // it has ended, and what it brought was no progress
}

// A block is what a lane tells the job.
type block struct {
	lane *lane

	at int64
	p  []byte // verified bytes from at on, or nil
	// validator is that of the version they are from.
	validator string

	there  int64  // as many bytes from at on are in the sink already
	rewind bool   // whole mode: the server began again, and what was written is void
	retry  *Retry // a failure that will be tried again
	late   bool   // no lane says so: it is time for a checkpoint
	end    bool   // the lane has ended
	err    error  // why, if not because everything is done
}

// newLane returns a lane that stands nowhere yet.
func (j *job) newLane() (*lane, error) {
	l := &lane{j: j, hash: newHasher(), free: make(chan []byte, j.depth)}
	l.payload = remoteFile{o: j.o, uri: j.res.URI, size: j.res.Size, validator: j.validator, gate: j.gate, lanes: &j.working, requests: &j.count.requests}
	l.budget = budget{o: j.o, uri: j.res.URI, notify: func(r Retry) { j.blocks <- block{lane: l, retry: &r} }, wasted: j.wasted}
	for range j.depth {
		l.free <- nil // made when first needed
	}
	if j.whole {
		l.sum = j.res.Digest.Hash().New()
		return l, nil
	}
	l.sum = sha256.New()
	l.pages = remoteFile{o: j.o, uri: j.res.pageURI(), size: j.layout.Bytes(), ahead: pagesAhead * PageSize, gate: j.gate, lanes: &j.working, requests: &j.count.requests}
	var err error
	l.tree, err = NewTree(j.layout, j.res.Chunks.Root, (*pageFetcher)(l))
	return l, err
}

// errAlone says that the server does not serve ranges, and that another lane goes on without them.
var errAlone = errors.New("server without ranges")

// run works on pieces until there are none.
func (l *lane) run(ctx context.Context) error {
	defer func() {
		l.drop()
		l.j.count.discarded.Add(int64(l.got - l.held))
	}()
	for {
		from, to, ok := l.j.plan.take()
		if !ok {
			return nil
		}
		if l.body != nil && from != l.off {
			if l.anew && from > l.off {
				l.skip = from - l.off // it goes on to the end of the file, and another one would begin anew, too
			} else {
				l.drop()
			}
		}
		l.off, l.end, l.high = from, to, from
		for l.off < l.end {
			if err := l.chunk(ctx); err != nil {
				l.hand()
				if err == errAlone {
					return nil
				}
				return err
			}
		}
		l.hand()
		if l.j.whole {
			return l.checkWhole()
		}
		if l.j.plan.pieces() {
			l.drop() // it ends here
		}
	}
}

// confirm reads what the job was told is in the sink, and reports each chunk that is.
func (l *lane) confirm(ctx context.Context) error {
	medium := l.j.sink.(io.ReaderAt)
	l.buffer()
	for _, s := range l.j.said {
		for l.off = s.start; l.off < s.end; l.off += int64(l.need()) {
			if ctx.Err() != nil {
				return cancelled(ctx)
			}
			want, err := l.digest(ctx)
			if err != nil {
				return err
			}
			p := l.chunkBuf()
			if n, err := medium.ReadAt(p, l.off); n < len(p) || err != nil && err != io.EOF || l.hash.sum(p) != want {
				continue
			}
			l.j.blocks <- block{lane: l, at: l.off, there: int64(len(p))}
		}
	}
	return nil
}

// chunk brings the next chunk, or in whole mode the next block.
func (l *lane) chunk(ctx context.Context) error {
	var want verify.Digest
	if l.tree != nil {
		var err error
		if want, err = l.digest(ctx); err != nil {
			return err
		}
	}
	l.from = time.Now()
	if l.tree != nil {
		l.sum.Reset()
	}
	if err := l.receive(ctx); err != nil {
		return err
	}
	p := l.chunkBuf()
	if l.tree != nil {
		if err := l.check(ctx, p, want); err != nil {
			l.j.count.discarded.Add(int64(l.got - l.held - len(p)))
			l.got = l.held // check has counted p
			return err
		}
	}
	l.off, l.held, l.fill = l.off+int64(len(p)), l.held+len(p), 0
	// On a fast line a few chunks go together: to wake the job up costs more than to keep it waiting.
	if next := l.need(); l.got-l.held < next && (!l.full || len(l.buf)-l.held < next || time.Since(l.from) > fast) {
		l.hand()
	}
	return nil
}

// hand gives the job what is verified. What follows moves to another buffer.
func (l *lane) hand() {
	if l.held == 0 {
		return
	}
	rest := l.buf[l.held:l.got]
	l.j.blocks <- block{lane: l, at: l.off - int64(l.held), p: l.buf[:l.held], validator: l.payload.validator}
	l.buf, l.held, l.got = nil, 0, 0
	if len(rest) > 0 {
		l.buffer()
		l.got = copy(l.buf, rest)
	}
}

// buffer takes the next free one.
func (l *lane) buffer() {
	if l.buf = <-l.free; l.buf == nil {
		l.buf = make([]byte, min(l.j.step*int64(l.j.batch), l.j.res.Size))
	}
}

// chunkBuf is where the current chunk goes.
func (l *lane) chunkBuf() []byte { return l.buf[l.held : l.held+l.need()] }

// need is the length of the current chunk.
func (l *lane) need() int { return int(min(l.j.step, l.j.res.Size-l.off)) }

// check compares the chunk in p, which went through sum, with its signed digest and, as long as it is wrong, asks for it again.
func (l *lane) check(ctx context.Context, p []byte, want verify.Digest) error {
	got := l.hash.digest(l.sum)
	for try := 0; ; try++ {
		if got == want {
			return nil
		}
		l.fill = 0
		l.j.count.discarded.Add(int64(len(p)))
		bad := &DigestError{Part: "chunk", Number: l.off / l.j.step, Offset: l.off, Want: want, Got: got}
		if r, ok := l.j.o.Source.(Rejecter); ok {
			l.drop()
			r.Reject(l.j.res.URI, l.off, int64(len(p)))
		}
		if try == repairs || l.j.wasted() {
			return bad
		}
		n, err := l.readAt(ctx, &l.payload, p, l.off)
		l.j.count.fetched.Add(n)
		if err != nil {
			l.j.count.discarded.Add(n)
			return fmt.Errorf("%w; asked for it again: %w", bad, err)
		}
		l.j.count.discarded.Add(n - int64(len(p)))
		got = l.hash.sum(p)
	}
}

func (l *lane) checkWhole() error {
	got, err := verify.NewDigest(l.j.res.Digest.Hash(), l.sum.Sum(nil))
	if err == nil && got != l.j.res.Digest {
		err = &DigestError{Part: "payload", Want: l.j.res.Digest, Got: got}
		if r, ok := l.j.o.Source.(Rejecter); ok {
			r.Reject(l.j.res.URI, 0, l.j.res.Size) // the next call may be served better
		}
	}
	return err
}

// digest returns the signed digest of the current chunk. A page that stays wrong ends the download.
func (l *lane) digest(ctx context.Context) (verify.Digest, error) {
	for try := 0; ; try++ {
		want, err := l.tree.Digest(ctx, l.off/l.j.step)
		var bad *DigestError
		if err == nil || try == repairs || !errors.As(err, &bad) {
			return want, err
		}
		if r, ok := l.j.o.Source.(Rejecter); ok {
			r.Reject(l.pages.uri, bad.Offset, PageSize)
		}
	}
}

// readAt is remoteFile.readAt under the lane's budget. It returns how many bytes arrived in all attempts.
func (l *lane) readAt(ctx context.Context, f *remoteFile, p []byte, offset int64) (arrived int64, err error) {
	for {
		if _, err := l.j.gate.hold(ctx, func() {}); err != nil {
			return arrived, err
		}
		n, err := f.readAt(ctx, p, offset)
		arrived += n
		if err == nil {
			return arrived, nil
		}
		if err := l.budget.wait(ctx, err); err != nil {
			return arrived, err
		}
	}
}

// pageFetcher reads pages over the network.
type pageFetcher lane

func (p *pageFetcher) ReadPage(ctx context.Context, n int64, page []byte) error {
	l := (*lane)(p)
	l.hand()
	arrived, err := l.readAt(ctx, &l.pages, page, n*PageSize)
	l.j.count.pages.Add(arrived)
	return err
}

// receive fills buf with the current chunk over as many requests as it takes and the budget allows.
func (l *lane) receive(ctx context.Context) error {
	for l.take(); l.fill < l.need(); l.take() {
		waited, err := l.j.gate.hold(ctx, l.hand)
		if waited {
			l.drop() // after a night, nobody is at the other end
		}
		if err == nil {
			if err = l.more(ctx); err == nil {
				continue
			}
		}
		l.drop()
		if otherFile(err) {
			l.void()
		}
		if err != errAlone {
			l.hand()
			if l.slow {
				l.budget.failures, l.slow = max(l.budget.failures, l.failures), false
			}
			err = l.budget.wait(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take hashes what has been received of the current chunk.
func (l *lane) take() {
	p := l.buf[l.held+l.fill : min(l.got, l.held+l.need())]
	if len(p) == 0 {
		return
	}
	l.sum.Write(p)
	l.fill += len(p)
	l.advance()
}

// more reads what is there, as much of it as there is room for: of a fast line several chunks at a time, since to be woken up
// costs much more than to copy.
func (l *lane) more(ctx context.Context) error {
	if err := l.gone; err != nil {
		l.gone = nil
		return early(err)
	}
	if l.body == nil {
		if err := l.open(ctx); err != nil {
			return err
		}
	}
	if l.buf == nil {
		l.buffer()
	}
	p := l.buf[l.got:]
	if l.skip > 0 {
		n, err := l.body.Read(p[:min(l.skip, int64(len(p)))])
		l.skip -= int64(n)
		l.j.count.fetched.Add(int64(n))
		l.j.count.discarded.Add(int64(n))
		return early(err)
	}
	left := l.end - l.off - int64(l.fill)
	p = p[:min(left, int64(len(p)))]
	n, err := l.body.Read(p)
	l.got, l.full = l.got+n, n == len(p)
	l.j.count.fetched.Add(int64(n))
	if err == nil || n == 0 {
		return early(err)
	}
	l.drop()
	if err != io.EOF || int64(n) < left {
		l.gone = err // comes to be known when these bytes are used up
	}
	return nil
}

// advance fills the budget up again when the lane got further than ever by a smallest chunk, or to a chunk's end.
// Less does not count: a server must not be able to keep a device busy for a byte per connection, nor by beginning
// again and again. What a connection brought is taken back when it ends and was slower than MinRate.
func (l *lane) advance() {
	at := l.off + int64(l.fill)
	if at >= l.high+MinChunkSize || at > l.high && l.fill == l.need() {
		l.high = at
		l.budget.reset()
	}
}

// open asks for the rest of the piece. In buf may be the beginning of a chunk; it is kept if the body continues it. That
// both are of one version is not sure, but the chunk's digest decides.
func (l *lane) open(ctx context.Context) error {
	at := l.off + int64(l.fill)
	if l.j.whole && l.payload.validator == "" && at > 0 {
		// Nothing would tell another version, and its digest only at the very end.
		l.rewind()
		at = 0
	}
	length := l.end - at
	if l.end == l.j.res.Size {
		length = 0
	}
	b, err := l.payload.open(ctx, at, length)
	if err != nil {
		return err
	}
	l.body, l.skip, l.failures, l.slow, l.anew = b, 0, l.budget.failures, false, b.Offset != at
	if !l.anew {
		return nil
	}
	l.j.count.restarts.Add(1)
	if l.j.wasted() { // nothing has to fail for a body to begin anew
		return fmt.Errorf("body begins at 0, asked for %d: %w", at, ErrTransport)
	}
	if l.j.whole {
		l.rewind()
		return nil
	}
	if !l.j.plan.alone(l.off, l.end) {
		return errAlone
	}
	l.end = l.j.plan.rest(l.end)
	l.j.count.discarded.Add(int64(l.fill))
	l.fill, l.got, l.skip = 0, l.held, l.off
	l.sum.Reset()
	return nil
}

// void throws away what nobody has verified, for it turned out to be of another file.
func (l *lane) void() {
	if l.j.whole {
		l.rewind()
		return
	}
	l.j.count.discarded.Add(int64(l.fill))
	l.fill, l.got = 0, l.held
	l.sum.Reset()
}

// early is err, unless that says that a body has ended where more of it was wanted: a range that is not read on.
func early(err error) error {
	if err == io.EOF {
		return errEarly
	}
	return err
}

// rewind goes back to the first byte, in whole mode.
func (l *lane) rewind() {
	l.j.count.discarded.Add(l.off + int64(l.fill))
	if l.off > int64(l.held) {
		l.j.blocks <- block{lane: l, rewind: true}
	}
	l.off, l.held, l.fill, l.got = 0, 0, 0, 0
	l.sum.Reset()
}

// drop closes the body, if one is open, and forgets how it ended.
func (l *lane) drop() {
	l.gone = nil
	if l.body != nil {
		l.slow = l.body.slow()
		l.body.close()
		l.body = nil
	}
}
