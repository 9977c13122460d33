// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
)

func (d *decoder) parameters(p *cborstream.Parser, where place) (*Parameters, error) {
	at := p.Offset()
	entries, err := p.Map()
	if err != nil {
		return nil, err
	}
	if entries.Len() == 0 {
		return nil, p.Refuse(at, ErrMalformed, "no parameters")
	}
	var params *Parameters
	if d.m != nil {
		params = new(Parameters)
	}
	for {
		small, ok := entries.NextSmall(p)
		key := ParameterKey(small)
		if !ok {
			v, ok := entries.NextInt(p)
			if !ok {
				return params, nil
			}
			key = ParameterKey(v)
		}
		if params == nil { // not to be kept, and often of a kind that cannot be wrong
			switch key {
			case ParameterVendorID, ParameterClassID, ParameterDeviceID:
				if _, ok := p.Short(len(UUID{})); ok {
					continue
				}
			case ParameterImageDigest:
				if _, ok := p.Known(wrappedSHA256, sha256.Size, 2); ok {
					continue
				}
			}
		}
		at := entries.Key(p)
		if key == ParameterSoftFailure && where&top != 0 {
			return nil, p.Refuse(at, ErrCommand, "soft-failure outside of try-each and run-sequence")
		}
		if err := d.parameter(params, p, at, key); err != nil {
			return nil, err
		}
	}
}

// parameter reads one value into params, nil if none are built.
func (d *decoder) parameter(params *Parameters, p *cborstream.Parser, at int, key ParameterKey) (err error) {
	if params == nil {
		params = new(Parameters)
	}
	switch key {
	case ParameterVendorID:
		if p.Is(cborstream.Tag) {
			params.VendorPEN, err = d.pen(p)
			return err
		}
		params.VendorID, err = d.uuid(p)
	case ParameterClassID:
		params.ClassID, err = d.uuid(p)
	case ParameterImageDigest:
		digest, err := wrappedDigest(p)
		if d.m != nil && err == nil {
			params.ImageDigest = new(digest.value())
		}
		return err
	case ParameterUseBefore:
		params.UseBefore, err = d.uint(p)
	case ParameterSlot:
		params.Slot, err = d.uint(p)
	case ParameterStrictOrder:
		params.StrictOrder, err = d.bool(p)
	case ParameterSoftFailure:
		params.SoftFailure, err = d.bool(p)
	case ParameterImageSize:
		size, err := p.Uint()
		if err == nil && size > math.MaxInt64 {
			err = p.Refuse(at, ErrMalformed, "image size %d, expected at most 2^63-1", size)
		}
		params.ImageSize = keep(d, size)
		return err
	case ParameterContent:
		content, err := p.Bytes()
		params.Content = d.keepBytes(content)
		return err
	case ParameterEncryptionInfo:
		info, err := decodeEncryptionInfo(p)
		params.EncryptionInfo = d.keepBytes(info)
		return err
	case ParameterURI:
		uri, err := decodeURI(p)
		if d.m != nil {
			params.URI = new(string(uri))
		}
		return err
	case ParameterSourceComponent:
		index, err := d.oneIndex(p)
		params.SourceComponent = keep(d, index)
		return err
	case ParameterInvokeArgs:
		params.InvokeArgs, err = d.arguments(p)
	case ParameterDeviceID:
		params.DeviceID, err = d.uuid(p)
	case ParameterFetchArguments:
		params.FetchArguments, err = d.arguments(p)
	case ParameterMinimumBattery:
		params.MinimumBattery, err = d.uint(p)
	case ParameterUpdatePriority:
		priority, err := p.Int()
		params.UpdatePriority = keep(d, priority)
		return err
	case ParameterVersion:
		outer, err := p.Enter()
		if err != nil {
			return err
		}
		if params.Version, err = pointer(decodeVersionMatch(p)); err != nil {
			return err
		}
		return p.Leave(outer)
	case ParameterWaitInfo:
		outer, err := p.Enter()
		if err != nil {
			return err
		}
		if params.WaitInfo, err = pointer(decodeWaitInfo(p)); err != nil {
			return err
		}
		return p.Leave(outer)
	case ParameterComponentMetadata:
		outer, err := p.Enter()
		if err != nil {
			return err
		}
		if params.Metadata, err = pointer(decodeMetadata(p)); err != nil {
			return err
		}
		return p.Leave(outer)
	default:
		return d.customParameter(params, p, at, key)
	}
	return err
}

