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

// section reads a section that cannot be severed.
func (d *decoder) section(p *cborstream.Parser, s Section, where place) error {
	var into *Sequence
	if d.m != nil {
		into = d.m.section(s)
	}
	return d.wrappedSequence(p, into, where)
}

// wrappedSequence reads bstr .cbor SUIT_Command_Sequence into something, nil if none is built.
func (d *decoder) wrappedSequence(p *cborstream.Parser, into *Sequence, where place) error {
	if items := p.Flat(); into == nil && d.plain(items, where) {
		p.PassFlat(items)
		return nil
	}
	outer, err := p.Enter()
	if err != nil {
		return err
	}
	if err := d.wholeSequence(p, into, where); err != nil {
		return err
	}
	return p.Leave(outer)
}

// plain reports whether items are commands with nothing but a reporting policy, as many sequences are, and nothing is wrong with them.
// It counts them.
func (d *decoder) plain(items []byte, where place) bool {
	n := len(items) >> 1
	if n == 0 || len(items)&1 != 0 || d.commands+n > MaxCommands || where&top != 0 && d.several() {
		return false
	}
	for ; len(items) > 1; items = items[2:] {
		code, policy := Code(items[0]), ReportingPolicy(items[1])
		info := code.info()
		if code > 23 || policy > reportingBits || info == nil || info.argument != argPolicy || where&shared != 0 && !info.shared {
			return false
		}
	}
	d.commands += n
	return true
}

// wholeSequence reads a sequence that fills the part that it is in, so that p's offsets are those
// of Command.Offset.
func (d *decoder) wholeSequence(p *cborstream.Parser, into *Sequence, where place) error {
	n, err := p.Array()
	if err != nil {
		return err
	}
	if n == 0 || n&1 != 0 {
		return p.Refuse(0, ErrMalformed, "sequence of %d items, expected pairs of command and argument", n)
	}
	n >>= 1
	if d.commands += n; d.commands > MaxCommands {
		return p.Refuse(0, ErrLimit, "more than %d commands", MaxCommands)
	}
	if into != nil {
		*into = make(Sequence, n)
	}
	for i := range n {
		at := p.Offset()
		small, ok := p.Small(23)
		code := Code(small)
		if !ok {
			v, err := p.Int()
			if err != nil {
				return err
			}
			code = Code(v)
		}
		if where&top != 0 {
			d.at = at + 1
		}
		// Section 6.2: with several components every section says which it means.
		if i == 0 && where&top != 0 && code != DirectiveSetComponentIndex && d.several() {
			return p.Refuse(0, ErrCommand, "several components, but the section does not begin with %v", DirectiveSetComponentIndex)
		}
		info := code.info()
		if info == nil || where&shared != 0 && !info.shared {
			if info, err = d.admit(code, at, p, where); err != nil {
				return err
			}
		}
		var c *Command
		if into != nil {
			c = &(*into)[i]
			c.Code, c.Offset = code, at
		}
		if info.argument != argPolicy {
			if err := d.argument(c, info.argument, p, where); err != nil {
				return err
			}
			continue
		}
		policy, ok := p.Small(uint8(reportingBits))
		if !ok {
			return noPolicy(p)
		}
		if c != nil {
			c.Policy = ReportingPolicy(policy)
		}
	}
	if where&top != 0 {
		d.at = 0
	}
	p.End()
	return nil
}

// several reports whether there is more than one index.
func (d *decoder) several() bool {
	n := d.components
	for _, dependency := range d.dependencies {
		if dependency.Index >= uint64(d.components) {
			n++
		}
	}
	return n > 1
}

// argument reads an argument of c, nil if none is built, that is not a reporting policy.
func (d *decoder) argument(c *Command, kind argument, p *cborstream.Parser, where place) (err error) {
	if c == nil {
		c = new(Command)
	}
	switch kind {
	case argIndex:
		c.Index, err = d.index(p)
	case argParameters:
		c.Parameters, err = d.parameters(p, where)
	case argTryEach:
		c.Sequences, c.Nil, err = d.tryEach(p, where)
	case argSequence:
		var into *Sequence
		if d.m != nil {
			c.Sequences = make([]Sequence, 1)
			into = &c.Sequences[0]
		}
		err = d.wrappedSequence(p, into, where&^top)
	case argOverrides:
		c.Overrides, err = d.overrides(p, where)
	case argCopies:
		c.Copies, err = d.copies(p)
	case argCustom:
		c.Custom, err = decodeValue(p, cborstream.Nil)
	}
	return err
}

