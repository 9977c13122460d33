// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// content is what a write or copy stores.
type content struct {
	open   func() (io.ReadCloser, int64, error)
	size   int64         // -1 if not known before it is opened
	digest verify.Digest // that its first size bytes, and no others, or all if size is -1, are to have; zero: that is for others to say
}

func bytesContent(b []byte) content {
	open := func() (io.ReadCloser, int64, error) { return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil }
	return content{open: open, size: int64(len(b))}
}

// reader reads what in is, out of source, which has length bytes.
func (in *content) reader(source io.Reader, length int64) *exactly {
	if in.digest.IsZero() {
		return &exactly{r: source, size: length}
	}
	if in.size >= 0 {
		length = in.size
	}
	return &exactly{r: io.LimitReader(source, length), size: length, want: in.digest, hash: in.digest.Hash().New()}
}

// write stores suit-parameter-content in component c. It was signed with the manifest and needs
// no digest.
//
// draft-ietf-suit-manifest-37, section 8.4.10.6; draft-ietf-suit-firmware-encryption-25, section 5.1.
func (m *machine) write(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	p := &m.at(c).params
	if p.Content == nil {
		return false, fmt.Errorf("%w: no content", ErrParameter)
	}
	holds := &foreseen{bytes: p.Content}
	if p.EncryptionInfo != nil {
		holds = nil
	}
	in := bytesContent(p.Content)
	if m.replayed.done[m.key(m.path)] {
		in.digest = verify.Sum(verify.SHA256, p.Content) // to look whether it is still there
	}
	return m.put(ctx, f, c, in, true, verify.Digest{}, -1, holds)
}

// copy stores the content of the source component in component c. One of the two is told from
// anything else: the plaintext by the image digest of c, or the source by an image-match before it. Of a source that has been
// matched it reads the image that was matched, and nothing behind that, and compares it as it reads: since the
// match, and a power cut may lie between, the source may have become another.
//
// draft-ietf-suit-manifest-37, section 8.4.10.5; draft-ietf-suit-firmware-encryption-25, section 5.2.
func (m *machine) copy(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	source, err := m.source(c, manifest.DirectiveCopy)
	if err != nil {
		return false, err
	}
	if err := m.uses(f, source, use{source: true}); err != nil {
		return false, err
	}
	from, p := m.of(source), &m.at(c).params
	matched := !from.matched.digest.IsZero() && !from.matched.envelope
	want, size := m.named(c)
	switch {
	case want.IsZero() && !matched && !m.o.Compat.has(CompatNoDigest):
		return false, fmt.Errorf("%w: no image digest, and the source has not been matched", ErrParameter)
	case want.IsZero():
		size = -1
	}
	reader := source.c.(Reader)
	in := content{open: func() (io.ReadCloser, int64, error) { return reader.Open(ctx) }, size: -1}
	if matched {
		in.size, in.digest = from.matched.size, from.matched.digest
	}
	_, dependency := m.u.m.Dependency(c)
	told := match{digest: want, size: size}
	if p.EncryptionInfo != nil || dependency {
		told = match{}
	}
	if err := m.foretellCopy(ctx, source, &in, told); err != nil {
		return false, err
	}
	holds := m.foresee(source)
	if known := imageOf(want, size); p.EncryptionInfo != nil || (known != nil && holds.bytes == nil && !dependency) {
		holds = known
		if holds != nil {
			holds.signed = dependency
		}
	}
	return m.put(ctx, f, c, in, matched, want, size, holds)
}

// source returns the source component of c, for a copy or a swap. Not only who runs the command needs access to it, but who
// has set the parameter, too: a dependency must not have its dependent touch what it may not touch itself.
func (m *machine) source(c int, code manifest.Code) (*target, error) {
	s := m.at(c)
	if s.params.SourceComponent == nil {
		return nil, fmt.Errorf("%w: no source component", ErrParameter)
	}
	list, err := s.source.m.Resolve(manifest.ComponentIndex{One: *s.params.SourceComponent})
	if err != nil {
		return nil, err
	}
	source := s.source.targets[list[0]]
	if source == m.u.targets[c] {
		return nil, fmt.Errorf("%w: component %v is its own source", manifest.ErrCommand, source.id)
	}
	if _, ok := source.c.(Reader); !ok {
		return nil, fmt.Errorf("%w: source %v cannot be read", errLacks, source.id)
	}
	for _, u := range []*unit{m.u, s.source} {
		if err := u.allowTarget(source, code, nil, code == manifest.DirectiveCopy); err != nil {
			return nil, err
		}
	}
	return source, nil
}

// put stores in, decrypted if there is encryption info, in component c, which then holds what holds says.
func (m *machine) put(ctx context.Context, f *frame, c int, in content, trusted bool, want verify.Digest, size int64, holds *foreseen) (replayed bool, err error) {
	t := m.u.targets[c]
	_, dependency := m.u.m.Dependency(c)
	do, err := m.stored(ctx, c, in, trusted, want, size)
	if err != nil {
		return false, err
	}
	if err := m.spendBytes(max(in.size, size)); err != nil {
		return false, err
	}
	if err := m.changes(ctx, f, t); err != nil {
		return false, err
	}
	if want.IsZero() && m.at(c).params.EncryptionInfo == nil {
		want, size, dependency = in.digest, in.size, false
	}
	replayed, err = m.act(ctx, f, m.still(ctx, t, want, size, dependency), do)
	if err != nil {
		return false, err
	}
	m.changed(t, holds)
	return replayed, nil
}

