// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mirrors is a Source that takes files from several places that should have the same ones. It prefers the place that
// worked best of late: each failure counts against a place, as does each body that ends too early, however cleanly; bytes that were not the signed ones count most, and what counts
// against it halves with every recovery interval. A request that a place refuses is made to the next one at once;
// a connection that breaks is the Fetcher's to take up again, and then goes to the best place of that moment.
//
// Streams have no validator: places need not agree on one, and the digests of chunks tell versions apart. A Resource without Chunks
// therefore begins again whenever its connection breaks. Safe for concurrent use.
type Mirrors struct {
	source Source
	bases  []string

	mu     sync.Mutex
	blame  []float64
	since  []time.Time
	served []*serving // the last of them at the end
}

// A serving is what one body brought of a file.
type serving struct {
	uri string
	n   int // the place
	span
}

// maxServed is of how many bodies is known whose they were: more than one chunk is put together from, or ranges are in flight.
const maxServed = 64

// recovery is how long it takes for half of the blame to go.
const recovery = 5 * time.Minute

// What counts how much against a place. A wrong byte is worse than any trouble on the way.
const (
	blameFailure = 1
	blameRefusal = 4
	blameDigest  = 64
)

// NewMirrors returns a Source that opens with source, for a URI that begins with the first base, the URI that has another
// base in its place. Bases are what the URIs of files have in common, or the whole URI of a payload (its page
// file then lies beside it). Without a base it is ErrResource.
func NewMirrors(source Source, bases ...string) (*Mirrors, error) {
	if source == nil || len(bases) == 0 || bases[0] == "" {
		return nil, fmt.Errorf("mirrors without a source or base: %w", ErrResource)
	}
	return &Mirrors{source: source, bases: bases, blame: make([]float64, len(bases)), since: make([]time.Time, len(bases))}, nil
}

// Open implements Source.
func (m *Mirrors) Open(ctx context.Context, uri string, offset int64, validator string) (*Stream, error) {
	return m.OpenRange(ctx, uri, offset, 0, validator)
}

// OpenRange implements RangeSource. A length of 0 is the rest of the file.
func (m *Mirrors) OpenRange(ctx context.Context, uri string, offset, length int64, _ string) (*Stream, error) {
	rest, ok := strings.CutPrefix(uri, m.bases[0])
	if !ok {
		return nil, fmt.Errorf("%s is not below the mirrors' base: %w", RedactURI(uri), ErrResource)
	}
	var failed []error
	for _, n := range m.order() {
		s, err := openRange(ctx, m.source, m.bases[n]+rest, offset, length, "")
		if err == nil {
			s.Validator = ""
			s.Body = &mirrorBody{ReadCloser: s.Body, m: m, serving: m.serves(uri, n, s.Offset, offset), at: s.Offset, ctx: ctx}
			return s, nil
		}
		if ctx.Err() != nil {
			if errors.Is(context.Cause(ctx), ErrStalled) {
				m.charge(n, blameFailure) // it was given all the time there was
			}
			return nil, err
		}
		if transient(err) {
			m.charge(n, blameFailure)
		} else {
			m.charge(n, blameRefusal)
		}
		failed = append(failed, err)
	}
	return nil, worth(failed)
}

// worth returns the error that leaves most hope: one that may pass, if there is one.
func worth(failed []error) error {
	for _, hope := range []func(error) bool{transient, func(err error) bool { return errors.Is(err, ErrTransport) }} {
		if n := slices.IndexFunc(failed, hope); n >= 0 {
			return failed[n]
		}
	}
	return failed[0]
}

// transient reports whether err may be gone in a moment.
func transient(err error) bool {
	return errors.Is(err, ErrTransport) && !errors.Is(err, ErrTLS) && !errors.Is(err, ErrLimit) && !errors.Is(err, ErrAnswer)
}

// serves notes that a place serves uri from one byte on, though it may have been asked for a later one.
func (m *Mirrors) serves(uri string, n int, from, asked int64) *serving {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.served) == maxServed {
		m.served = slices.Delete(m.served, 0, 1)
	}
	s := &serving{uri, n, span{from, asked + 1}}
	m.served = append(m.served, s)
	return s
}

// Reject implements Rejecter. Whoever served a part of it last is charged: if they are several, the next attempt is by one of them, and tells who it was.
func (m *Mirrors) Reject(uri string, offset, length int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wrong := spans{{offset, offset + max(length, 1)}}
	charged := make([]bool, len(m.bases))
	for _, s := range slices.Backward(m.served) {
		if s.uri != uri {
			continue
		}
		rest := wrong.without(s.span)
		if rest.bytes() < wrong.bytes() && !charged[s.n] {
			charged[s.n] = true
			m.add(s.n, blameDigest)
		}
		wrong = rest
	}
}

// order returns the places, the best first; of equal ones the one named first.
func (m *Mirrors) order() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	order := make([]int, 0, len(m.bases))
	for n := range m.bases {
		at := len(order)
		for at > 0 && m.now(order[at-1]) > m.now(n) {
			at--
		}
		order = append(order[:at], append([]int{n}, order[at:]...)...)
	}
	return order
}

// now is the blame that is left. The caller holds mu.
func (m *Mirrors) now(n int) float64 {
	if m.blame[n] == 0 {
		return 0
	}
	b := m.blame[n]
	for age := time.Since(m.since[n]); age >= recovery && b > 0; age -= recovery {
		if b /= 2; b < 0.5 {
			b = 0
		}
	}
	return b
}

func (m *Mirrors) charge(n int, blame float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(n, blame)
}

// add is charge. The caller holds mu.
func (m *Mirrors) add(n int, blame float64) { m.blame[n], m.since[n] = m.now(n)+blame, time.Now() }

// A mirrorBody notes what it brought, that its connection broke, and, from the cause of its context, what its reader says of it: that it ended too
// early, was too slow, or is another file.
type mirrorBody struct {
	io.ReadCloser
	m       *Mirrors
	serving *serving
	at      int64
	ctx     context.Context
	once    sync.Once
}

func (b *mirrorBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.at += int64(n)
	b.m.mu.Lock()
	b.serving.end = max(b.serving.end, b.at)
	b.m.mu.Unlock()
	if err != nil && err != io.EOF {
		b.failed(blameFailure)
	}
	return n, err
}

func (b *mirrorBody) Close() error {
	switch cause := context.Cause(b.ctx); {
	case errors.Is(cause, ErrSize):
		b.failed(blameDigest)
	case errors.Is(cause, ErrTransport), errors.Is(cause, ErrRange):
		b.failed(blameFailure)
	}
	return b.ReadCloser.Close()
}

func (b *mirrorBody) failed(blame float64) { b.once.Do(func() { b.m.charge(b.serving.n, blame) }) }