func (d *decoder) customParameter(params *Parameters, p *cborstream.Parser, at int, key ParameterKey) error {
	if !d.o.Registry.hasParameter(key) {
		return p.Refuse(at, ErrUnsupported, "%v", key)
	}
	v, err := decodeValue(p, cborstream.Bool)
	if err != nil {
		return err
	}
	if d.m != nil {
		params.Custom = append(params.Custom, CustomParameter{Key: key, Value: v})
	}
	return nil
}

func pointer[T any](v T, err error) (*T, error) { return &v, err }

func (d *decoder) uint(p *cborstream.Parser) (*uint64, error) {
	v, err := p.Uint()
	return keep(d, v), err
}

func (d *decoder) bool(p *cborstream.Parser) (*bool, error) {
	v, err := p.Bool()
	return keep(d, v), err
}

func (d *decoder) uuid(p *cborstream.Parser) (*UUID, error) {
	b, err := decodeUUID(p)
	if err != nil || d.m == nil {
		return nil, err
	}
	return new(UUID(b)), nil
}

// arguments reads suit-parameter-invoke-args or suit-parameter-fetch-arguments.
func (d *decoder) arguments(p *cborstream.Parser) ([]byte, error) {
	at := p.Offset()
	b, err := p.Bytes()
	if err == nil && len(b) > MaxArguments {
		err = p.Refuse(at, ErrLimit, "arguments of %d bytes, limit %d", len(b), MaxArguments)
	}
	return d.keepBytes(b), err
}

// decodeEncryptionInfo reads bstr .cbor COSE_Encrypt_Tagged. COSE does not sort its
// header maps; what is in it is for package verify/cose.
func decodeEncryptionInfo(p *cborstream.Parser) ([]byte, error) {
	outer, err := p.Enter()
	if err != nil {
		return nil, err
	}
	b := p.Content()
	if len(b) > MaxEncryptionInfo {
		return nil, p.Refuse(0, ErrLimit, "encryption info of %d bytes, limit %d", len(b), MaxEncryptionInfo)
	}
	if len(b) < len(encryptedTag) || string(b[:len(encryptedTag)]) != encryptedTag {
		return nil, p.Refuse(0, ErrMalformed, "encryption info is not a tagged COSE_Encrypt")
	}
	if _, err := p.Foreign(); err != nil {
		return nil, err
	}
	return b, p.Leave(outer)
}

// pen reads #6.112(bstr): the body of a BER relative object identifier.
func (d *decoder) pen(p *cborstream.Parser) ([]byte, error) {
	at := p.Offset()
	tag, err := p.Tag()
	if err != nil {
		return nil, err
	}
	if tag != tagPEN {
		return nil, p.Refuse(at, ErrMalformed, "vendor identifier of tag %d, expected %d", tag, tagPEN)
	}
	at = p.Offset()
	b, err := p.Bytes()
	if err == nil && !validPEN(b) {
		err = p.Refuse(at, ErrMalformed, "private enterprise number")
	}
	p.End()
	return d.keepBytes(b), err
}

// validPEN reports whether b is one to MaxActorLength bytes of base-128 numbers, each in
// the fewest bytes.
func validPEN(b []byte) bool {
	if len(b) == 0 || len(b) > MaxActorLength || b[len(b)-1]&0x80 != 0 {
		return false
	}
	start := true
	for _, c := range b {
		if start && c == 0x80 {
			return false
		}
		start = c&0x80 == 0
	}
	return true
}