// stored returns what stores in into component c. The envelope of a dependency is read whole and opened before.
func (m *machine) stored(ctx context.Context, c int, in content, trusted bool, want verify.Digest, size int64) (func() error, error) {
	p, t := &m.at(c).params, m.u.targets[c]
	writer, ok := t.c.(Writer)
	if !ok {
		return nil, fmt.Errorf("%w: cannot be written", errLacks)
	}
	md, err := m.metadata(c)
	if err != nil {
		return nil, err
	}
	r := WriteRequest{Component: m.id(c), Size: size, Digest: want, Sequence: m.u.m.SequenceNumber,
		Manifest: m.u.v.Digest(), Metadata: md}
	decrypt, err := m.decryption(ctx, p.EncryptionInfo, trusted || !want.IsZero())
	if err != nil {
		return nil, err
	}
	_, dependency := m.u.m.Dependency(c)
	if dependency = dependency && !want.IsZero(); dependency {
		r.Digest = verify.Digest{}
		if decrypt == nil && in.size > manifest.MaxEnvelopeSize {
			return nil, fmt.Errorf("%w: an envelope of %d bytes, at most %d", manifest.ErrLimit, in.size, manifest.MaxEnvelopeSize)
		}
	}
	unknown := in.size < 0 && size < 0
	return func() (err error) {
		source, length, err := in.open()
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		defer func() { err = errors.Join(err, source.Close()) }()
		if unknown {
			if err := m.spendLate(length); err != nil {
				return err
			}
		}
		content := in.reader(source, length)
		r.Content = content
		if decrypt != nil {
			if r.Content, err = decrypt(r.Content); err != nil {
				return err
			}
		} else if r.Size < 0 {
			r.Size = content.size
		}
		switch {
		case dependency:
			data, err := m.envelope(r.Content, want)
			if err != nil {
				return err
			}
			r.Content, r.Size = bytes.NewReader(data), int64(len(data))
		case !want.IsZero() && (decrypt != nil || want != in.digest || size != in.size):
			r.Content = &exactly{r: r.Content, size: size, want: want, hash: want.Hash().New()}
		}
		if err := writer.Write(ctx, r); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return nil
	}, nil
}

// envelope reads an envelope, which must have the manifest want inside, while the platform works.
//
// draft-ietf-suit-trust-domains-12, section 5.2.2.
func (m *machine) envelope(r io.Reader, want verify.Digest) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, manifest.MaxEnvelopeSize+1)) // one more cannot be opened
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.opens(slices.Clone(data), want); err != nil {
		return nil, err
	}
	return data, nil
}

// spendLate is spendBytes for what is only known while the platform works.
func (m *machine) spendLate(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spendBytes(n)
}

// exactly reads size bytes, or any number if that is -1, with the digest want, if it is not zero, and then io.EOF.
type exactly struct {
	r    io.Reader
	size int64
	want verify.Digest
	hash hash.Hash
	n    int64
	err  error
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	n, err := e.r.Read(p)
	e.n += int64(n)
	if e.hash != nil {
		e.hash.Write(p[:n])
	}
	switch {
	case e.size >= 0 && e.n > e.size:
		n, err = 0, fmt.Errorf("%w: expected %d bytes, seen more", manifest.ErrDigest, e.size)
	case err == io.EOF:
		err = e.end()
	}
	e.err = err
	return n, err
}

func (e *exactly) end() error {
	if e.size >= 0 && e.n != e.size {
		return fmt.Errorf("%w: expected %d bytes, seen %d", manifest.ErrDigest, e.size, e.n)
	}
	if e.hash == nil {
		return io.EOF
	}
	seen, err := verify.NewDigest(e.want.Hash(), e.hash.Sum(nil))
	if err != nil {
		return err
	}
	if seen != e.want {
		return &Mismatch{Want: e.want, Seen: seen, Size: e.n}
	}
	return io.EOF
}

// swap exchanges the contents of component c and its source. Before it begins, that it will is made
// durable, with a random number that tells this exchange from those of other runs: from then on neither content is where
// earlier steps have put it.
//
// draft-ietf-suit-manifest-37, section 8.4.10.9.
func (m *machine) swap(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	source, err := m.source(c, manifest.DirectiveSwap)
	if err != nil {
		return false, err
	}
	t := m.u.targets[c]
	for _, x := range []*target{t, source} {
		if err := m.changes(ctx, nil, x); err != nil {
			return false, err
		}
		if err := m.uses(f, x, use{target: true, source: true}); err != nil {
			return false, err
		}
	}
	key := m.key(m.path)
	number, begun := m.replayed.started[key]
	if m.mode == performance && !begun {
		number = m.number()
	}
	swapper := t.c.(Swapper)
	r := SwapRequest{Component: m.id(c), Source: cloneID(source.id), With: source.c,
		ID: fmt.Sprintf("%v %s %d", m.u.v.Digest(), key, number), Manifest: m.u.v.Digest()}
	do := func() error {
		if err := swapper.Swap(ctx, r); err != nil {
			return platformError("swap", err)
		}
		return nil
	}
	if m.finishes && begun {
		clear(m.compared)
		if err := m.finish(do); err != nil {
			return false, err
		}
	}
	replayed, err = m.numbered(ctx, f, number, nil, do)
	if err != nil {
		return false, err
	}
	mine, theirs := m.foresee(t), m.foresee(source)
	m.changed(t, theirs)
	m.changed(source, mine)
	return replayed, nil
}

// randomNumber returns a number that is not likely to come again.
func randomNumber() int {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return int(binary.BigEndian.Uint32(b[:]) >> 1)
}
