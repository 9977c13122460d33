// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Identity is what the device is. Vendor, in one of its forms or both, and class are required; a
// zero DeviceID means that the device has none, and a manifest that asks for one is not for it.
type Identity struct {
	VendorID, ClassID, DeviceID manifest.UUID

	// VendorPEN is the vendor as private enterprise number, in the bytes that
	// manifests have under tag 112. "" if it has none.
	VendorPEN string
}

// identity compares a vendor, class or device identifier with the device's.
//
// draft-ietf-suit-manifest-37, section 8.4.9.1.
func (m *machine) identity(code manifest.Code, c int) error {
	params, device := &m.at(c).params, &m.o.Identity
	want, have, held := params.VendorID, device.VendorID, &m.vendor
	found := manifest.Parameters{VendorID: &have}
	switch code {
	case manifest.ConditionVendorID:
		if pen := params.VendorPEN; pen != nil {
			if device.VendorPEN == "" || string(pen) != device.VendorPEN {
				return notApplicable(found, "vendor %x", pen)
			}
			*held = true
			return nil
		}
	case manifest.ConditionClassID:
		want, have, held = params.ClassID, device.ClassID, &m.class
		found = manifest.Parameters{ClassID: &have}
	case manifest.ConditionDeviceID:
		want, have, held = params.DeviceID, device.DeviceID, new(bool)
		found = manifest.Parameters{DeviceID: &have}
	}
	switch {
	case want == nil:
		return fmt.Errorf("%w: %w: the manifest gives no identifier", manifest.ErrCondition, manifest.ErrNotApplicable)
	case have == manifest.UUID{}:
		return fmt.Errorf("%w: expected %v, the device has no such identifier: %w", manifest.ErrCondition, *want, manifest.ErrNotApplicable)
	case *want != have:
		return notApplicable(found, "expected %v, device is %v", *want, have)
	}
	*held = true
	return nil
}

func notApplicable(found manifest.Parameters, format string, args ...any) error {
	return fmt.Errorf("%w: %w", measured(found, format, args...), manifest.ErrNotApplicable)
}

// slot compares the slot parameter with the slot that would be written.
//
// draft-ietf-suit-manifest-37, section 8.4.9.4.
func (m *machine) slot(ctx context.Context, c int) error {
	want := m.at(c).params.Slot
	if want == nil {
		return fmt.Errorf("%w: the manifest gives no slot", manifest.ErrCondition)
	}
	s, ok := m.component(c).(Slotter)
	if !ok {
		return manifest.ErrComponent
	}
	seen, err := s.Slot(ctx)
	switch {
	case err != nil:
		return platformError("slot", err)
	case seen != *want:
		return measured(manifest.Parameters{Slot: &seen}, "expected slot %d, seen %d", *want, seen)
	}
	return nil
}

// imageMatch compares the content of component c with its image digest.
//
// After a change of c a failure is never soft.
//
// draft-ietf-suit-manifest-37, section 8.4.9.2.
func (m *machine) imageMatch(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	s := m.at(c)
	s.matched = match{}
	want, replayed, err := m.is(ctx, f, c, false)
	switch {
	case err == nil:
		want.recalled = replayed
		s.matched, s.failed = want, nil
	case !errors.Is(err, manifest.ErrCondition):
	case s.written:
		err = hard(m.fail(imageMatch, c, err))
	case m.boots():
		s.failed = m.fail(imageMatch, c, err)
	}
	return replayed, err
}

var imageMatch = &manifest.Command{Code: manifest.ConditionImageMatch}

// imageNotMatch is the contrary of imageMatch, save that it says nothing about what the image is.
//
// draft-ietf-suit-update-management-14, section 5.2.
func (m *machine) imageNotMatch(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	_, replayed, err = m.is(ctx, f, c, true)
	return replayed, err
}

