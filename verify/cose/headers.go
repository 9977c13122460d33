// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// The header labels in use: RFC 9052, table 3, and RFC 9053, tables 14 and 16.
const (
	labelAlg               = int64(1)
	labelCritical          = int64(2)
	labelContent           = int64(3)
	labelKID               = int64(4)
	labelIV                = int64(5)
	labelPartialIV         = int64(6)
	labelCountersignature  = int64(7)  // RFC 8152, section 4.5
	labelCountersignature2 = int64(11) // RFC 9338
	labelType              = int64(16) // RFC 9596
	labelEphemeral         = int64(-1)
	labelSalt              = int64(-20)
	labelPartyU            = int64(-21) // to -26: identities, nonces and other of both parties
	labelPartyV            = int64(-26)
)

// maxPairs bounds the labels of one header.
const maxPairs = 64

// header is one of the two maps of a layer, in its order: mostly one label or two. Integers among the values fit into
// an int64.
type header []labelled

type labelled struct {
	label any // int64 or string
	value item
}

// get returns the value of label, an int64 or a string, nil if there is none.
//
//go:noinline
func (h header) get(label any) (value item, ok bool) {
	for _, l := range h {
		if l.label == label {
			return l.value, true
		}
	}
	return nil, false
}

// headers are the two maps of a layer, and the bytes of the protected one as received.
type headers struct {
	raw                    []byte
	protected, unprotected header
}

// readHeaders applies the rules that the layers of encryption and MACs share: none of the labels stands
// in both maps. Critical headers are left to the caller.
func readHeaders(protected, unprotected item) (headers, error) {
	h, err := readMaps(protected, unprotected)
	if err != nil {
		return headers{}, err
	}
	if _, ok := h.unprotected.get(labelCritical); ok {
		return headers{}, fmt.Errorf("critical headers named in the unprotected header: %w", verify.ErrMalformed)
	}
	return h, h.disjoint()
}

func readMaps(protected, unprotected item) (h headers, err error) {
	if h.raw, err = byteString(protected); err != nil {
		return headers{}, fmt.Errorf("protected header: %w", err)
	}
	if len(h.raw) > 0 {
		if h.protected, err = readHeader(h.raw); err != nil {
			return headers{}, fmt.Errorf("protected header: %w", err)
		}
	}
	if h.unprotected, err = readHeader(unprotected); err != nil {
		return headers{}, fmt.Errorf("unprotected header: %w", err)
	}
	return h, nil
}

func readHeader(encoded []byte) (header, error) {
	p := newParser(encoded)
	pairs, err := p.Pairs()
	if err == nil {
		err = p.Done()
	}
	if err != nil {
		return nil, err
	}
	if len(pairs) > maxPairs {
		return nil, fmt.Errorf("map of %d pairs, expected at most %d: %w", len(pairs), maxPairs, verify.ErrLimit)
	}
	h := make(header, 0, len(pairs))
	for _, pair := range pairs {
		label, err := readLabel(pair.Key)
		if err != nil {
			return nil, err
		}
		value := item(pair.Value)
		if k := value.kind(); k == cborstream.Uint || k == cborstream.Nint {
			if _, ok := value.int(); !ok {
				return nil, fmt.Errorf("value of label %v does not fit in 64 bits: %w", label, verify.ErrMalformed)
			}
		}
		h = append(h, labelled{label, value})
	}
	return h, nil
}

// readLabel returns an int64 or a string.
func readLabel(i item) (any, error) {
	switch kind := i.kind(); kind {
	case cborstream.Uint, cborstream.Nint:
		return newParser(i).Int()
	case cborstream.Text:
		return newParser(i).Text()
	default:
		return nil, fmt.Errorf("%v as a label: %w", kind, verify.ErrMalformed)
	}
}

// disjoint refuses labels in both headers. alg and kid have rules of their own.
func (h headers) disjoint() error {
	for _, l := range h.protected {
		if _, twice := h.unprotected.get(l.label); twice && l.label != labelAlg && l.label != labelKID {
			return fmt.Errorf("label %v in both headers: %w", l.label, verify.ErrMalformed)
		}
	}
	return nil
}

// critical refuses critical headers: this package implements none.
func (h headers) critical() error {
	if _, ok := h.protected.get(labelCritical); ok {
		return fmt.Errorf("critical headers: %w", verify.ErrUnsupported)
	}
	return nil
}

// protectedAlg returns an alg that must be authenticated: protected, an integer, and nowhere else.
func (h headers) protectedAlg() (int64, error) {
	if _, ok := h.unprotected.get(labelAlg); ok {
		return 0, fmt.Errorf("alg in the unprotected header: %w", verify.ErrAlgorithm)
	}
	value, _ := h.protected.get(labelAlg)
	alg, ok := value.int()
	if !ok {
		return 0, fmt.Errorf("protected alg %x: %w", value, verify.ErrAlgorithm)
	}
	return alg, nil
}

// anyAlg returns the alg of an encryption layer, which some algorithms cannot protect.
func (h headers) anyAlg() (alg int64, isProtected bool, err error) {
	p, inP := h.protected.get(labelAlg)
	u, inU := h.unprotected.get(labelAlg)
	if inP == inU {
		return 0, false, fmt.Errorf("alg in none or both of the headers: %w", verify.ErrAlgorithm)
	}
	if inU {
		p = u
	}
	alg, ok := p.int()
	if !ok {
		return 0, false, fmt.Errorf("alg %x: %w", p, verify.ErrAlgorithm)
	}
	return alg, inP, nil
}

// keyID returns the kid, nil if there is none. The caller owns the result.
func (h headers) keyID() ([]byte, error) {
	var kid []byte
	for _, m := range []header{h.protected, h.unprotected} {
		value, ok := m.get(labelKID)
		if !ok {
			continue
		}
		b, ok := value.bytes()
		switch {
		case !ok || len(b) == 0:
			return nil, fmt.Errorf("kid is not a byte string of at least one byte: %w", verify.ErrMalformed)
		case len(b) > verify.MaxKIDSize:
			return nil, fmt.Errorf("kid of %d bytes, expected at most %d: %w", len(b), verify.MaxKIDSize, verify.ErrLimit)
		case kid != nil && !bytes.Equal(kid, b):
			return nil, fmt.Errorf("different kid in both headers: %w", verify.ErrMalformed)
		}
		kid = b
	}
	return bytes.Clone(kid), nil
}

// value returns a header that may stand in either map.
func (h headers) value(label int64) (item, bool) {
	if v, ok := h.protected.get(label); ok {
		return v, true
	}
	v, ok := h.unprotected.get(label)
	return v, ok
}

// bytes returns a byte string of either map, nil if there is none. The caller owns the result.
func (h headers) bytes(label int64) ([]byte, error) {
	v, ok := h.value(label)
	if !ok {
		return nil, nil
	}
	b, ok := v.bytes()
	if !ok {
		return nil, fmt.Errorf("label %d is not a byte string: %w", label, verify.ErrMalformed)
	}
	return bytes.Clone(b), nil
}
