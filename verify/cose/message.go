// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/firmament-dev/firmament/verify"
)

// The header labels in use: RFC 9052, table 3, and RFC 9053, tables 14 and 16.
const (
	labelAlg       = int64(1)
	labelCritical  = int64(2)
	labelKID       = int64(4)
	labelIV        = int64(5)
	labelPartialIV = int64(6)
	labelEphemeral = int64(-1)
	labelSalt      = int64(-20)
	labelPartyU    = int64(-21) // to -26: identities, nonces and other of both parties
	labelPartyV    = int64(-26)
)

// strict decodes what go-cose has no type for, under the same rules: definite lengths, no duplicate
// labels, no tags inside. Map keys may stand in any order, as in the SUIT examples.
var strict = sync.OnceValues(func() (cbor.DecMode, error) {
	return cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		IntDec:           cbor.IntDecConvertSignedOrFail,
		MaxNestedLevels:  8,
		MaxArrayElements: MaxRecipients,
		MaxMapPairs:      64,
	}.DecMode()
})

func decode(data []byte, v any) error {
	mode, err := strict()
	if err != nil {
		return err
	}
	err = mode.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	class := verify.ErrMalformed
	var items *cbor.MaxArrayElementsError
	var pairs *cbor.MaxMapPairsError
	var depth *cbor.MaxNestedLevelError
	if errors.As(err, &items) || errors.As(err, &pairs) || errors.As(err, &depth) {
		class = verify.ErrLimit
	}
	return fmt.Errorf("%v: %w", err, class)
}

// elements returns the n items of the array that stands under tag.
func elements(message, tag []byte, n int) ([]cbor.RawMessage, error) {
	content, ok := bytes.CutPrefix(message, tag)
	if !ok {
		return nil, fmt.Errorf("tag %x expected: %w", tag, verify.ErrMalformed)
	}
	var items []cbor.RawMessage
	if err := decode(content, &items); err != nil {
		return nil, err
	}
	if len(items) != n {
		return nil, fmt.Errorf("array of %d items, expected %d: %w", len(items), n, verify.ErrMalformed)
	}
	return items, nil
}

const (
	majorBytes = 2
	majorMap   = 5
	nilItem    = 0xf6
)

func isMajor(item []byte, major byte) bool { return len(item) > 0 && item[0]>>5 == major }

func isNil(item []byte) bool { return len(item) == 1 && item[0] == nilItem }

// byteString decodes a byte string, and nothing else that would fit into a slice of bytes.
func byteString(item cbor.RawMessage) ([]byte, error) {
	if !isMajor(item, majorBytes) {
		return nil, fmt.Errorf("byte string expected: %w", verify.ErrMalformed)
	}
	b := []byte{}
	err := decode(item, &b)
	return b, err
}

// headers are the two maps of a layer, and the bytes of the protected one as received.
type headers struct {
	raw                    []byte
	protected, unprotected map[any]any
}

// readHeaders applies the rules that all layers share: labels are integers or text, none stands
// in both maps. Critical headers are left to the caller.
func readHeaders(protected, unprotected cbor.RawMessage) (headers, error) {
	raw, err := byteString(protected)
	if err != nil {
		return headers{}, fmt.Errorf("protected header: %w", err)
	}
	h := headers{raw: raw}
	if len(raw) > 0 {
		if h.protected, err = headerMap(raw); err != nil {
			return headers{}, fmt.Errorf("protected header: %w", err)
		}
	}
	if h.unprotected, err = headerMap(unprotected); err != nil {
		return headers{}, fmt.Errorf("unprotected header: %w", err)
	}
	if _, ok := h.unprotected[labelCritical]; ok {
		return headers{}, fmt.Errorf("critical headers named in the unprotected header: %w", verify.ErrMalformed)
	}
	for label := range h.protected {
		if _, twice := h.unprotected[label]; twice && label != labelAlg && label != labelKID {
			return headers{}, fmt.Errorf("label %v in both headers: %w", label, verify.ErrMalformed)
		}
	}
	return h, nil
}

func headerMap(item []byte) (map[any]any, error) {
	if !isMajor(item, majorMap) {
		return nil, fmt.Errorf("map expected: %w", verify.ErrMalformed)
	}
	var m map[any]any
	if err := decode(item, &m); err != nil {
		return nil, err
	}
	for label := range m {
		switch label.(type) {
		case int64, string:
		default:
			return nil, fmt.Errorf("label of type %T: %w", label, verify.ErrMalformed)
		}
	}
	return m, nil
}

// critical refuses critical headers: this package implements none.
func (h headers) critical() error {
	if _, ok := h.protected[labelCritical]; ok {
		return fmt.Errorf("critical headers: %w", verify.ErrUnsupported)
	}
	return nil
}

// protectedAlg returns an alg that must be authenticated: protected, an integer, and nowhere else.
func (h headers) protectedAlg() (int64, error) {
	if _, ok := h.unprotected[labelAlg]; ok {
		return 0, fmt.Errorf("alg in the unprotected header: %w", verify.ErrAlgorithm)
	}
	alg, ok := h.protected[labelAlg].(int64)
	if !ok {
		return 0, fmt.Errorf("protected alg %v: %w", h.protected[labelAlg], verify.ErrAlgorithm)
	}
	return alg, nil
}

// anyAlg returns the alg of an encryption layer, which some algorithms cannot protect.
func (h headers) anyAlg() (alg int64, isProtected bool, err error) {
	p, inP := h.protected[labelAlg]
	u, inU := h.unprotected[labelAlg]
	if inP == inU {
		return 0, false, fmt.Errorf("alg in none or both of the headers: %w", verify.ErrAlgorithm)
	}
	if inU {
		p = u
	}
	alg, ok := p.(int64)
	if !ok {
		return 0, false, fmt.Errorf("alg %v: %w", p, verify.ErrAlgorithm)
	}
	return alg, inP, nil
}

// keyID is keyID of the signature blocks.
func (h headers) keyID() ([]byte, error) {
	var kid []byte
	for _, m := range []map[any]any{h.protected, h.unprotected} {
		value, ok := m[labelKID]
		if !ok {
			continue
		}
		b, ok := value.([]byte)
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
	return kid, nil
}

// value returns a header that may stand in either map.
func (h headers) value(label int64) (any, bool) {
	if v, ok := h.protected[label]; ok {
		return v, true
	}
	v, ok := h.unprotected[label]
	return v, ok
}

// bytes returns a byte string of either map, nil if there is none.
func (h headers) bytes(label int64) ([]byte, error) {
	v, ok := h.value(label)
	if !ok {
		return nil, nil
	}
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("label %d is not a byte string: %w", label, verify.ErrMalformed)
	}
	return b, nil
}
