// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"io"
	"sync/atomic"
)

// A Meter is a Source that counts what another one brings, whatever the file, and holds it to a rate, a budget and the rates of a schedule. It belongs between the network and
// a Source that has bytes of its own, such as chunk.Reuse: a Fetcher's own limits would count those, too. Safe for concurrent use.
//
// What it holds back for the rate is no silence and no slowness of the server for the Fetcher that reads. While the schedule lets
// nothing through it is the Fetcher that waits, if it has the same one.
type Meter struct {
	source   Source
	gate     gate
	bytes    atomic.Int64
	requests atomic.Int64
}

// NewMeter returns a Meter over o.Source with o.MaxRate, o.MaxBytes and o.Schedule. Beyond MaxBytes a Read is ErrBudget.
func NewMeter(o Options) *Meter {
	return &Meter{source: o.Source, gate: gate{rate: o.MaxRate, most: o.MaxBytes, schedule: o.Schedule}}
}

// Bytes returns how many bytes came so far.
func (m *Meter) Bytes() int64 { return m.bytes.Load() }

// Requests returns how many streams were asked for.
func (m *Meter) Requests() int64 { return m.requests.Load() }

// Left returns what the budget has left, -1 if there is none. What is being read is set aside.
func (m *Meter) Left() int64 {
	if m.gate.most == 0 {
		return -1
	}
	m.gate.mu.Lock()
	defer m.gate.mu.Unlock()
	return m.gate.most - m.gate.spent
}

// Open implements Source.
func (m *Meter) Open(ctx context.Context, uri string, offset int64, validator string) (*Stream, error) {
	m.requests.Add(1)
	s, err := m.source.Open(ctx, uri, offset, validator)
	return m.metered(ctx, s, err)
}

// OpenRange implements RangeSource, as Open if the other source is none.
func (m *Meter) OpenRange(ctx context.Context, uri string, offset, length int64, validator string) (*Stream, error) {
	r, ok := m.source.(RangeSource)
	if !ok || length == 0 {
		return m.Open(ctx, uri, offset, validator)
	}
	m.requests.Add(1)
	s, err := r.OpenRange(ctx, uri, offset, length, validator)
	return m.metered(ctx, s, err)
}

// Reject implements Rejecter, for a source that is one.
func (m *Meter) Reject(uri string, offset, length int64) {
	if r, ok := m.source.(Rejecter); ok {
		r.Reject(uri, offset, length)
	}
}

func (m *Meter) metered(ctx context.Context, s *Stream, err error) (*Stream, error) {
	if err == nil && s != nil && s.Body != nil {
		s.Body = &meteredBody{s.Body, m, ctx}
	}
	return s, err
}

type meteredBody struct {
	io.ReadCloser
	m   *Meter
	ctx context.Context
}

func (b *meteredBody) Read(p []byte) (int, error) {
	p, err := b.m.gate.admit(p)
	if err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	b.m.bytes.Add(int64(n))
	Arrived(b.ctx, n)
	if waited := excused(b.ctx, n, func() error { return b.m.gate.passed(b.ctx, n, len(p)) }); err == nil && waited != nil {
		err = context.Cause(b.ctx)
	}
	return n, err
}
