// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// place says where a sequence stands, which decides what it may contain.
type place uint8

const (
	top    place = 1 << iota // a section, not the argument of a command
	shared                   // suit-shared-sequence or inside it
)

// wrappedSequence reads bstr .cbor SUIT_Command_Sequence.
func (d *manifestDecoder) wrappedSequence(outer *cborstream.Parser, where place) (Sequence, error) {
	p, err := outer.Wrapped()
	if err != nil {
		return nil, err
	}
	return d.wholeSequence(p, where)
}

// wholeSequence reads the sequence that fills p, so that p's offsets are those
// of Command.Offset.
func (d *manifestDecoder) wholeSequence(p *cborstream.Parser, where place) (Sequence, error) {
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 || n%2 != 0 {
		return nil, p.Refuse(0, ErrMalformed, "sequence of %d items, expected pairs of command and argument", n)
	}
	if d.commands += n / 2; d.commands > MaxCommands {
		return nil, p.Refuse(0, ErrLimit, "more than %d commands", MaxCommands)
	}
	seq := make(Sequence, n/2)
	for i := range seq {
		if seq[i], err = d.command(p, where); err != nil {
			return nil, err
		}
	}
	// Section 6.2: with several components every section says which it means.
	if where&top != 0 && len(d.m.Components) > 1 && seq[0].Code != DirectiveSetComponentIndex {
		return nil, p.Refuse(0, ErrCommand, "%d components, but the section does not begin with %v",
			len(d.m.Components), DirectiveSetComponentIndex)
	}
	return seq, p.Done()
}

func (d *manifestDecoder) command(p *cborstream.Parser, where place) (Command, error) {
	at := p.Offset()
	code, err := p.Int()
	if err != nil {
		return Command{}, err
	}
	c := Command{Code: Code(code), Offset: at}
	if !implemented(c.Code) {
		return Command{}, p.Refuse(at, ErrUnsupported, "%v", c.Code)
	}
	if where&shared != 0 && !c.Code.inShared() {
		return Command{}, p.Refuse(at, ErrCommand, "%v in the shared sequence", c.Code)
	}
	switch c.Code {
	case DirectiveSetComponentIndex:
		c.Index, err = decodeIndex(p, len(d.m.Components))
	case DirectiveOverrideParameters:
		c.Parameters, err = decodeParameters(p, where)
	case DirectiveTryEach:
		c.Sequences, c.Nil, err = d.tryEach(p, where)
	case DirectiveRunSequence:
		var seq Sequence
		seq, err = d.wrappedSequence(p, where&^top)
		c.Sequences = []Sequence{seq}
	default:
		c.Policy, err = decodePolicy(p)
	}
	return c, err
}

func decodePolicy(p *cborstream.Parser) (ReportingPolicy, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err != nil {
		return 0, err
	}
	if v > uint64(reportingBits) {
		return 0, p.Refuse(at, ErrMalformed, "reporting policy %d, expected at most %d", v, reportingBits)
	}
	return ReportingPolicy(v), nil
}

// decodeIndex reads IndexArg = uint / true / [+ uint] for n components.
func decodeIndex(p *cborstream.Parser, n int) (*ComponentIndex, error) {
	at := p.Offset()
	kind, err := p.Peek()
	if err != nil {
		return nil, err
	}
	index := new(ComponentIndex)
	switch kind {
	case cborstream.Bool:
		if index.All, err = p.Bool(); err == nil && !index.All {
			err = p.Refuse(at, ErrMalformed, "component index false")
		}
	case cborstream.Array:
		index.List, err = decodeIndexList(p, n)
	default:
		index.One, err = p.Uint()
	}
	if err != nil {
		return nil, err
	}
	if _, err := index.Resolve(n); err != nil {
		return nil, p.Refuse(at, err, "set component index")
	}
	return index, nil
}

func decodeIndexList(p *cborstream.Parser, n int) ([]uint64, error) {
	at := p.Offset()
	length, err := p.Array()
	if err != nil {
		return nil, err
	}
	if length == 0 || length > n {
		return nil, p.Refuse(at, ErrComponent, "list of %d indices for %d components", length, n)
	}
	list := make([]uint64, 0, length)
	for range length {
		at := p.Offset()
		v, err := p.Uint()
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, v) {
			return nil, p.Refuse(at, ErrComponent, "index %d listed twice", v)
		}
		list = append(list, v)
	}
	return list, nil
}

// tryEach reads [2* bstr .cbor SUIT_Command_Sequence, ? nil].
func (d *manifestDecoder) tryEach(p *cborstream.Parser, where place) (seqs []Sequence, end bool, err error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, false, err
	}
	if n > MaxAlternatives+1 {
		return nil, false, p.Refuse(at, ErrLimit, "try-each of %d alternatives, limit %d", n, MaxAlternatives)
	}
	for i := range n {
		kind, err := p.Peek()
		if err != nil {
			return nil, false, err
		}
		if kind == cborstream.Nil && i == n-1 {
			end = true
			if err := p.Nil(); err != nil {
				return nil, false, err
			}
			break
		}
		seq, err := d.wrappedSequence(p, where&^top)
		if err != nil {
			return nil, false, err
		}
		seqs = append(seqs, seq)
	}
	if len(seqs) < 2 {
		return nil, false, p.Refuse(at, ErrMalformed, "try-each of %d alternatives, expected at least 2", len(seqs))
	}
	return seqs, end, nil
}

// TEMP
func implemented(c Code) bool {
	switch c {
	case ConditionVendorID, ConditionClassID, ConditionDeviceID, ConditionImageMatch, ConditionComponentSlot, ConditionAbort,
		DirectiveSetComponentIndex, DirectiveTryEach, DirectiveOverrideParameters, DirectiveFetch, DirectiveInvoke, DirectiveRunSequence:
		return true
	}
	return false
}
