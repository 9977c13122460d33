// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"errors"
	"fmt"

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

// at returns the component that has the content on the device, nil if that is not certain.
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
	if at == nil || !f.softened() {
		return nil
	}
	err := q.ask(at)
	if at != t && errors.Is(err, manifest.ErrComponent) {
		return nil // where the content is now, there is nobody to ask
	}
	return err
}

// tellImage answers image-match of component c.
func (m *machine) tellImage(c int) func(have *foreseen) (err error, known bool) {
	p := &m.at(c).params
	want, size := *p.ImageDigest, int64(*p.ImageSize)
	_, dependency := m.u.m.Dependency(c)
	return func(have *foreseen) (err error, known bool) {
		seen, length := have.digest, have.size
		switch {
		case !dependency && have.bytes != nil:
			seen, length = verify.Sum(want.Hash(), have.bytes), int64(len(have.bytes))
		case have.signed != dependency || seen.IsZero() || seen.Hash() != want.Hash():
			return nil, false
		case dependency:
			length = size
		}
		if seen == want && length == size {
			return nil, true
		}
		return fmt.Errorf("%w: by what the manifest itself stores there: %w", manifest.ErrCondition, &Mismatch{want, seen, length}), true
	}
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