// is answers whether component c holds the image that its parameters name, or with not, whether it does not.
func (m *machine) is(ctx context.Context, f *frame, c int, not bool) (want match, replayed bool, err error) {
	if want, err = m.image(ctx, c); err != nil {
		return want, false, err
	}
	answer := func(err error) error {
		switch {
		case !not:
			return err
		case err == nil:
			return fmt.Errorf("%w: the image is %v", manifest.ErrCondition, want.digest)
		case errors.Is(err, manifest.ErrCondition):
			return nil
		}
		return err
	}
	replayed, err = m.observe(ctx, f, c, question{
		ask: func(at *target) error { return answer(m.compare(ctx, at, want)) },
		tell: func(have *foreseen) (err error, known bool) {
			if err, known = have.image(want); err != nil {
				err = fmt.Errorf("%w: %w", manifest.ErrCondition, err)
			}
			return answer(err), known
		},
	})
	return want, replayed, err
}

// image returns the image that the parameters of component c name, and spends its size: where they give none, that of all that
// the component holds, which it must be able to tell.
func (m *machine) image(ctx context.Context, c int) (want match, err error) {
	t := m.u.targets[c]
	_, want.envelope = m.u.m.Dependency(c)
	want.digest, want.size = m.named(c)
	size := want.size
	switch {
	case want.digest.IsZero():
		return want, fmt.Errorf("%w: the manifest gives no image digest", manifest.ErrCondition)
	case size == 0:
		return want, fmt.Errorf("%w: %w: an image of no bytes", manifest.ErrCondition, ErrParameter)
	case size > 0 || want.envelope:
	case !matchable(t.c, size):
		return want, errNoEnd
	default:
		if size, err = m.length(ctx, m.foresee(t)); err != nil && !errors.Is(err, manifest.ErrComponent) {
			return want, platformError("read", err)
		}
	}
	return want, m.spendBytes(size)
}

// errNoEnd: nobody says how large an image is.
var errNoEnd = fmt.Errorf("%w: the manifest gives no image size, and the component cannot tell how much it holds", errLacks)

// named returns the image digest and size that component c is to have: zero and -1 for none. Of a dependency the digest is that of the
// manifest, and the envelope around it may have another size than the author's: it may have been signed by others, too, or severed.
//
// draft-ietf-suit-trust-domains-12, section 5.2.2.
func (m *machine) named(c int) (digest verify.Digest, size int64) {
	p := &m.at(c).params
	if p.ImageDigest != nil {
		digest = *p.ImageDigest
	}
	if _, dependency := m.u.m.Dependency(c); dependency || p.ImageSize == nil {
		return digest, -1
	}
	return digest, int64(*p.ImageSize) // which decodes up to that
}

// checkContent compares the content of component c with the content parameter,
// all of it, in a time that does not depend on where they differ.
//
// draft-ietf-suit-manifest-37, section 8.4.9.3.
func (m *machine) checkContent(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	want := m.at(c).params.Content
	if want == nil {
		return false, fmt.Errorf("%w: the manifest gives no content", manifest.ErrCondition)
	}
	if err := m.spendBytes(int64(len(want))); err != nil {
		return false, err
	}
	ask := func(at *target) error {
		if _, ok := at.c.(Reader); !ok {
			return manifest.ErrComponent
		}
		have, err := m.readAll(ctx, at, int64(len(want)))
		if errors.Is(err, manifest.ErrLimit) || errors.Is(err, manifest.ErrComponent) {
			return fmt.Errorf("%w: another size, or no content", manifest.ErrCondition)
		}
		if err != nil {
			return platformError("read", err)
		}
		if subtle.ConstantTimeCompare(have, want) != 1 {
			return fmt.Errorf("%w: another content", manifest.ErrCondition)
		}
		return nil
	}
	return m.observe(ctx, f, c, question{cheap: true, ask: ask, tell: tellContent(want)})
}

// version compares the version of component c.
//
// draft-ietf-suit-update-management-14, sections 4.4 and 5.5.
func (m *machine) version(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	want := m.at(c).params.Version
	if want == nil {
		return false, fmt.Errorf("%w: the manifest gives no version", manifest.ErrCondition)
	}
	return m.observe(ctx, f, c, question{cheap: true, ask: func(at *target) error {
		versioner, ok := at.c.(Versioner)
		if !ok {
			return manifest.ErrComponent
		}
		have, err := versioner.Version(ctx)
		if err != nil {
			return platformError("version", err)
		}
		if !want.Matches(have) {
			found := manifest.VersionMatch{Comparison: manifest.VersionEqual, Version: slices.Clone(have)}
			return measured(manifest.Parameters{Version: &found}, "version %v", have)
		}
		return nil
	}})
}

