// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// foreseen is what a rehearsal knows of the content that a component will have at a place in the manifest. The zero value is
// nothing: content that nobody has given a digest for, or that a custom command has made.
type foreseen struct {
	from   *target       // the component that has it on the device; nil: none, or that is not certain
	past   int           // that is so as long as this is from's count of effects that are past
	bytes  []byte        // all of it; nil if not known
	digest verify.Digest // of it; zero if not known
	size   int64         // of it, with digest; -1 if not known
	signed bool          // it is an envelope, and digest that of the manifest inside
}

// foresee returns what t will hold, or holds now if this is no rehearsal.
func (m *machine) foresee(t *target) *foreseen {
	if m.of(t).unseen < m.unseen {
		return new(foreseen)
	}
	return m.stores(t)
}

// stores is foresee without what a dependency may change that is not there yet.
func (m *machine) stores(t *target) *foreseen {
	s := m.of(t)
	switch {
	case m.mode == performance:
		return &foreseen{from: t, past: s.past}
	case !s.written:
		return &foreseen{from: t}
	case s.holds == nil:
		return new(foreseen)
	}
	return s.holds
}

// place says where the device has what an effect will have stored in t: in t if the journal has the effect as done.
func (m *machine) place(t *target, holds *foreseen) *foreseen {
	if !m.replayed.done[m.key(m.path)] {
		return holds
	}
	var h foreseen
	if holds != nil {
		h = *holds
	}
	h.from, h.past = t, m.of(t).past
	return &h
}

// where returns the component that has the content on the device, nil if that is not certain.
func (m *machine) where(have *foreseen) *target {
	if have.from == nil || m.of(have.from).past != have.past {
		return nil
	}
	return have.from
}

// foretell answers q about t in a rehearsal: from what the manifest itself will have stored there, or
// else from what is on the device, if the answer decides how the run goes on. What cannot be known, and what would end the run
// anyway, is taken to hold.
func (m *machine) foretell(f *frame, t *target, q question) error {
	have := m.foresee(t)
	if q.tell != nil {
		if err, known := q.tell(have); known {
			return err
		}
	}
	at := m.where(have)
	switch {
	case at == nil:
		return m.guess(f)
	case !f.softened() && !q.cheap:
		return nil
	}
	err := q.ask(at)
	if at != t && errors.Is(err, manifest.ErrComponent) {
		return m.guess(f) // where the content is now, there is nobody to ask
	}
	return err
}

// guess answers a condition in f that nobody can answer yet: yes, or no in a rehearsal of what comes otherwise.
func (m *machine) guess(f *frame) error {
	if !f.softened() {
		return nil
	}
	key := m.key(m.path)
	if slices.Contains(m.denied, key) {
		m.guesses = nil
		return fmt.Errorf("%w: as it may turn out", manifest.ErrCondition)
	}
	m.guesses, m.vague = append(m.guesses, key), m.vague || m.unseen > 0
	return nil
}

// try rehearses the sections, and then what comes if the answers that nobody knows yet are no: each of these, with those
// that led to it, then each two of them and so on, as long as all that together are not more commands than one Run may have. What of that
// would fail is not to be found out after an effect, save a condition. It returns the first rehearsal.
func (p *Processor) try(ctx context.Context, sections []manifest.Section, r *replay, finishes bool) (*machine, error) {
	first := p.machine(r, rehearsal)
	first.finishes = finishes
	if err := p.perform(ctx, sections, first); err != nil && !(first.vague && errors.Is(err, manifest.ErrCondition)) {
		return first, err
	}
	type turn struct {
		denied []string
		key    string // that is denied, too
	}
	var turns []turn
	for m, commands := first, 0; commands <= p.o.Limits.Commands; commands += m.commands {
		for _, key := range m.guesses { // those before the last that was denied have had their turn
			turns = append(turns, turn{m.denied, key})
		}
		if len(turns) == 0 {
			break
		}
		m = p.machine(r, rehearsal)
		m.compared, m.denied = first.compared, append(slices.Clip(turns[0].denied), turns[0].key)
		turns = turns[1:]
		err := p.perform(ctx, sections, m)
		if err != nil && !errors.Is(err, manifest.ErrCondition) && !errors.Is(err, errStale) {
			return first, err
		}
	}
	return first, nil
}

