// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Decode reads a SUIT_Report that nothing protects, as one inside an attestation token. Who has a sealed
// one uses Open.
//
// Errors: manifest.ErrMalformed (ErrNotCanonical), ErrLimit, ErrUnsupported for extensions other
// than this package's, verify.ErrAlgorithm for an unknown digest.
func Decode(b []byte) (*Report, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("report of %d bytes, limit %d: %w", len(b), MaxSize, manifest.ErrLimit)
	}
	d := decoder{cborstream.New(b, limits(MaxSize))}
	r, err := d.report()
	if err == nil {
		err = d.Done()
	}
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return r, nil
}

type decoder struct{ *cborstream.Parser }

func (d decoder) report() (*Report, error) {
	at := d.Offset()
	members, err := d.Map()
	if err != nil {
		return nil, err
	}
	r, seen := new(Report), 0
	for members.Next(d.Parser) {
		at := d.Offset()
		key, err := d.Int()
		if err != nil {
			return nil, err
		}
		switch key {
		case keyNonce:
			if r.Nonce, err = d.Bytes(); err == nil && len(r.Nonce) > MaxNonce {
				err = d.Refuse(at, manifest.ErrLimit, "nonce of %d bytes", len(r.Nonce))
			}
			if r.Nonce == nil {
				r.Nonce = []byte{}
			}
		case keyRecords:
			seen++
			r.Records, err = d.entries()
		case keyResult:
			seen++
			r.Result, err = d.result()
		case keyCapabilities:
			r.Capabilities, err = d.capabilities()
		case keyReference:
			seen++
			err = d.reference(r)
		default:
			err = d.Refuse(at, manifest.ErrUnsupported, "member %d", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if seen != 3 {
		return nil, d.Refuse(at, manifest.ErrMalformed, "without reference, records or result")
	}
	return r, nil
}

func (d decoder) reference(r *Report) error {
	if err := d.array(2); err != nil {
		return err
	}
	var err error
	if r.URI, err = d.Text(); err != nil {
		return err
	}
	if err := d.array(2); err != nil {
		return err
	}
	at := d.Offset()
	h, err := d.Int()
	if err != nil {
		return err
	}
	sum, err := d.Bytes()
	if err != nil {
		return err
	}
	d.End()
	d.End() // of the reference
	if int64(verify.Hash(h)) != h {
		return d.Refuse(at, verify.ErrAlgorithm, "digest algorithm %d", h)
	}
	if r.Digest, err = verify.NewDigest(verify.Hash(h), sum); err != nil {
		return d.Refuse(at, err, "digest")
	}
	return nil
}

// array reads the head of an array of n items.
func (d decoder) array(n int) error {
	at := d.Offset()
	seen, err := d.Array()
	if err == nil && seen != n {
		err = d.Refuse(at, manifest.ErrMalformed, "array of %d items, expected %d", seen, n)
	}
	return err
}

func (d decoder) entries() ([]Entry, error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, err
	}
	if n > MaxRecords {
		return nil, d.Refuse(at, manifest.ErrLimit, "%d records", n)
	}
	var entries []Entry
	for range n {
		kind, err := d.Peek()
		if err != nil {
			return nil, err
		}
		var e Entry
		if kind == cborstream.Map {
			e.Claims, err = d.claims()
		} else {
			var foreseen bool
			if e.Record, foreseen, err = d.record(); foreseen {
				err = d.Refuse(at, manifest.ErrMalformed, "record with success false")
			}
		}
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	d.End()
	return entries, nil
}

// record reads a record, and whether it says that it is no success.
func (d decoder) record() (r *Record, foreseen bool, err error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, false, err
	}
	if n < recordMembers {
		return nil, false, d.Refuse(at, manifest.ErrMalformed, "record of %d items", n)
	}
	if n > recordMembers+2 {
		return nil, false, d.Refuse(at, manifest.ErrUnsupported, "record of %d items", n)
	}
	r = new(Record)
	if r.Manifest, err = d.path(); err != nil {
		return nil, false, err
	}
	section, err := d.Int()
	if err != nil {
		return nil, false, err
	}
	r.Section = manifest.Section(section)
	if r.Offset, err = d.small(); err != nil {
		return nil, false, err
	}
	if r.Component, err = d.small(); err != nil {
		return nil, false, err
	}
	raw, err := d.Raw()
	if err != nil {
		return nil, false, err
	}
	p, err := manifest.Options{}.DecodeParameters(raw)
	if err != nil {
		return nil, false, err
	}
	r.Properties = *p
	if n > recordMembers {
		if r.Path, err = d.path(); err != nil {
			return nil, false, err
		}
	}
	if n > recordMembers+1 {
		r.Success, err = d.Bool()
		foreseen = err == nil && !r.Success
	} else if n > recordMembers && r.Path == nil {
		err = d.Refuse(at, manifest.ErrMalformed, "empty path")
	}
	d.End()
	return r, foreseen, err
}

// path reads numbers; nil if there are none.
func (d decoder) path() ([]int, error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, err
	}
	if n > MaxPath {
		return nil, d.Refuse(at, manifest.ErrLimit, "path of %d numbers", n)
	}
	var list []int
	for range n {
		v, err := d.small()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	d.End()
	return list, nil
}

// small reads an unsigned integer of at most 31 bits, as every offset and index is one.
func (d decoder) small() (int, error) {
	at := d.Offset()
	v, err := d.Uint()
	if err == nil && v > math.MaxInt32 {
		err = d.Refuse(at, manifest.ErrLimit, "%d does not fit in 31 bits", v)
	}
	return int(v), err
}

// claims takes the component out of the map and reads the rest as parameters.
func (d decoder) claims() (*Claims, error) {
	at := d.Offset()
	raw, err := d.Raw()
	if err != nil {
		return nil, err
	}
	inner := decoder{cborstream.New(raw, limits(MaxSize))}
	members, err := inner.Map()
	if err != nil {
		return nil, err
	}
	n := members.Len()
	if n < 2 {
		return nil, d.Refuse(at, manifest.ErrMalformed, "claims without a property")
	}
	members.Next(inner.Parser)
	key, err := inner.Int()
	if err != nil {
		return nil, err
	}
	if key != keySystemComponent {
		return nil, d.Refuse(at, manifest.ErrMalformed, "claims without a component")
	}
	c := new(Claims)
	if c.Component, err = inner.id(); err != nil {
		return nil, err
	}
	rest := append(cborstream.AppendMap(nil, n-1), raw[inner.Offset():]...)
	p, err := manifest.Options{}.DecodeParameters(rest)
	if err != nil {
		return nil, err
	}
	c.Properties = *p
	return c, nil
}

func (d decoder) id() (manifest.ComponentID, error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, err
	}
	if n > manifest.MaxComponentParts {
		return nil, d.Refuse(at, manifest.ErrLimit, "component identifier of %d parts", n)
	}
	id := make(manifest.ComponentID, n)
	for i := range id {
		if id[i], err = d.Bytes(); err != nil {
			return nil, err
		}
	}
	d.End()
	return id, nil
}

func (d decoder) result() (r Result, err error) {
	at := d.Offset()
	kind, err := d.Peek()
	if err != nil {
		return r, err
	}
	if kind == cborstream.Bool {
		ok, err := d.Bool()
		if err == nil && !ok {
			err = d.Refuse(at, manifest.ErrMalformed, "result false")
		}
		return r, err
	}
	members, err := d.Map()
	if err != nil {
		return r, err
	}
	if n := members.Len(); n != 3 {
		return r, d.Refuse(at, manifest.ErrMalformed, "result of %d members", n)
	}
	for want := int64(keyResultCode); members.Next(d.Parser); want++ {
		key, err := d.Int()
		if err != nil {
			return r, err
		}
		switch {
		case key != want:
			return r, d.Refuse(at, manifest.ErrMalformed, "result member %d, expected %d", key, want)
		case key == keyResultCode:
			r.Code, err = d.Int()
		case key == keyResultRecord:
			r.Record, r.Foreseen, err = d.record()
			if err == nil && r.Record.Success {
				err = d.Refuse(at, manifest.ErrMalformed, "result with the record of a success")
			}
		default:
			var reason int64
			reason, err = d.Int()
			if r.Reason = Reason(reason); err == nil && r.Reason == ReasonOK {
				err = d.Refuse(at, manifest.ErrMalformed, "failed for the reason %v", r.Reason)
			} else if err == nil && !r.Reason.known() {
				err = d.Refuse(at, manifest.ErrUnsupported, "%v", r.Reason)
			}
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func (d decoder) capabilities() (*Capabilities, error) {
	at := d.Offset()
	members, err := d.Map()
	if err != nil {
		return nil, err
	}
	c, required := new(Capabilities), 0
	lists := c.lists()
	for members.Next(d.Parser) {
		at := d.Offset()
		key, err := d.Int()
		if err != nil {
			return nil, err
		}
		if key <= 4 {
			required++
		}
		switch {
		case key == 1:
			c.Components, err = d.componentCapabilities()
		case 2 <= key && key <= 10:
			*lists[key-2], err = d.list()
		default:
			err = d.Refuse(at, manifest.ErrUnsupported, "capability %d", key)
		}
		if err != nil {
			return nil, err
		}
	}
	if required != 4 {
		return nil, d.Refuse(at, manifest.ErrMalformed, "capabilities without components, commands, parameters or algorithms")
	}
	for _, v := range *lists[0] {
		c.Commands = append(c.Commands, manifest.Code(v))
	}
	for _, v := range *lists[1] {
		c.Parameters = append(c.Parameters, manifest.ParameterKey(v))
	}
	return c, nil
}

func (d decoder) list() ([]int64, error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 || n > MaxRecords {
		return nil, d.Refuse(at, manifest.ErrMalformed, "list of %d", n)
	}
	var list []int64
	for range n {
		v, err := d.Int()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	d.End()
	return list, nil
}

func (d decoder) componentCapabilities() ([]ComponentCapability, error) {
	at := d.Offset()
	n, err := d.Array()
	if err != nil {
		return nil, err
	}
	if n == 0 || n > MaxRecords {
		return nil, d.Refuse(at, manifest.ErrMalformed, "list of %d", n)
	}
	var list []ComponentCapability
	for range n {
		parts, err := d.Array()
		if err != nil {
			return nil, err
		}
		var k ComponentCapability
		for i := range parts {
			kind, err := d.Peek()
			if err != nil {
				return nil, err
			}
			if kind == cborstream.Bool && i == parts-1 {
				if k.Below, err = d.Bool(); err == nil && !k.Below {
					err = d.Refuse(at, manifest.ErrMalformed, "component capability with false")
				}
			} else {
				var part []byte
				part, err = d.Bytes()
				k.ID = append(k.ID, part)
			}
			if err != nil {
				return nil, err
			}
		}
		d.End()
		list = append(list, k)
	}
	d.End()
	return list, nil
}
