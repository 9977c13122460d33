// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"math"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
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
		if ParameterKey(key) == ParameterSoftFailure && where&top != 0 {
			return nil, p.Refuse(at, ErrCommand, "soft-failure outside of try-each and run-sequence")
		}
		if err := params.decode(p, at, ParameterKey(key)); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// decode reads one value. Keys are sorted and different (cborstream), so that
// no value is read twice.
func (params *Parameters) decode(p *cborstream.Parser, at int, key ParameterKey) (err error) {
	switch key {
	case ParameterVendorID:
		if kind, err := p.Peek(); err == nil && kind == cborstream.Tag {
			return p.Refuse(at, ErrUnsupported, "vendor identifier as private enterprise number")
		}
		params.VendorID, err = value(decodeUUID(p))
	case ParameterClassID:
		params.ClassID, err = value(decodeUUID(p))
	case ParameterImageDigest:
		content, err := p.Wrapped()
		if err != nil {
			return err
		}
		params.ImageDigest, err = value(wholeDigest(content))
		return err
	case ParameterSlot:
		params.Slot, err = value(p.Uint())
	case ParameterStrictOrder:
		params.StrictOrder, err = value(p.Bool())
	case ParameterSoftFailure:
		params.SoftFailure, err = value(p.Bool())
	case ParameterImageSize:
		params.ImageSize, err = value(p.Uint())
		if err == nil && *params.ImageSize > math.MaxInt64 {
			err = p.Refuse(at, ErrMalformed, "image size %d, expected at most 2^63-1", *params.ImageSize)
		}
	case ParameterURI:
		params.URI, err = value(decodeURI(p))
	case ParameterInvokeArgs:
		params.InvokeArgs, err = decodeArguments(p)
	case ParameterDeviceID:
		params.DeviceID, err = value(decodeUUID(p))
	case ParameterFetchArguments:
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
	key := func(k ParameterKey) []byte {
		n++
		return cborstream.AppendInt(pairs, int64(k))
	}
	if v := params.VendorID; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterVendorID), v[:])
	}
	if v := params.ClassID; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterClassID), v[:])
	}
	if v := params.ImageDigest; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterImageDigest), appendDigest(nil, *v))
	}
	if v := params.Slot; v != nil {
		pairs = cborstream.AppendUint(key(ParameterSlot), *v)
	}
	if v := params.StrictOrder; v != nil {
		pairs = cborstream.AppendBool(key(ParameterStrictOrder), *v)
	}
	if v := params.SoftFailure; v != nil {
		pairs = cborstream.AppendBool(key(ParameterSoftFailure), *v)
	}
	if v := params.ImageSize; v != nil {
		pairs = cborstream.AppendUint(key(ParameterImageSize), *v)
	}
	if v := params.URI; v != nil {
		pairs = cborstream.AppendText(key(ParameterURI), *v)
	}
	if v := params.InvokeArgs; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterInvokeArgs), v)
	}
	if v := params.DeviceID; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterDeviceID), v[:])
	}
	if v := params.FetchArguments; v != nil {
		pairs = cborstream.AppendBytes(key(ParameterFetchArguments), v)
	}
	return slices.Concat(cborstream.AppendMap(b, n), pairs)
}