// append writes the map, keys in the order of their encoding: ascending, then
// custom ones descending.
func (params *Parameters) append(b []byte) []byte {
	w := pairWriter{}
	w.bytes(ParameterVendorID, uuidBytes(params.VendorID))
	if params.VendorPEN != nil {
		w.buf = cborstream.AppendBytes(cborstream.AppendTag(w.key(ParameterVendorID), tagPEN), params.VendorPEN)
	}
	w.bytes(ParameterClassID, uuidBytes(params.ClassID))
	if v := params.ImageDigest; v != nil {
		w.bytes(ParameterImageDigest, appendDigest(nil, *v))
	}
	w.uint(ParameterUseBefore, params.UseBefore)
	w.uint(ParameterSlot, params.Slot)
	w.bool(ParameterStrictOrder, params.StrictOrder)
	w.bool(ParameterSoftFailure, params.SoftFailure)
	w.uint(ParameterImageSize, params.ImageSize)
	w.bytes(ParameterContent, params.Content)
	w.bytes(ParameterEncryptionInfo, params.EncryptionInfo)
	if v := params.URI; v != nil {
		w.buf = cborstream.AppendText(w.key(ParameterURI), *v)
	}
	w.uint(ParameterSourceComponent, params.SourceComponent)
	w.bytes(ParameterInvokeArgs, params.InvokeArgs)
	w.bytes(ParameterDeviceID, uuidBytes(params.DeviceID))
	w.bytes(ParameterFetchArguments, params.FetchArguments)
	w.uint(ParameterMinimumBattery, params.MinimumBattery)
	if v := params.UpdatePriority; v != nil {
		w.buf = cborstream.AppendInt(w.key(ParameterUpdatePriority), *v)
	}
	if v := params.Version; v != nil {
		w.bytes(ParameterVersion, v.append(nil))
	}
	if v := params.WaitInfo; v != nil {
		w.bytes(ParameterWaitInfo, v.encode())
	}
	if v := params.Metadata; v != nil {
		w.bytes(ParameterComponentMetadata, v.encode())
	}
	custom := slices.SortedFunc(slices.Values(params.Custom), func(x, y CustomParameter) int { return cmp.Compare(y.Key, x.Key) })
	for _, c := range custom {
		w.buf = appendValue(w.key(c.Key), c.Value)
	}
	return slices.Concat(cborstream.AppendMap(b, w.n), w.buf)
}

func uuidBytes(u *UUID) []byte {
	if u == nil {
		return nil
	}
	return u[:]
}

// pairWriter collects the pairs of a map, leaving out what is not set.
type pairWriter struct {
	n   int
	buf []byte
}

// key appends a key; what it returns is for the value to be appended to.
func (w *pairWriter) key(k ParameterKey) []byte {
	w.n++
	return cborstream.AppendInt(w.buf, int64(k))
}

func (w *pairWriter) bytes(k ParameterKey, v []byte) {
	if v != nil {
		w.buf = cborstream.AppendBytes(w.key(k), v)
	}
}

func (w *pairWriter) uint(k ParameterKey, v *uint64) {
	if v != nil {
		w.buf = cborstream.AppendUint(w.key(k), *v)
	}
}

func (w *pairWriter) bool(k ParameterKey, v *bool) {
	if v != nil {
		w.buf = cborstream.AppendBool(w.key(k), *v)
	}
}

// appendValue appends a Value of the kinds that decodeValue reads; anything else
// becomes an empty map, which it does not read.
func appendValue(b []byte, v Value) []byte {
	switch v := v.(type) {
	case []byte:
		return cborstream.AppendBytes(b, v)
	case string:
		return cborstream.AppendText(b, v)
	case int64:
		return cborstream.AppendInt(b, v)
	case bool:
		return cborstream.AppendBool(b, v)
	case nil:
		return cborstream.AppendNil(b)
	}
	return cborstream.AppendMap(b, 0)
}
