// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"

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
	size   int64         // of it, with digest
	signed bool          // it is an envelope, and digest that of the manifest inside
}

// foresee returns what t will hold.
func (m *machine) foresee(t *target) *foreseen {
	s := m.of(t)
	switch {
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
	m.guesses = append(m.guesses, key)
	if m.denied[key] {
		return fmt.Errorf("%w: as it may turn out", manifest.ErrCondition)
	}
	return nil
}

// try rehearses the sections, and then what comes if the answers that nobody knows yet are no: each of these once, with those
// that led to it, as long as all that together are not more commands than one Run may have. What of that would fail is not to be found out
// after an effect, save a condition. It returns the first rehearsal.
func (p *Processor) try(ctx context.Context, sections []manifest.Section, r *replay, finishes bool) (*machine, error) {
	first := p.machine(r, rehearsal)
	first.finishes = finishes
	if err := p.perform(ctx, sections, first); err != nil {
		return first, err
	}
	seen, commands := map[string]bool{}, 0
	for todo := []*machine{first}; len(todo) > 0; todo = todo[1:] {
		for _, key := range todo[0].guesses {
			if seen[key] || commands > p.o.Limits.Commands {
				continue
			}
			seen[key] = true
			m := p.machine(r, rehearsal)
			m.compared, m.denied = first.compared, maps.Clone(todo[0].denied)
			m.denied[key] = true
			err := p.perform(ctx, sections, m)
			if err != nil && !errors.Is(err, manifest.ErrCondition) && !errors.Is(err, errStale) {
				return first, err
			}
			commands, m.events, m.state = commands+m.commands, nil, nil
			todo = append(todo, m)
		}
	}
	return first, nil
}

// tellImage answers image-match of component c.
func (m *machine) tellImage(c int) func(have *foreseen) (err error, known bool) {
	p := &m.at(c).params
	_, dependency := m.u.m.Dependency(c)
	want := match{digest: *p.ImageDigest, size: int64(*p.ImageSize), envelope: dependency}
	return func(have *foreseen) (err error, known bool) {
		if err, known = have.image(want); err != nil {
			err = fmt.Errorf("%w: %w", manifest.ErrCondition, err)
		}
		return err, known
	}
}

// image compares have with want, if that can be known.
func (have *foreseen) image(want match) (err error, known bool) {
	seen, length := have.digest, have.size
	switch {
	case !want.envelope && have.bytes != nil:
		seen, length = verify.Sum(want.digest.Hash(), have.bytes), int64(len(have.bytes))
	case have.signed != want.envelope || seen.IsZero() || seen.Hash() != want.digest.Hash():
		return nil, false
	case want.envelope:
		length = want.size
	}
	if seen == want.digest && length == want.size {
		return nil, true
	}
	return fmt.Errorf("by what the manifest itself stores there: %w", &Mismatch{want.digest, seen, length}), true
}

// foretellCopy finds what will make a copy fail: that source will hold another content than want, if that is not zero, or as
// far as can be seen now another size, or none. A size that nobody has named is known then.
func (m *machine) foretellCopy(ctx context.Context, source *target, in *content, want match) error {
	if m.mode != rehearsal || m.acted || len(m.denied) > 0 || m.replayed.done[m.key(m.path)] {
		return nil // what has been copied may have gone from there since; where an answer is but a guess, this is as a condition
	}
	have := m.foresee(source)
	if !in.digest.IsZero() {
		have = &foreseen{digest: in.digest, size: in.size}
	}
	if !want.digest.IsZero() {
		if err, known := have.image(want); known {
			return err
		}
	}
	if have.bytes != nil {
		in.size = int64(len(have.bytes))
		return nil
	}
	reader, ok := Reader(nil), false
	if at := m.where(have); at != nil {
		reader, ok = at.c.(Reader)
	}
	if !ok {
		return nil
	}
	return m.call(func() error {
		content, size, err := reader.Open(ctx)
		if err != nil {
			return platformError("source", err)
		}
		if !want.digest.IsZero() && size != want.size {
			err = fmt.Errorf("%w: source: expected %d bytes, seen %d", manifest.ErrDigest, want.size, size)
		}
		in.size = size
		return errors.Join(err, content.Close())
	})
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
			same = int64(len(want)) == have.size && verify.Sum(have.digest.Hash(), want) == have.digest
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
