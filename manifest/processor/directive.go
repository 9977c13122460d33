// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	t, s := m.u.targets[c], m.at(c)
	r, err := m.request(c)
	if err != nil {
		return false, err
	}
	do := func() error { return t.c.(Fetcher).Fetch(ctx, r) }
	switch {
	case s.params.EncryptionInfo != nil && r.Integrated != nil:
		do, err = m.stored(ctx, c, bytesContent(r.Integrated), false, r.Digest, r.storedSize())
	case s.params.EncryptionInfo != nil:
		do, err = m.fetchEncrypted(ctx, c, r)
	case r.Integrated != nil:
		err = m.checkIntegrated(c, r)
	}
	if err != nil {
		return false, err
	}
	if d, kept := m.kept[t]; kept && r.Dependency && d == r.Digest {
		return false, nil // it is there, for another manifest
	}
	if err := m.spendBytes(r.Size); err != nil {
		return false, err
	}
	if err := m.changes(ctx, f, t); err != nil {
		return false, err
	}
	replayed, err = m.act(ctx, f, m.still(ctx, t, r.Digest, r.Size, r.Dependency), func() error {
		if err := do(); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if r.Size >= 0 {
			return nil
		}
		size, err := lengthOf(ctx, t.c)
		return errors.Join(err, m.spendLate(size))
	})
	if err != nil {
		return false, err
	}
	m.changed(t, r.stored(s.params.EncryptionInfo != nil))
	return replayed, nil
}

// stored is what the component holds when the request has been met.
func (r *FetchRequest) stored(decrypted bool) *foreseen {
	h := imageOf(r.Digest, r.Size)
	if h == nil && (decrypted || r.Integrated == nil) {
		return nil
	}
	if h == nil {
		h = new(foreseen)
	}
	if h.signed = r.Dependency; !decrypted {
		h.bytes = r.Integrated
	}
	return h
}

// request makes the request out of the parameters of component c.
func (m *machine) request(c int) (FetchRequest, error) {
	p := &m.at(c).params
	md, err := m.metadata(c)
	r := FetchRequest{Component: m.id(c), Sequence: m.u.m.SequenceNumber, Manifest: m.u.v.Digest(), Metadata: md}
	_, r.Dependency = m.u.m.Dependency(c)
	switch {
	case err != nil:
		return r, err
	case p.URI == nil || *p.URI == "":
		return r, fmt.Errorf("%w: no uri", ErrParameter)
	case p.ImageDigest == nil && !m.o.Compat.has(CompatNoDigest):
		return r, fmt.Errorf("%w: no image digest", ErrParameter)
	}
	r.URI = *p.URI
	r.Digest, r.Size = m.named(c)
	_, tells := m.component(c).(Reader)
	switch {
	case r.Size == 0 || (r.Size < 0 && !r.Dependency && !m.o.Compat.has(CompatNoSize)):
		return r, fmt.Errorf("%w: no image size", ErrParameter)
	case r.Size < 0 && !tells:
		return r, errNoEnd
	case r.Size < 0:
		r.Limit = m.o.Limits.Bytes - m.bytes
		if r.Dependency {
			r.Limit = min(r.Limit, manifest.MaxEnvelopeSize)
		}
	}
	if p.FetchArguments != nil {
		chunks, err := manifest.ParseFetchArguments(p.FetchArguments)
		if err != nil {
			return r, fmt.Errorf("%w: fetch arguments: %w", ErrParameter, err)
		}
		r.Chunks = &chunks
	}
	data, ok := m.u.v.IntegratedPayload(r.URI)
	if !ok && strings.HasPrefix(r.URI, "#") {
		return r, fmt.Errorf("%w: uri %q names no integrated payload: %w", ErrParameter, r.URI, verify.ErrPolicy)
	}
	if ok {
		if r.Integrated = data; r.Size < 0 && p.EncryptionInfo == nil {
			r.Size, r.Limit = int64(len(data)), 0
		}
		return r, nil
	}
	if err := m.o.CheckURI(r.URI); err != nil {
		return r, err
	}
	if r.Chunks != nil && r.Chunks.URI != "" {
		if err := m.o.CheckURI(r.Chunks.URI); err != nil {
			return r, fmt.Errorf("chunk index: %w", err)
		}
	}
	return r, nil
}

// checkIntegrated compares the payload that the envelope carries with what the
// author signed.
//
// draft-ietf-suit-manifest-37, section 5.5.
func (m *machine) checkIntegrated(c int, r FetchRequest) error {
	if int64(len(r.Integrated)) != r.Size {
		return fmt.Errorf("%w: integrated payload %q: expected %d bytes, seen %d", manifest.ErrDigest, r.URI, r.Size, len(r.Integrated))
	}
	switch {
	case r.Digest.IsZero():
	case r.Dependency:
		if _, err := m.opens(slices.Clone(r.Integrated), r.Digest); err != nil {
			return fmt.Errorf("integrated payload %q: %w", r.URI, err)
		}
	default:
		if seen := verify.Sum(r.Digest.Hash(), r.Integrated); seen != r.Digest {
			return fmt.Errorf("%w: integrated payload %q: expected %v, seen %v", manifest.ErrDigest, r.URI, r.Digest, seen)
		}
	}
	return nil
}

// storedSize is the size of what is stored of an integrated ciphertext, -1 if only that has a size.
func (r *FetchRequest) storedSize() int64 {
	if r.Digest.IsZero() {
		return -1
	}
	return r.Size
}

