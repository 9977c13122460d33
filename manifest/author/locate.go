// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package author

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
)

// locate returns err, for which e cannot be encoded, in a description's words: with the path of what it is about, if that can be
// found, in place of an offset in bytes that were never written. It tries envelopes with ever more of e, until one is
// refused for the same.
func locate(e *manifest.Envelope, err error) error {
	what := reason(err)
	l := locator{e, what.Error()}
	m := e.Manifest
	for _, s := range placed {
		_ = place(&m, s, nil) // there is no such error: they are sections
	}
	m.DependencyResolution.Digest, m.PayloadFetch.Digest, m.CandidateVerification.Digest, m.Install.Digest = nil, nil, nil, nil
	if l.fails(&m) {
		return what // of nothing in a section
	}
	for _, s := range placed {
		seq, _ := e.Manifest.Section(s)
		path := l.find(seq, func(seq manifest.Sequence) bool {
			with := m
			_ = place(&with, s, seq)
			return l.fails(&with)
		})
		if path != "" {
			return fmt.Errorf("%v%s: %w", s, path, what)
		}
		_ = place(&m, s, seq)
	}
	return err
}

// placed are the sections in an order in which each is only about itself and those before it.
var placed = []manifest.Section{manifest.SectionShared, manifest.SectionDependencyResolution, manifest.SectionPayloadFetch,
	manifest.SectionCandidateVerification, manifest.SectionInstall, manifest.SectionValidate, manifest.SectionLoad,
	manifest.SectionInvoke, manifest.SectionUninstall}

// reason returns err without the offset, if there is one in it.
func reason(err error) error {
	var refusal *cborstream.Error
	if errors.As(err, &refusal) {
		return fmt.Errorf("%s: %w", refusal.What, refusal.Err)
	}
	return err
}

type locator struct {
	e    *manifest.Envelope
	text string // of the reason why it is refused
}

// fails reports whether the envelope is refused for the same with m in it.
func (l *locator) fails(m *manifest.Manifest) bool {
	with := *l.e
	with.Manifest = *m
	_, err := with.Encode()
	return err != nil && reason(err).Error() == l.text
}

// find returns the path of what fails in seq, "" if nothing does.
func (l *locator) find(seq manifest.Sequence, fails func(manifest.Sequence) bool) string {
	i := sort.Search(len(seq), func(i int) bool { return fails(seq[:i+1]) })
	if i == len(seq) {
		return ""
	}
	with := func(c manifest.Command) bool { return fails(append(slices.Clone(seq[:i]), c)) }
	path := fmt.Sprintf("[%d]", i)
	c := seq[i]
	for j, nested := range c.Sequences {
		inner := l.find(nested, func(alternative manifest.Sequence) bool {
			c := c
			c.Sequences = slices.Repeat([]manifest.Sequence{{{Code: manifest.ConditionAbort}}}, len(c.Sequences))
			c.Sequences[j] = alternative
			return with(c)
		})
		if inner != "" {
			return fmt.Sprintf("%s.sequences[%d]%s", path, j, inner)
		}
	}
	if c.Parameters == nil {
		return path
	}
	return path + l.findParameter(c, with)
}

// findParameter returns the path of the parameter without which c does not fail, "" if there is none such.
func (l *locator) findParameter(c manifest.Command, fails func(manifest.Command) bool) string {
	names := reflect.TypeFor[describedParameters]()
	for i := range reflect.TypeFor[manifest.Parameters]().NumField() {
		params := *c.Parameters
		field := reflect.ValueOf(&params).Elem().Field(i)
		if field.IsZero() {
			continue
		}
		field.SetZero()
		without := c
		without.Parameters = &params
		described, _ := names.FieldByName(reflect.TypeFor[manifest.Parameters]().Field(i).Name)
		if name, _, _ := strings.Cut(described.Tag.Get("json"), ","); !fails(without) {
			return ".parameters." + name
		}
	}
	return ""
}

// checkTexts refuses texts about components that the manifest does not have.
//
// draft-ietf-suit-manifest-37, section 8.4.4.
func checkTexts(m *manifest.Manifest) error {
	for i, text := range m.Text.Texts {
		for j, c := range text.Components {
			if !slices.ContainsFunc(m.Indices(), func(index int) bool {
				id, _ := m.Identifier(index)
				return id.Equal(c.ID)
			}) {
				return fmt.Errorf("text[%d].of-components[%d].component: the manifest has no component %v: %w", i, j, c.ID, manifest.ErrComponent)
			}
		}
	}
	return nil
}
