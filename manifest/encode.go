// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
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
	pairs := [][]byte{
		cborstream.AppendUint(cborstream.AppendInt(nil, manifestVersion), version),
		cborstream.AppendUint(cborstream.AppendInt(nil, manifestSequenceNumber), m.SequenceNumber),
		cborstream.AppendBytes(cborstream.AppendInt(nil, manifestCommon), common),
	}
	if m.ReferenceURI != "" {
		pairs = append(pairs, cborstream.AppendText(cborstream.AppendInt(nil, manifestReferenceURI), m.ReferenceURI))
	}
	for _, s := range []struct {
		key Section
		seq Sequence
	}{{SectionValidate, m.Validate}, {SectionLoad, m.Load}, {SectionInvoke, m.Invoke}} {
		if s.seq == nil {
			continue
		}
		content, err := s.seq.encode()
		if err != nil {
			return nil, fmt.Errorf("%v: %w", s.key, err)
		}
		pairs = append(pairs, cborstream.AppendBytes(cborstream.AppendInt(nil, int64(s.key)), content))
	}
	members, err := m.severables()
	if err != nil {
		return nil, err
	}
	for _, s := range members {
		pair := cborstream.AppendInt(nil, s.key)
		if s.digest.IsZero() {
			pair = cborstream.AppendBytes(pair, s.content)
		} else {
			pair = appendDigest(pair, s.digest)
		}
		pairs = append(pairs, pair)
	}
	return append(cborstream.AppendMap(nil, len(pairs)), bytes.Join(pairs, nil)...), nil
}

// encodeSevered returns key and value of each member that the envelope has on
// behalf of the manifest.
func (m *Manifest) encodeSevered() ([][]byte, error) {
	members, err := m.severables()
	if err != nil {
		return nil, err
	}
	var pairs [][]byte
	for _, s := range members {
		if !s.digest.IsZero() && s.content != nil {
			pairs = append(pairs, cborstream.AppendBytes(cborstream.AppendInt(nil, s.key), s.content))
		}
	}
	return pairs, nil
}

type severable struct {
	key     int64
	content []byte // nil if severed
	digest  verify.Digest
}

// severables returns the severable members that m has, in key order.
func (m *Manifest) severables() ([]severable, error) {
	var members []severable
	for _, s := range []struct {
		key Section
		SeverableSequence
	}{{SectionPayloadFetch, m.PayloadFetch}, {SectionInstall, m.Install}} {
		member := severable{key: int64(s.key), digest: s.Digest}
		if s.Sequence != nil {
			content, err := s.Sequence.encode()
			if err != nil {
				return nil, fmt.Errorf("%v: %w", s.key, err)
			}
			member.content = content
		}
		members = append(members, member)
	}
	text := severable{key: manifestText, digest: m.Text.Digest}
	if m.Text.Texts != nil {
		text.content = appendTexts(nil, m.Text.Texts)
	}
	members = append(members, text)
	present := members[:0]
	for _, s := range members {
		if s.content != nil || !s.digest.IsZero() {
			present = append(present, s)
		}
	}
	return present, nil
}

// encodeCommon returns SUIT_Common.
func (m *Manifest) encodeCommon() ([]byte, error) {
	n := 1
	if m.Shared != nil {
		n++
	}
	b := cborstream.AppendInt(cborstream.AppendMap(nil, n), commonComponents)
	b = cborstream.AppendArray(b, len(m.Components))
	for _, id := range m.Components {
		b = id.append(b)
	}
	if m.Shared == nil {
		return b, nil
	}
	content, err := m.Shared.encode()
	if err != nil {
		return nil, fmt.Errorf("%v: %w", SectionShared, err)
	}
	return cborstream.AppendBytes(cborstream.AppendInt(b, commonShared), content), nil
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
	switch c.Code {
	case DirectiveSetComponentIndex:
		return c.Index.append(b), nil
	case DirectiveOverrideParameters:
		return c.Parameters.append(b), nil
	case DirectiveRunSequence:
		content, err := c.Sequences[0].append(nil, depth+1)
		return cborstream.AppendBytes(b, content), err
	case DirectiveTryEach:
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
	return cborstream.AppendUint(b, uint64(c.Policy)), nil
}

// checkArgument makes sure that nothing of c is lost in writing.
func (c *Command) checkArgument() error {
	index := c.Code == DirectiveSetComponentIndex
	params := c.Code == DirectiveOverrideParameters
	try, run := c.Code == DirectiveTryEach, c.Code == DirectiveRunSequence
	switch {
	case index != (c.Index != nil),
		index && c.Index.ambiguous(),
		params != (c.Parameters != nil),
		(try || run) != (c.Sequences != nil),
		run && len(c.Sequences) != 1,
		c.Nil && !try,
		c.Policy != 0 && (index || params || try || run):
		return fmt.Errorf("%w: argument missing, or for another command", ErrCommand)
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