// fetchEncrypted returns the fetch of a ciphertext.
//
// draft-ietf-suit-trust-domains-12, section 9.2.
func (m *machine) fetchEncrypted(ctx context.Context, c int, r FetchRequest) (func() error, error) {
	t, info := m.u.targets[c], m.at(c).params.EncryptionInfo
	fetcher, ok := t.c.(EncryptedFetcher)
	if !ok {
		return nil, fmt.Errorf("%w: cannot fetch what is encrypted", errLacks)
	}
	decrypt, err := m.decryption(ctx, info, !r.Digest.IsZero())
	if err != nil {
		return nil, err
	}
	if r.Dependency && !r.Digest.IsZero() {
		decrypt = m.opening(decrypt, r.Digest)
	}
	return func() error { return fetcher.FetchEncrypted(ctx, r, decrypt) }, nil
}

// invoke hands execution to component c. A match that only the journal remembers is made again.
//
// draft-ietf-suit-manifest-37, section 8.4.10.7.
func (m *machine) invoke(ctx context.Context, f *frame, c int) (replayed bool, err error) {
	s := m.at(c)
	if d := s.params.ImageDigest; (d == nil || s.matched.digest != *d) && !m.o.Compat.has(CompatUnmatchedInvoke) {
		return false, fmt.Errorf("%w: the image was not matched in this run", manifest.ErrCondition)
	}
	if s.matched.recalled && m.mode == performance && !m.replayed.done[m.key(m.path)] {
		if err := m.compare(ctx, m.u.targets[c], s.matched); err != nil {
			return false, err
		}
		s.matched.recalled = false
	}
	if s.matched.digest.IsZero() && (m.mode == performance || !m.acted) {
		if _, err := m.length(ctx, m.foresee(m.u.targets[c])); err != nil {
			return false, platformError("invoke", err) // section 6.3: an error, or an invoked image
		}
	}
	m.acted = true
	component, args := m.component(c).(Invoker), slices.Clone(s.params.InvokeArgs)
	return m.act(ctx, f, nil, func() error {
		if err := component.Invoke(ctx, args); err != nil {
			return fmt.Errorf("invoke: %w", err)
		}
		return nil
	})
}

// act has an effect: prepared by effect, done once, and recorded before and after. Where the journal
// has it as done, still says whether its result is there; nil: it is.
func (m *machine) act(ctx context.Context, f *frame, still func() (bool, error), do func() error) (replayed bool, err error) {
	return m.numbered(ctx, f, 0, still, do)
}

// numbered is act with the value of StepStarted.
func (m *machine) numbered(ctx context.Context, f *frame, number int, still func() (bool, error), do func() error) (replayed bool, err error) {
	if err := m.effect(f); err != nil {
		return false, err
	}
	if m.mode != performance {
		return false, nil
	}
	key := m.key(m.path)
	if m.replayed.done[key] {
		if still == nil {
			return true, nil
		}
		if ok, err := still(); ok || err != nil {
			return ok, err
		}
	}
	if _, begun := m.replayed.started[key]; !begun {
		if err := m.now(StepStarted, m.path, number); err != nil {
			return false, err
		}
	}
	if err := m.call(do); err != nil {
		return false, err
	}
	return false, m.now(StepDone, m.path, 0)
}

// still returns a check that the content of t is what it was made: nil if that cannot be
// told, or if it has been changed again since.
func (m *machine) still(ctx context.Context, t *target, want verify.Digest, size int64, dependency bool) func() (bool, error) {
	if (!dependency && !matchable(t.c, size)) || want.IsZero() || m.ahead(t) {
		return nil
	}
	return func() (bool, error) {
		if dependency {
			_, _, err := m.openEnvelope(ctx, t, want)
			return err == nil, nil
		}
		err := m.holds(ctx, t, want, size)
		if errors.Is(err, manifest.ErrDigest) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("match: %w", err)
		}
		return true, nil
	}
}

// changes checks that a command in f may change t. Where it had begun before the interruption, that has been checked.
func (m *machine) changes(ctx context.Context, f *frame, t *target) error {
	if err := m.uses(f, t, use{target: true}); err != nil {
		return err
	}
	if _, kept := m.kept[t]; kept {
		return fmt.Errorf("%w: %v holds a dependency that was opened in this run", manifest.ErrCommand, t.id)
	}
	s := m.of(t)
	if m.begun() {
		s.past++
		return nil
	}
	if s.written {
		return nil
	}
	others, _, err := m.users(ctx, t)
	if err == nil && others > 0 {
		err = fmt.Errorf("%w: %d other manifests use it", manifest.ErrComponent, others)
	}
	return err
}

// changed notes that the content of t is another one, as far as is known what holds says.
func (m *machine) changed(t *target, holds *foreseen) {
	s := m.of(t)
	if m.mode == rehearsal {
		holds = m.place(t, holds)
	} else if m.guessed[t] {
		m.late = true
	}
	s.written, s.assumed, s.matched, s.holds, s.unseen = true, false, match{}, holds, m.unseen
	maps.DeleteFunc(m.unopened, func(d checked, _ sections) bool { return d.t == t })
}

// effect prepares the first or a further effect in f: the frames around it are
// not soft any more, and the choices that led to it are made durable. If there is a dependency now that the rehearsal could not
// open, all is rehearsed again.
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
	if err := m.flush(); err != nil {
		return err
	}
	for m.late && m.flights > 0 {
		m.landed.Wait() // the platform is not asked about what is under way
	}
	if !m.late {
		return nil
	}
	err := m.again()
	m.late = err != nil
	return err
}
