// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// checkFlow checks what can be told about a manifest without running it: that integrated
// payloads have the digests their components need, and that no dependency is
// processed that can not have been checked.
func checkFlow(m *Manifest, allowed Compat, payloads []Payload) error {
	if len(payloads) == 0 && len(m.Dependencies) == 0 {
		return nil
	}
	f := &flow{m: m, uses: make(map[int]*use)}
	// In the order in which procedures run them; integrity holds to the end of its procedure.
	f.walk(SectionShared, 0)
	fixed := f.checked
	for _, procedure := range [][]Section{
		{SectionDependencyResolution, SectionPayloadFetch, SectionCandidateVerification, SectionInstall},
		{SectionValidate, SectionLoad, SectionInvoke},
		{SectionUninstall},
	} {
		f.checked = slices.Clone(fixed)
		for _, s := range procedure {
			f.walk(s, allowed)
		}
	}
	if f.err != nil {
		return f.err
	}
	if f.severed() {
		return nil // what is not here may name other digests
	}
	for _, p := range payloads {
		if err := f.checkPayload(p, allowed); err != nil {
			return fmt.Errorf("integrated payload %s: %w", p.Key, err)
		}
	}
	return nil
}

// flow follows which component commands are about.
type flow struct {
	m       *Manifest
	uses    map[int]*use
	checked []int // indices that dependency-integrity has been asked of
	unknown bool  // a severed section came before: it may have asked
	section Section
	at      int // of the command in it
	depth   int // of the sequence, 0 for the section's own
	err     error
}

// use is what a manifest says about one index, anywhere in it.
type use struct {
	uris    []string
	digests []verify.Digest
	open    bool // the digest may be that of something else, or another manifest may set it
}

func (f *flow) walk(s Section, allowed Compat) {
	if s == SectionDependencyResolution || s == SectionValidate {
		f.unknown = false
	}
	f.section = s
	f.unknown = f.unknown || f.m.Severed(s)
	seq, _ := f.m.Section(s)
	f.sequence(seq, f.first(), allowed)
}

func (f *flow) severed() bool {
	for _, s := range severables {
		if f.m.Severed(Section(s)) {
			return true
		}
	}
	return false
}

// first is the current index before any command has set one.
func (f *flow) first() []int {
	if indices := f.m.Indices(); len(indices) == 1 {
		return indices
	}
	return nil
}

func (f *flow) sequence(seq Sequence, current []int, allowed Compat) {
	for i := range seq {
		c := &seq[i]
		if f.depth == 0 {
			f.at = c.Offset
		}
		switch c.Code {
		case DirectiveSetComponentIndex:
			current, _ = f.m.Resolve(*c.Index) // decoding has checked it
		case DirectiveOverrideParameters, DirectiveSetParameters:
			for _, index := range current {
				f.note(index, c.Parameters, c.Code == DirectiveSetParameters)
			}
		case DirectiveOverrideMultiple:
			for _, o := range c.Overrides {
				f.note(int(o.Index), o.Parameters, false)
				current = []int{int(o.Index)}
			}
		case DirectiveCopyParams:
			for _, index := range current {
				f.use(index).open = true
			}
		case ConditionDependencyIntegrity:
			f.checked = append(f.checked, current...)
		case DirectiveProcessDependency:
			f.process(c, current, allowed)
		}
		f.depth++
		for _, nested := range c.Sequences {
			f.sequence(nested, current, allowed)
		}
		f.depth--
	}
}

func (f *flow) process(c *Command, current []int, allowed Compat) {
	if f.unknown || f.err != nil || allowed.Has(CompatUncheckedDependency) {
		return
	}
	for _, index := range current {
		if _, ok := f.m.Dependency(index); ok && !slices.Contains(f.checked, index) {
			f.err = &PlaceError{f.section, f.at, fmt.Errorf("%w: %v of index %d without %v before it",
				ErrCommand, c.Code, index, ConditionDependencyIntegrity)}
		}
	}
}

func (f *flow) use(index int) *use {
	u := f.uses[index]
	if u == nil {
		u = new(use)
		f.uses[index] = u
	}
	return u
}

// note records what p says about index. What set-parameters sets, a dependent manifest
// may have set already.
func (f *flow) note(index int, p *Parameters, overridable bool) {
	u := f.use(index)
	if p.URI != nil {
		u.uris = append(u.uris, *p.URI)
		u.open = u.open || overridable
	}
	if p.ImageDigest != nil {
		u.digests = append(u.digests, *p.ImageDigest)
		u.open = u.open || overridable
	}
	// With encryption the digest is that of the plaintext, or of both at different times.
	u.open = u.open || p.EncryptionInfo != nil
}

// checkPayload compares p with the digests of the indices that p is named for.
func (f *flow) checkPayload(p Payload, allowed Compat) error {
	for _, index := range f.m.Indices() {
		u := f.use(index)
		if u.open || len(u.digests) == 0 || !slices.Contains(u.uris, p.Key) {
			continue
		}
		data := p.Data
		if _, ok := f.m.Dependency(index); ok { // its digest is that of the manifest in it
			var l layers
			if err := l.takeApart(cborstream.New(data, strict.limits()), allowed); err != nil {
				return fmt.Errorf("dependency %d: %w", index, err)
			}
			data = l.encoded(&l.manifest)
		}
		if err := hasOne(u.digests, data); err != nil {
			return fmt.Errorf("index %d: %w", index, err)
		}
	}
	return nil
}

// hasOne reports ErrDigest unless data has one of digests. It hashes once per algorithm.
func hasOne(digests []verify.Digest, data []byte) error {
	var seen []verify.Digest
	for _, want := range digests {
		if !slices.ContainsFunc(seen, func(d verify.Digest) bool { return d.Hash() == want.Hash() }) {
			seen = append(seen, verify.Sum(want.Hash(), data))
		}
		if slices.Contains(seen, want) {
			return nil
		}
	}
	return fmt.Errorf("%w: expected %v, seen %v", ErrDigest, digests[0], seen[0])
}
