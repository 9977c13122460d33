// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// encode returns SUIT_Manifest.
func (m *Manifest) encode() ([]byte, error) {
	common, err := m.encodeCommon()
	if err != nil {
		return nil, err
	}
	var pairs []pair
	add := func(key int64, value []byte) { pairs = append(pairs, pair{cborstream.AppendInt(nil, key), value}) }
	add(manifestVersion, cborstream.AppendUint(nil, version))
	add(manifestSequenceNumber, cborstream.AppendUint(nil, m.SequenceNumber))
	add(manifestCommon, cborstream.AppendBytes(nil, common))
	if m.ReferenceURI != "" {
		add(manifestReferenceURI, cborstream.AppendText(nil, m.ReferenceURI))
	}
	if m.ComponentID != nil {
		add(manifestComponentID, m.ComponentID.append(nil))
	}
	if m.SetVersion != nil {
		add(manifestSetVersion, cborstream.AppendBytes(nil, appendVersion(nil, m.SetVersion)))
	}
	for _, s := range []struct {
		key Section
		seq Sequence
	}{{SectionValidate, m.Validate}, {SectionLoad, m.Load}, {SectionInvoke, m.Invoke}, {SectionUninstall, m.Uninstall}} {
		if s.seq == nil {
			continue
		}
		content, err := s.seq.encode()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", s.key, err)
		}
		add(int64(s.key), cborstream.AppendBytes(nil, content))
	}
	members, err := m.encodeSeverables()
	if err != nil {
		return nil, err
	}
	for _, s := range members {
		if s.digest == nil {
			add(s.key, cborstream.AppendBytes(nil, s.content))
		} else {
			add(s.key, appendDigest(nil, *s.digest))
		}
	}
	return appendPairs(nil, pairs), nil
}

type severable struct {
	key     int64
	content []byte // nil if severed
	digest  *verify.Digest
}

// encodeSeverables returns the severable members that m has, in key order.
func (m *Manifest) encodeSeverables() ([]severable, error) {
	var members []severable
	for _, key := range severables {
		s := severable{key: key}
		switch key {
		case manifestCoSWID:
			s.content, s.digest = m.CoSWID.Raw, m.CoSWID.Digest
		case manifestText:
			s.digest = m.Text.Digest
			if m.Text.Texts != nil {
				s.content = appendTexts(nil, m.Text.Texts)
			}
		default:
			field := m.severable(Section(key))
			s.digest = field.Digest
			if field.Sequence != nil {
				content, err := field.Sequence.encode()
				if err != nil {
					return nil, fmt.Errorf("%v: %w", Section(key), err)
				}
				s.content = content
			}
		}
		if s.content != nil || s.digest != nil {
			members = append(members, s)
		}
	}
	return members, nil
}

// encodeCommon returns SUIT_Common.
func (m *Manifest) encodeCommon() ([]byte, error) {
	var pairs []pair
	add := func(key int64, value []byte) { pairs = append(pairs, pair{cborstream.AppendInt(nil, key), value}) }
	if m.Dependencies != nil {
		var entries []pair
		for _, d := range m.Dependencies {
			entry := cborstream.AppendMap(nil, 0)
			if d.Prefix != nil {
				entry = d.Prefix.append(cborstream.AppendInt(cborstream.AppendMap(nil, 1), dependencyPrefix))
			}
			entries = append(entries, pair{cborstream.AppendUint(nil, d.Index), entry})
		}
		add(commonDependencies, appendPairs(nil, entries))
	}
	if m.Components != nil {
		ids := cborstream.AppendArray(nil, len(m.Components))
		for _, id := range m.Components {
			ids = id.append(ids)
		}
		add(commonComponents, ids)
	}
	if m.Shared != nil {
		content, err := m.Shared.encode()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", SectionShared, err)
		}
		add(commonShared, cborstream.AppendBytes(nil, content))
	}
	return appendPairs(nil, pairs), nil
}

func (id ComponentID) append(b []byte) []byte {
	b = cborstream.AppendArray(b, len(id))
	for _, part := range id {
		b = cborstream.AppendBytes(b, part)
	}
	return b
}

// encode returns SUIT_Command_Sequence.
func (s Sequence) encode() ([]byte, error) {
	return s.append(nil, 0)
}