// admit decides on a command that no document has, or that may not stand in the shared sequence.
func (d *decoder) admit(code Code, at int, p *cborstream.Parser, where place) (*commandInfo, error) {
	if code.info() == nil {
		if _, ok := d.o.Registry.Command(code); !ok {
			return nil, p.Refuse(at, ErrUnsupported, "%v", code)
		}
	}
	if where&shared != 0 {
		return nil, p.Refuse(at, ErrCommand, "%v in the shared sequence", code)
	}
	return &custom, nil
}

// custom is the row of commands that no document has.
var custom = commandInfo{argument: argCustom}

// noPolicy refuses what is not SUIT_Rep_Policy.
func noPolicy(p *cborstream.Parser) error {
	at := p.Offset()
	v, err := p.Uint()
	if err != nil {
		return err
	}
	return p.Refuse(at, ErrMalformed, "reporting policy %d, expected at most %d", v, reportingBits)
}

// index reads IndexArg = uint / true / [+ uint].
func (d *decoder) index(p *cborstream.Parser) (*ComponentIndex, error) {
	at := p.Offset()
	var index ComponentIndex
	var err error
	switch {
	case p.Is(cborstream.Bool):
		if index.All, err = p.Bool(); err == nil && !index.All {
			err = p.Refuse(at, ErrMalformed, "component index false")
		}
	case p.Is(cborstream.Array):
		index.List, err = d.indexList(p)
	default:
		index.One, err = d.oneIndex(p)
	}
	if err != nil || d.m == nil {
		return nil, err
	}
	return new(index), nil
}

// oneIndex reads an index that exists.
func (d *decoder) oneIndex(p *cborstream.Parser) (uint64, error) {
	at := p.Offset()
	v, err := p.Uint()
	if err == nil && !hasIndex(v, d.components, d.dependencies) {
		err = p.Refuse(at, noIndex(v, d.components, d.dependencies), "index")
	}
	return v, err
}

func (d *decoder) indexList(p *cborstream.Parser) ([]uint64, error) {
	at := p.Offset()
	length, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n := d.components + len(d.dependencies); length == 0 || length > n {
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
	p.End()
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
	alternatives := 0
	for i := range n {
		if i == n-1 && p.Is(cborstream.Nil) {
			end = true
			if err := p.Nil(); err != nil {
				return nil, false, err
			}
			break
		}
		var into *Sequence
		if d.m != nil {
			seqs = append(seqs, nil)
			into = &seqs[len(seqs)-1]
		}
		if err := d.wrappedSequence(p, into, where&^top); err != nil {
			return nil, false, err
		}
		alternatives++
	}
	p.End()
	if alternatives < 2 {
		return nil, false, p.Refuse(at, ErrMalformed, "try-each of %d alternatives, expected at least 2", alternatives)
	}
	return seqs, end, nil
}

// overrides reads SUIT_Override_Mult_Arg.
func (d *decoder) overrides(p *cborstream.Parser, where place) ([]Override, error) {
	at := p.Offset()
	entries, err := p.Map()
	if err != nil {
		return nil, err
	}
	if entries.Len() == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no parameters")
	}
	var list []Override
	for entries.Next(p) {
		var o Override
		if o.Index, err = d.oneIndex(p); err != nil {
			return nil, err
		}
		if o.Parameters, err = d.parameters(p, where); err != nil {
			return nil, err
		}
		if d.m != nil {
			list = append(list, o)
		}
	}
	return list, nil
}

// copies reads SUIT_Directive_Copy_Params.
func (d *decoder) copies(p *cborstream.Parser) ([]ParameterCopy, error) {
	at := p.Offset()
	entries, err := p.Map()
	if err != nil {
		return nil, err
	}
	if entries.Len() == 0 {
		return nil, p.Refuse(at, ErrMalformed, "nothing to copy from")
	}
	var list []ParameterCopy
	for entries.Next(p) {
		var c ParameterCopy
		if c.Source, err = d.oneIndex(p); err != nil {
			return nil, err
		}
		if c.Keys, err = d.parameterKeys(p); err != nil {
			return nil, err
		}
		if d.m != nil {
			list = append(list, c)
		}
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
	p.End()
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
		b, err := p.Bytes()
		return slices.Clone(b), err
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