// image compares have with want, if that can be known.
func (have *foreseen) image(want match) (err error, known bool) {
	seen, length := have.digest, have.size
	switch {
	case !want.envelope && have.bytes != nil:
		seen, length = verify.Sum(want.digest.Hash(), have.bytes), int64(len(have.bytes))
	case have.signed != want.envelope || seen.IsZero() || seen.Hash() != want.digest.Hash():
		return nil, false
	case seen == want.digest && length < 0 && want.size >= 0:
		return nil, false
	}
	if seen == want.digest && (want.envelope || want.size < 0 || length == want.size) {
		return nil, true
	}
	return fmt.Errorf("by what the manifest itself stores there: %w", &Mismatch{want.digest, seen, length}), true
}

// foretellCopy finds what will make a copy fail: that source will hold another content than want, if that is not zero, or as
// far as can be seen now another size, or none. A size that nobody has named is known then.
func (m *machine) foretellCopy(ctx context.Context, source *target, in *content, want match) (err error) {
	if m.mode != rehearsal || m.acted || m.replayed.done[m.key(m.path)] {
		return nil // what has been copied may have gone from there since
	}
	defer func() {
		if err != nil && len(m.denied) > 0 {
			err = fmt.Errorf("%w: %w", manifest.ErrCondition, err) // where an answer is but a guess, no more than that
		}
	}()
	have := *m.foresee(source)
	if !in.digest.IsZero() {
		have.digest, have.size, have.signed = in.digest, in.size, false
	}
	if !want.digest.IsZero() {
		if err, known := have.image(want); known {
			return err
		}
	}
	in.size, err = m.length(ctx, &have)
	switch {
	case err != nil:
		return platformError("source", err)
	case !want.digest.IsZero() && want.size >= 0 && in.size >= 0 && in.size != want.size:
		return fmt.Errorf("%w: source: expected %d bytes, seen %d", manifest.ErrDigest, want.size, in.size)
	}
	return nil
}

// length returns how many bytes have is, -1 if that cannot be known. The error is manifest.ErrComponent if it is none at all.
func (m *machine) length(ctx context.Context, have *foreseen) (size int64, err error) {
	at := m.where(have)
	switch {
	case have.bytes != nil:
		return int64(len(have.bytes)), nil
	case !have.digest.IsZero() && have.size >= 0:
		return have.size, nil
	case at == nil:
		return -1, nil
	}
	err = m.call(func() error {
		size, err = lengthOf(ctx, at.c)
		return err
	})
	return size, err
}

// lengthOf returns how many bytes c holds, -1 if it cannot tell.
func lengthOf(ctx context.Context, c Component) (int64, error) {
	r, ok := c.(Reader)
	if !ok {
		return -1, nil
	}
	content, size, err := r.Open(ctx)
	if err != nil {
		return -1, err
	}
	return size, content.Close()
}

// tellContent answers check-content.
func tellContent(want []byte) func(have *foreseen) (err error, known bool) {
	return func(have *foreseen) (err error, known bool) {
		var same bool
		switch {
		case have.bytes != nil:
			same = bytes.Equal(have.bytes, want)
		case have.digest.IsZero() || have.signed:
			return nil, false
		default:
			same = (have.size < 0 || have.size == int64(len(want))) && verify.Sum(have.digest.Hash(), want) == have.digest
		}
		if same {
			return nil, true
		}
		return fmt.Errorf("%w: the manifest itself stores another content there", manifest.ErrCondition), true
	}
}

// imageOf is content with a digest, if that is not zero.
func imageOf(digest verify.Digest, size int64) *foreseen {
	if digest.IsZero() {
		return nil
	}
	return &foreseen{digest: digest, size: size}
}