func (s Sequence) append(b []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("%w: sequences nested deeper than %d", ErrLimit, MaxDepth)
	}
	b = cborstream.AppendArray(b, 2*len(s))
	for i, c := range s {
		var err error
		if b, err = c.append(b, depth); err != nil {
			return nil, fmt.Errorf("command %d, %v: %w", i, c.Code, err)
		}
	}
	return b, nil
}

func (c *Command) append(b []byte, depth int) ([]byte, error) {
	if err := c.checkArgument(); err != nil {
		return nil, err
	}
	b = cborstream.AppendInt(b, int64(c.Code))
	switch c.Code.argument() {
	case argIndex:
		return c.Index.append(b), nil
	case argParameters:
		return c.Parameters.append(b), nil
	case argSequence:
		content, err := c.Sequences[0].append(nil, depth+1)
		return cborstream.AppendBytes(b, content), err
	case argTryEach:
		return c.appendTryEach(b, depth)
	case argOverrides:
		pairs := make([]pair, len(c.Overrides))
		for i, o := range c.Overrides {
			pairs[i] = pair{cborstream.AppendUint(nil, o.Index), o.Parameters.append(nil)}
		}
		return appendPairs(b, pairs), nil
	case argCopies:
		pairs := make([]pair, len(c.Copies))
		for i, o := range c.Copies {
			keys := cborstream.AppendArray(nil, len(o.Keys))
			for _, k := range o.Keys {
				keys = cborstream.AppendInt(keys, int64(k))
			}
			pairs[i] = pair{cborstream.AppendUint(nil, o.Source), keys}
		}
		return appendPairs(b, pairs), nil
	case argCustom:
		return appendValue(b, c.Custom), nil
	}
	return cborstream.AppendUint(b, uint64(c.Policy)), nil
}

func (c *Command) appendTryEach(b []byte, depth int) ([]byte, error) {
	n := len(c.Sequences)
	if c.Nil {
		n++
	}
	b = cborstream.AppendArray(b, n)
	for _, alternative := range c.Sequences {
		content, err := alternative.append(nil, depth+1)
		if err != nil {
			return nil, err
		}
		b = cborstream.AppendBytes(b, content)
	}
	if c.Nil {
		b = cborstream.AppendNil(b)
	}
	return b, nil
}

// argument says which field has the argument of c. What no document has is
// custom, which reading it back decides about.
func (c Code) argument() argument {
	if info := c.info(); info != nil {
		return info.argument
	}
	return argCustom
}

// checkArgument makes sure that nothing of c is lost in writing.
func (c *Command) checkArgument() error {
	kind := c.Code.argument()
	sequences := kind == argTryEach || kind == argSequence
	switch {
	case (kind == argIndex) != (c.Index != nil),
		c.Index != nil && c.Index.ambiguous(),
		(kind == argParameters) != (c.Parameters != nil),
		sequences != (c.Sequences != nil),
		kind == argSequence && len(c.Sequences) != 1,
		(kind == argOverrides) != (c.Overrides != nil),
		(kind == argCopies) != (c.Copies != nil),
		c.Custom != nil && kind != argCustom,
		c.Nil && kind != argTryEach,
		c.Policy != 0 && kind != argPolicy:
		return fmt.Errorf("%w: argument missing, or for another command", ErrCommand)
	}
	for _, o := range c.Overrides {
		if err := o.Parameters.check(); err != nil {
			return err
		}
	}
	if c.Parameters != nil {
		return c.Parameters.check()
	}
	return nil
}

// check makes sure that nothing of params means something else when it is read.
func (params *Parameters) check() error {
	if params == nil {
		return fmt.Errorf("%w: no parameters", ErrCommand)
	}
	for _, c := range params.Custom {
		if c.Key > MaxCustom {
			return fmt.Errorf("%w: custom parameter %d", ErrCommand, c.Key)
		}
	}
	return nil
}

func (i *ComponentIndex) ambiguous() bool {
	return (i.All && i.List != nil) || (i.One != 0 && (i.All || i.List != nil))
}

func (i *ComponentIndex) append(b []byte) []byte {
	if i.All {
		return cborstream.AppendBool(b, true)
	}
	if i.List == nil {
		return cborstream.AppendUint(b, i.One)
	}
	b = cborstream.AppendArray(b, len(i.List))
	for _, v := range i.List {
		b = cborstream.AppendUint(b, v)
	}
	return b
}
