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
func (d *decoder) wrappedSequence(p *cborstream.Parser, where place) (Sequence, error) {
	outer, err := enter(p)
	if err != nil {
		return nil, err
	}
	seq, err := d.wholeSequence(p, where)
	if err != nil {
		return nil, err
	}
	return seq, p.Leave(outer)
}

// wholeSequence reads a sequence that fills the part that it is in, so that p's offsets are those
// of Command.Offset.
func (d *decoder) wholeSequence(p *cborstream.Parser, where place) (Sequence, error) {
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
	seq := Sequence(d.commandSlab.take(n / 2))
	for i := range seq {
		if err = d.command(&seq[i], p, where); err != nil {
			return nil, err
		}
	}
	// Section 6.2: with several components every section says which it means.
	if where&top != 0 && seq[0].Code != DirectiveSetComponentIndex && d.m.several() {
		return nil, p.Refuse(0, ErrCommand, "%d components, but the section does not begin with %v",
			len(d.m.Indices()), DirectiveSetComponentIndex)
	}
	return seq, nil
}

// several reports whether m has more than one index.
func (m *Manifest) several() bool {
	return len(m.Components) > 1 || (len(m.Dependencies) > 0 && len(m.Indices()) > 1)
}

func (d *decoder) command(c *Command, p *cborstream.Parser, where place) error {
	c.Offset = p.Offset()
	code, err := p.Int()
	if err != nil {
		return err
	}
	c.Code = Code(code)
	kind, err := d.admit(c, p, where)
	if err != nil {
		return err
	}
	switch kind {
	case argIndex:
		c.Index, err = d.index(p)
	case argParameters:
		c.Parameters, err = d.parameters(p, where)
	case argTryEach:
		c.Sequences, c.Nil, err = d.tryEach(p, where)
	case argSequence:
		c.Sequences = make([]Sequence, 1)
		c.Sequences[0], err = d.wrappedSequence(p, where&^top)
	case argOverrides:
		c.Overrides, err = d.overrides(p, where)
	case argCopies:
		c.Copies, err = d.copies(p)
	case argCustom:
		c.Custom, err = decodeValue(p, cborstream.Nil)
	default:
		c.Policy, err = decodePolicy(p)
	}
	return err
}

// admit checks that c may stand where it does, and says what its argument is.
func (d *decoder) admit(c *Command, p *cborstream.Parser, where place) (argument, error) {
	info := c.Code.info()
	if info == nil {
		if _, ok := d.o.Registry.Command(c.Code); !ok {
			return 0, p.Refuse(c.Offset, ErrUnsupported, "%v", c.Code)
		}
		info = &commandInfo{argument: argCustom}
	}
	if where&shared != 0 && !info.condition && !info.shared {
		return 0, p.Refuse(c.Offset, ErrCommand, "%v in the shared sequence", c.Code)
	}
	return info.argument, nil
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

// index reads IndexArg = uint / true / [+ uint].
func (d *decoder) index(p *cborstream.Parser) (*ComponentIndex, error) {
	at := p.Offset()
	kind, err := p.Peek()
	if err != nil {
		return nil, err
	}
	index := &d.indexSlab.take(1)[0]
	switch kind {
	case cborstream.Bool:
		if index.All, err = p.Bool(); err == nil && !index.All {
			err = p.Refuse(at, ErrMalformed, "component index false")
		}
	case cborstream.Array:
		index.List, err = d.indexList(p)
	default:
		index.One, err = d.oneIndex(p)
	}
	return index, err
}

// oneIndex reads an index that exists.
func (d *decoder) oneIndex(p *cborstream.Parser) (uint64, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err == nil && !d.m.hasIndex(v) {
		err = p.Refuse(at, d.m.noIndex(v), "index")
	}
	return v, err
}

func (d *decoder) indexList(p *cborstream.Parser) ([]uint64, error) {
	at := p.Offset()
	length, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n := len(d.m.Components) + len(d.m.Dependencies); length == 0 || length > n {
		return nil, p.Refuse(at, ErrComponent, "list of %d indices for %d components", length, n)
	}
	list := make([]uint64, 0, length)
	for range length {
		at := p.Offset()
		v, err := d.oneIndex(p)
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
func (d *decoder) tryEach(p *cborstream.Parser, where place) (seqs []Sequence, end bool, err error) {
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

// overrides reads SUIT_Override_Mult_Arg.
func (d *decoder) overrides(p *cborstream.Parser, where place) ([]Override, error) {
	at := p.Offset()
	n, err := p.Map()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no parameters")
	}
	var list []Override
	for range n {
		var o Override
		if o.Index, err = d.oneIndex(p); err != nil {
			return nil, err
		}
		if o.Parameters, err = d.parameters(p, where); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// copies reads SUIT_Directive_Copy_Params.
func (d *decoder) copies(p *cborstream.Parser) ([]ParameterCopy, error) {
	at := p.Offset()
	n, err := p.Map()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "nothing to copy from")
	}
	var list []ParameterCopy
	for range n {
		var c ParameterCopy
		if c.Source, err = d.oneIndex(p); err != nil {
			return nil, err
		}
		if c.Keys, err = d.parameterKeys(p); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (d *decoder) parameterKeys(p *cborstream.Parser) ([]ParameterKey, error) {
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no parameters to copy")
	}
	var keys []ParameterKey
	for range n {
		at := p.Offset()
		v, err := p.Int()
		if err != nil {
			return nil, err
		}
		key := ParameterKey(v)
		if !key.known() && !d.o.Registry.hasParameter(key) {
			return nil, p.Refuse(at, ErrUnsupported, "%v", key)
		}
		if key == ParameterStrictOrder || key == ParameterSoftFailure {
			return nil, p.Refuse(at, ErrCommand, "%v belongs to a sequence, not to a component", key)
		}
		if slices.Contains(keys, key) {
			return nil, p.Refuse(at, ErrMalformed, "%v listed twice", key)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// decodeValue reads bstr / tstr / int, or what else is given.
func decodeValue(p *cborstream.Parser, also cborstream.Kind) (Value, error) {
	at := p.Offset()
	kind, err := p.Peek()
	if err != nil {
		return nil, err
	}
	switch {
	case kind == cborstream.Bytes:
		return unbox(p.Bytes())
	case kind == cborstream.Text:
		return unbox(p.Text())
	case kind == cborstream.Uint, kind == cborstream.Nint:
		return unbox(p.Int())
	case kind == also && kind == cborstream.Nil:
		return nil, p.Nil()
	case kind == also && kind == cborstream.Bool:
		return unbox(p.Bool())
	}
	return nil, p.Refuse(at, ErrMalformed, "custom value is %v", kind)
}

func unbox[T any](v T, err error) (Value, error) { return v, err }
