// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

var zeroDigest verify.Digest

// fetch fetches into component c.
//
// On disk, in order: the choices that led here; the component's own progress;
// the content; the completed step. A cut between the last two repeats a Fetch
// that the component finds done.
//
// draft-ietf-suit-manifest-37, section 8.4.10.4.
func (m *machine) fetch(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	r, err := m.request(c)
	if err != nil {
		return false, err
	}
	if err := m.spendBytes(r.Size); err != nil {
		return false, err
	}
	if err := m.effect(f); err != nil {
		return false, err
	}
	if m.mode == performance {
		if replayed, err = m.completed(ctx, r, c); err != nil {
			return false, err
		}
		if !replayed {
			if err := m.components[c].(Fetcher).Fetch(ctx, r); err != nil {
				return false, fmt.Errorf("fetch: %w", err)
			}
			if err := m.now(StepDone, m.path, 0); err != nil {
				return false, err
			}
		}
	}
	m.state[c].written, m.state[c].matched = true, zeroDigest
	return replayed, nil
}

// request makes the request out of the parameters of component c.
func (m *machine) request(c int) (FetchRequest, error) {
	p := &m.state[c].params
	r := FetchRequest{Component: cloneID(m.m.Components[c]), Sequence: m.m.SequenceNumber, Manifest: m.v.Digest()}
	switch {
	case p.URI == nil || *p.URI == "":
		return r, fmt.Errorf("%w: no uri", ErrParameter)
	case p.ImageDigest == nil:
		return r, fmt.Errorf("%w: no image digest", ErrParameter)
	case p.ImageSize == nil || *p.ImageSize == 0 || *p.ImageSize > math.MaxInt64:
		return r, fmt.Errorf("%w: no image size", ErrParameter)
	}
	r.URI, r.Digest, r.Size = *p.URI, *p.ImageDigest, int64(*p.ImageSize)
	if p.FetchArguments != nil {
		chunks, err := manifest.ParseFetchArguments(p.FetchArguments)
		if err != nil {
			return r, fmt.Errorf("%w: fetch arguments: %w", ErrParameter, err)
		}
		r.Chunks = &chunks
	}
	return r, m.integrated(&r)
}

// integrated adds the payload that the envelope carries under the request's URI,
// once it is what the author signed.
//
// draft-ietf-suit-manifest-37, section 5.5.
func (m *machine) integrated(r *FetchRequest) error {
	data, ok := m.v.IntegratedPayload(r.URI)
	if !ok {
		if strings.HasPrefix(r.URI, "#") {
			return fmt.Errorf("%w: uri %q names no integrated payload: %w", ErrParameter, r.URI, verify.ErrPolicy)
		}
		return nil
	}
	if int64(len(data)) != r.Size {
		return fmt.Errorf("%w: integrated payload %q: expected %d bytes, seen %d", manifest.ErrDigest, r.URI, r.Size, len(data))
	}
	if seen := verify.Sum(r.Digest.Hash(), data); seen != r.Digest {
		return fmt.Errorf("%w: integrated payload %q: expected %v, seen %v", manifest.ErrDigest, r.URI, r.Digest, seen)
	}
	r.Integrated = data
	return nil
}

// completed reports whether the journal has the fetch at m.path as done and
// the content is still there.
func (m *machine) completed(ctx context.Context, r FetchRequest, c int) (bool, error) {
	if !m.replayed.done[m.key(m.path)] {
		return false, nil
	}
	component, ok := m.components[c].(Matcher)
	if !ok {
		return true, nil
	}
	err := component.Match(ctx, r.Digest, r.Size)
	if errors.Is(err, manifest.ErrDigest) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("match: %w", err)
	}
	return true, nil
}

// invoke hands execution to component c.
//
// draft-ietf-suit-manifest-37, section 8.4.10.7.
func (m *machine) invoke(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	s := &m.state[c]
	if d := s.params.ImageDigest; d == nil || s.matched != *d {
		return false, fmt.Errorf("%w: the image was not matched in this run", manifest.ErrCondition)
	}
	if err := m.effect(f); err != nil {
		return false, err
	}
	if m.mode != performance {
		return false, nil
	}
	if m.replayed.done[m.key(m.path)] {
		return true, nil
	}
	if err := m.components[c].(Invoker).Invoke(ctx, slices.Clone(s.params.InvokeArgs)); err != nil {
		return false, fmt.Errorf("invoke: %w", err)
	}
	return false, m.now(StepDone, m.path, 0)
}

// effect prepares the first or a further effect in f: the frames around it are
// not soft any more, and the choices that led to it are made durable.
func (m *machine) effect(f *frame) error {
	var open []*try
	for ; f != nil; f = f.parent {
		f.effects = true
		if f.try != nil {
			open = append(open, f.try)
		}
	}
	for _, t := range slices.Backward(open) {
		if err := m.choose(t); err != nil {
			return err
		}
	}
	return m.flush()
}
