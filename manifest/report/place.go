// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
)

// known returns the part of walk down to which the manifests are at hand.
func (w *walker) known(walk []int) []int {
	for n := range walk {
		if w.at(walk[:n+1]) == nil {
			return walk[:n]
		}
	}
	return walk
}

// at returns the dependency at walk, nil if it is not at hand.
func (w *walker) at(walk []int) *manifest.Verified {
	if w.dependencies == nil {
		return nil
	}
	return w.dependencies(slices.Clone(walk))
}

// place returns the step that rec is about, as the manifests have it, without having walked there.
func (w *walker) place(rec *Record, sections []manifest.Section) (s Step, err error) {
	s = Step{Manifest: slices.Clone(rec.Manifest), Section: rec.Section, Component: -1}
	m, prefix := w.m, w.prefix
	for n, c := range rec.Manifest {
		v := w.at(rec.Manifest[:n+1])
		if v == nil {
			s.Path = append([]int{rec.Offset}, rec.Path...)
			return s, nil
		}
		prefix = below(m, prefix, c)
		next := v.Manifest()
		m = &next
	}
	if len(rec.Manifest) == 0 && rec.Section != manifest.SectionShared && !slices.Contains(sections, rec.Section) {
		return s, fmt.Errorf("%w: the run ended for %v, which was not to be run", ErrMismatch, rec.Section)
	}
	if rec.Offset == 0 && rec.Path == nil {
		return s, nil
	}
	seq, _ := m.Section(rec.Section)
	s.Path = append([]int{rec.Offset}, rec.Path...)
	cmd := find(m, seq, s.Path)
	if cmd == nil {
		return s, fmt.Errorf("%w: no command at %v of %v", ErrMismatch, s.Path, rec.Section)
	}
	s.Command = cmd.Code
	if _, selects := selected(cmd); selects {
		return s, nil
	}
	id, ok := m.Identifier(rec.Component)
	if !ok {
		return s, fmt.Errorf("%w: no component %d", ErrMismatch, rec.Component)
	}
	s.Component, s.ID = rec.Component, slices.Concat(prefix, id)
	return s, nil
}

// find returns the command at path in seq, nil if there is none.
func find(m *manifest.Manifest, seq manifest.Sequence, path []int) *manifest.Command {
	i := slices.IndexFunc(seq, func(cmd manifest.Command) bool { return cmd.Offset == path[0] })
	switch {
	case i < 0:
		return nil
	case len(path) == 1:
		return &seq[i]
	case len(path) < 4 || path[2] >= len(seq[i].Sequences):
		return nil
	}
	if _, ok := m.Identifier(path[1]); !ok {
		return nil
	}
	return find(m, seq[i].Sequences[path[2]], path[3:])
}

// below returns the prefix of the identifiers of the dependency at c. Beyond the components, the
// dependency's prefix is its own identifier.
func below(m *manifest.Manifest, prefix manifest.ComponentID, c int) manifest.ComponentID {
	d, _ := m.Dependency(c)
	if c >= len(m.Components) {
		return prefix
	}
	return slices.Concat(prefix, d.Prefix)
}

// selected returns the index that the commands after cmd are for, if it says so.
func selected(cmd *manifest.Command) (index manifest.ComponentIndex, selects bool) {
	switch {
	case cmd.Code == manifest.DirectiveSetComponentIndex:
		return *cmd.Index, true
	case cmd.Code == manifest.DirectiveOverrideMultiple && len(cmd.Overrides) > 0:
		return manifest.ComponentIndex{One: cmd.Overrides[len(cmd.Overrides)-1].Index}, true
	}
	return index, false
}
