// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/firmament-dev/firmament/manifest"
)

// identity compares a vendor, class or device identifier with the device's.
//
// draft-ietf-suit-manifest-37, section 8.4.9.1.
func (m *machine) identity(code manifest.Code, c int) error {
	params, device := &m.state[c].params, &m.o.Identity
	want, seen, held := params.VendorID, device.VendorID, &m.vendor
	switch code {
	case manifest.ConditionClassID:
		want, seen, held = params.ClassID, device.ClassID, &m.class
	case manifest.ConditionDeviceID:
		want, seen, held = params.DeviceID, device.DeviceID, new(bool)
	}
	switch {
	case want == nil:
		return fmt.Errorf("%w: %w: the manifest gives no identifier", manifest.ErrCondition, manifest.ErrNotApplicable)
	case *want != seen || seen == manifest.UUID{}:
		return fmt.Errorf("%w: %w: expected %v, device is %v", manifest.ErrCondition, manifest.ErrNotApplicable, *want, seen)
	}
	*held = true
	return nil
}

// slot compares the slot parameter with the slot that would be written.
//
// draft-ietf-suit-manifest-37, section 8.4.9.4.
func (m *machine) slot(ctx context.Context, c int) error {
	want := m.state[c].params.Slot
	if want == nil {
		return fmt.Errorf("%w: the manifest gives no slot", manifest.ErrCondition)
	}
	s, ok := m.components[c].(Slotter)
	if !ok {
		return manifest.ErrComponent
	}
	seen, err := s.Slot(ctx)
	switch {
	case err != nil:
		return platformError("slot", err)
	case seen != *want:
		return fmt.Errorf("%w: expected slot %d, seen %d", manifest.ErrCondition, *want, seen)
	}
	return nil
}

// imageMatch compares the content of component c with its image digest.
//
// Its answer may change with the effects that follow it, so what came before the first
// fetch into c is journaled. After a fetch it is never replayed and never soft.
//
// draft-ietf-suit-manifest-37, section 8.4.9.2.
func (m *machine) imageMatch(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	s := &m.state[c]
	s.matched = zeroDigest
	replayed, err = m.matches(ctx, f, c)
	switch {
	case err == nil:
		s.matched, s.failed = *s.params.ImageDigest, nil
	case !errors.Is(err, manifest.ErrCondition):
	case s.written:
		err = hard(m.fail(imageMatch, c, err))
	case m.boots():
		s.failed = m.fail(imageMatch, c, err)
	}
	return replayed, err
}

var imageMatch = &manifest.Command{Code: manifest.ConditionImageMatch}

// matches answers from the journal, from the platform, or, in a rehearsal that
// does not depend on the answer, with yes.
func (m *machine) matches(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	s := &m.state[c]
	switch p := &s.params; {
	case p.ImageDigest == nil:
		return false, fmt.Errorf("%w: the manifest gives no image digest", manifest.ErrCondition)
	case p.ImageSize == nil || *p.ImageSize == 0 || *p.ImageSize > math.MaxInt64:
		return false, fmt.Errorf("%w: %w: no image size", manifest.ErrCondition, ErrParameter)
	}
	if err := m.spendBytes(int64(*s.params.ImageSize)); err != nil {
		return false, err
	}
	record := !s.written
	if held, known := m.replayed.matches[m.key(m.path)]; known && record {
		if !held {
			err = fmt.Errorf("%w: as before the interruption", manifest.ErrCondition)
		}
		return true, err
	}
	if m.mode == rehearsal && (s.written || !f.softened()) {
		return false, nil
	}
	err = m.match(ctx, c)
	if record && (err == nil || errors.Is(err, manifest.ErrCondition)) {
		m.later(StepMatch, m.path, outcome(err == nil))
	}
	return false, err
}

// softened reports whether a failed condition in f would not end the run.
func (f *frame) softened() bool {
	for ; f != nil && f.nested && !f.effects; f = f.parent {
		if f.soft {
			return true
		}
		if f.try != nil {
			return false
		}
	}
	return false
}

// match asks the platform. Its errors other than manifest.ErrDigest are no
// answer and must not pass for a failed condition.
func (m *machine) match(ctx context.Context, c int) error {
	p := &m.state[c].params
	component, ok := m.components[c].(Matcher)
	if !ok {
		return manifest.ErrComponent
	}
	err := component.Match(ctx, *p.ImageDigest, int64(*p.ImageSize))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, manifest.ErrDigest):
		return fmt.Errorf("%w: %w", manifest.ErrCondition, err)
	}
	return platformError("match", err)
}

func platformError(call string, err error) error {
	if errors.Is(err, manifest.ErrCondition) {
		return fmt.Errorf("%s: %v", call, err)
	}
	return fmt.Errorf("%s: %w", call, err)
}