// question is what a condition wants to know about the content of a component.
type question struct {
	cheap bool                                         // ask costs little: a rehearsal does it even if nothing but the end of the run depends on it
	ask   func(at *target) error                       // puts it to the platform, about what at holds now
	tell  func(have *foreseen) (err error, known bool) // answers it without; nil if that cannot be done
}

// observe answers q about the content of component c. The answer may change with the effects that follow, so it is
// journaled before them. A rehearsal asks only what it depends on, and of the content that the manifest has made by then: see
// foreseen.
func (m *machine) observe(ctx context.Context, f *frame, c int, q question) (replayed bool, err error) {
	was, known := m.answered()
	if known && m.recalls(m.u.targets[c]) {
		return true, was
	}
	if m.mode == rehearsal {
		return false, m.foretell(f, m.u.targets[c], q)
	}
	err = q.ask(m.u.targets[c])
	if holds := err == nil; (holds || errors.Is(err, manifest.ErrCondition)) && !(known && (was == nil) == holds) {
		m.later(StepMatch, m.path, outcome(holds))
	}
	return false, err
}

// softened reports whether a failed condition in f would not end the run.
func (f *frame) softened() bool {
	for ; f != nil && !f.effects; f = f.parent {
		if f.soft {
			return true
		}
		if f.try != nil {
			return false
		}
	}
	return false
}

// comparison is what compare asks.
type comparison struct {
	t    *target
	want match
}

// compare asks the platform whether the content of t is want. Its errors other than manifest.ErrDigest are no
// answer and must not pass for a failed condition. Of a dependency it is the manifest in the
// envelope that is compared; no content, or one that does not open as an envelope, is another manifest.
//
// draft-ietf-suit-trust-domains-12, section 5.2.2.
func (m *machine) compare(ctx context.Context, t *target, want match) (err error) {
	if m.mode == rehearsal {
		key := comparison{t, want}
		if err, known := m.compared[key]; known {
			return err
		}
		defer func() { m.compared[key] = err }()
	}
	if want.envelope {
		data, err := m.readAll(ctx, t, manifest.MaxEnvelopeSize)
		switch {
		case err == nil:
			if _, err = m.opens(data, want.digest); err == nil {
				return nil
			}
		case !errors.Is(err, manifest.ErrComponent) && !errors.Is(err, manifest.ErrLimit):
			return platformError("read", err)
		}
		return fmt.Errorf("%w: %w", manifest.ErrCondition, err)
	}
	if !matchable(t.c, want.size) {
		return manifest.ErrComponent
	}
	err = m.holds(ctx, t, want.digest, want.size)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, manifest.ErrDigest):
		return fmt.Errorf("%w: %w", manifest.ErrCondition, err)
	}
	return platformError("match", err)
}

// matchable reports whether c can be compared with a digest of size bytes, or of all that it holds if that is -1.
func matchable(c Component, size int64) bool {
	_, ok := c.(Matcher)
	_, tells := c.(Reader)
	return ok && (size >= 0 || tells)
}

// holds puts that to t. No content is manifest.ErrDigest, too.
//
//go:noinline
func (m *machine) holds(ctx context.Context, t *target, want verify.Digest, size int64) error {
	return m.call(func() (err error) {
		if size < 0 {
			if size, err = lengthOf(ctx, t.c); errors.Is(err, manifest.ErrComponent) {
				return manifest.ErrDigest
			}
		}
		if err != nil {
			return err
		}
		return t.c.(Matcher).Match(ctx, want, size)
	})
}

func platformError(call string, err error) error {
	if errors.Is(err, manifest.ErrCondition) {
		return fmt.Errorf("%s: %v", call, err)
	}
	return fmt.Errorf("%s: %w", call, err)
}
