// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Mirrors is a Source that takes files from several places that should have the same ones. It prefers the place that
// worked best of late: each failure counts against a place, bytes that were not the signed ones count most, and what counts
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
	served map[string]int // the place that served a URI last
}

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
	return &Mirrors{source: source, bases: bases, blame: make([]float64, len(bases)), since: make([]time.Time, len(bases)), served: map[string]int{}}, nil
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
		s, err := m.open(ctx, m.bases[n]+rest, offset, length)
		if err == nil {
			m.mu.Lock()
			m.served[uri] = n
			m.mu.Unlock()
			s.Validator = ""
			s.Body = &mirrorBody{ReadCloser: s.Body, m: m, n: n, ctx: ctx}
			return s, nil
		}
		if ctx.Err() != nil {
			if errors.Is(context.Cause(ctx), ErrStalled) {
				m.charge(n, blameFailure) // it was given all the time there was
			}
			return nil, err
		}
		if errors.Is(err, ErrTransport) {
			m.charge(n, blameFailure)
		} else {
			m.charge(n, blameRefusal)
		}
		failed = append(failed, err)
	}
	return nil, worth(failed)
}

func (m *Mirrors) open(ctx context.Context, uri string, offset, length int64) (*Stream, error) {
	var s *Stream
	var err error
	if r, ok := m.source.(RangeSource); ok && length != 0 {
		s, err = r.OpenRange(ctx, uri, offset, length, "")
	} else {
		s, err = m.source.Open(ctx, uri, offset, "")
	}
	if err == nil && (s == nil || s.Body == nil) {
		err = fmt.Errorf("source returned no stream: %w", ErrTransport)
	}
	return s, err
}

// worth returns the error that leaves most hope: one that may pass, if there is one.
func worth(failed []error) error {
	for _, err := range failed {
		if errors.Is(err, ErrTransport) {
			return err
		}
	}
	return failed[0]
}

// Reject implements Rejecter.
func (m *Mirrors) Reject(uri string, _, _ int64) {
	m.mu.Lock()
	n, ok := m.served[uri]
	m.mu.Unlock()
	if ok {
		m.charge(n, blameDigest)
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
	m.blame[n], m.since[n] = m.now(n)+blame, time.Now()
}

// A mirrorBody notes that its connection broke, or was given up because it was too slow.
type mirrorBody struct {
	io.ReadCloser
	m    *Mirrors
	n    int
	ctx  context.Context
	once sync.Once
}

func (b *mirrorBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.failed()
	}
	return n, err
}

func (b *mirrorBody) Close() error {
	if errors.Is(context.Cause(b.ctx), ErrStalled) {
		b.failed()
	}
	return b.ReadCloser.Close()
}

func (b *mirrorBody) failed() { b.once.Do(func() { b.m.charge(b.n, blameFailure) }) }
