// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"math"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

// Keys of SUIT_Parameters.
//
// draft-ietf-suit-manifest-37, section 11.5; fetch-arguments is in the CDDL only.
const (
	parameterVendorID       = 1
	parameterClassID        = 2
	parameterImageDigest    = 3
	parameterSlot           = 5
	parameterStrictOrder    = 12
	parameterSoftFailure    = 13
	parameterImageSize      = 14
	parameterURI            = 21
	parameterInvokeArgs     = 23
	parameterDeviceID       = 24
	parameterFetchArguments = 25
)

func decodeParameters(p *cborstream.Parser, where place) (*Parameters, error) {
	at := p.Offset()
	n, err := p.Map()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no parameters")
	}
	params := new(Parameters)
	for range n {
		at := p.Offset()
		key, err := p.Int()
		if err != nil {
			return nil, err
		}
		if key == parameterSoftFailure && where&top != 0 {
			return nil, p.Refuse(at, ErrCommand, "soft-failure outside of try-each and run-sequence")
		}
		if err := params.decode(p, at, key); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// decode reads one value. Keys are sorted and different (cborstream), so that
// no value is read twice.
func (params *Parameters) decode(p *cborstream.Parser, at int, key int64) (err error) {
	switch key {
	case parameterVendorID:
		if kind, err := p.Peek(); err == nil && kind == cborstream.Tag {
			return p.Refuse(at, ErrUnsupported, "vendor identifier as private enterprise number")
		}
		params.VendorID, err = value(decodeUUID(p))
	case parameterClassID:
		params.ClassID, err = value(decodeUUID(p))
	case parameterImageDigest:
		content, err := p.Wrapped()
		if err != nil {
			return err
		}
		params.ImageDigest, err = value(wholeDigest(content))
		return err
	case parameterSlot:
		params.Slot, err = value(p.Uint())
	case parameterStrictOrder:
		params.StrictOrder, err = value(p.Bool())
	case parameterSoftFailure:
		params.SoftFailure, err = value(p.Bool())
	case parameterImageSize:
		params.ImageSize, err = value(p.Uint())
		if err == nil && *params.ImageSize > math.MaxInt64 {
			err = p.Refuse(at, ErrMalformed, "image size %d, expected at most 2^63-1", *params.ImageSize)
		}
	case parameterURI:
		params.URI, err = value(decodeURI(p))
	case parameterInvokeArgs:
		params.InvokeArgs, err = decodeArguments(p)
	case parameterDeviceID:
		params.DeviceID, err = value(decodeUUID(p))
	case parameterFetchArguments:
		params.FetchArguments, err = decodeArguments(p)
	default:
		err = p.Refuse(at, ErrUnsupported, "parameter %d", key)
	}
	return err
}

func value[T any](v T, err error) (*T, error) { return &v, err }

func decodeArguments(p *cborstream.Parser) ([]byte, error) {
	at := p.Offset()
	b, err := p.Bytes()
	if err == nil && len(b) > MaxArguments {
		err = p.Refuse(at, ErrLimit, "arguments of %d bytes, limit %d", len(b), MaxArguments)
	}
	return b, err
}

// append writes the map, keys in ascending order.
func (params *Parameters) append(b []byte) []byte {
	n := 0
	var pairs []byte
	key := func(k int64) []byte {
		n++
		return cborstream.AppendInt(pairs, k)
	}
	if v := params.VendorID; v != nil {
		pairs = cborstream.AppendBytes(key(parameterVendorID), v[:])
	}
	if v := params.ClassID; v != nil {
		pairs = cborstream.AppendBytes(key(parameterClassID), v[:])
	}
	if v := params.ImageDigest; v != nil {
		pairs = cborstream.AppendBytes(key(parameterImageDigest), appendDigest(nil, *v))
	}
	if v := params.Slot; v != nil {
		pairs = cborstream.AppendUint(key(parameterSlot), *v)
	}
	if v := params.StrictOrder; v != nil {
		pairs = cborstream.AppendBool(key(parameterStrictOrder), *v)
	}
	if v := params.SoftFailure; v != nil {
		pairs = cborstream.AppendBool(key(parameterSoftFailure), *v)
	}
	if v := params.ImageSize; v != nil {
		pairs = cborstream.AppendUint(key(parameterImageSize), *v)
	}
	if v := params.URI; v != nil {
		pairs = cborstream.AppendText(key(parameterURI), *v)
	}
	if v := params.InvokeArgs; v != nil {
		pairs = cborstream.AppendBytes(key(parameterInvokeArgs), v)
	}
	if v := params.DeviceID; v != nil {
		pairs = cborstream.AppendBytes(key(parameterDeviceID), v[:])
	}
	if v := params.FetchArguments; v != nil {
		pairs = cborstream.AppendBytes(key(parameterFetchArguments), v)
	}
	return slices.Concat(cborstream.AppendMap(b, n), pairs)
}
