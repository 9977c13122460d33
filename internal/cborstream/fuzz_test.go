// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream_test

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"github.com/fxamacker/cbor/v2"

	. "github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/vectors"
)

// FuzzParser compares the parser with another CBOR implementation that shares
// no code with it, and with a second reading of the canonical rule:
//
//   - what the parser accepts, the other accepts in its strictest mode,
//     and writing what was read gives the same bytes;
//   - what the other accepts and encodes back to the same bytes, the
//     parser accepts, unless it uses what this package leaves out.
func FuzzParser(f *testing.F) {
	err := fs.WalkDir(vectors.SUIT(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(vectors.SUIT(), name)
		f.Add(b)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a2 01 f5 61 61 f4", "a2 81 00 01 82 00 00 02", "9f 00 ff", "a2 02 00 01 00",
		"1b 00000000ffffffff", "c2 41 01", "f9 7e00", "3b ffffffffffffffff", "62 c3a9", "a1 c1 00 00", "81 d8 20 60"} {
		f.Add(unhex(f, s))
	}
	dec, enc := strictModes(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		err := whole(b, Limits{Size: 1 << 16, Depth: MaxDepth, Items: 1 << 16})
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLimit) {
			t.Fatalf("%x: error without a class: %v", b, err)
		}
		if err == nil {
			// Not into Go values: those cannot hold maps with arrays as keys.
			if other := dec.Wellformed(b); other != nil {
				t.Fatalf("%x: accepted, the other says %v", b, other)
			}
			if again := rewrite(t, New(b, roomyFuzz), nil); !bytes.Equal(again, b) {
				t.Fatalf("%x: written back as %x", b, again)
			}
			return
		}
		var value any
		if errors.Is(err, ErrLimit) || dec.Unmarshal(b, &value) != nil || !inSubset(value) {
			return
		}
		if again, encErr := enc.Marshal(value); encErr == nil && bytes.Equal(again, b) {
			t.Fatalf("%x: refused (%v), the other accepts and encodes it back", b, err)
		}
	})
}

var roomyFuzz = Limits{Size: 1 << 16, Depth: MaxDepth, Items: 1 << 16}

func strictModes(f *testing.F) (cbor.DecMode, cbor.EncMode) {
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		UTF8:             cbor.UTF8RejectInvalid,
		BignumTag:        cbor.BignumTagForbidden,
		Inf:              cbor.InfDecodeForbidden,
		NaN:              cbor.NaNDecodeForbidden,
		MaxNestedLevels:  MaxDepth + 1,
		MaxArrayElements: 1 << 17,
		MaxMapPairs:      1 << 17,
		TimeTag:          cbor.DecTagIgnored,
	}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		f.Fatal(err)
	}
	return dec, enc
}

// inSubset reports whether value is made of what this package reads.
func inSubset(value any) bool {
	switch v := value.(type) {
	case nil, bool, uint64, int64, []byte, string:
		return true
	case []any:
		for _, e := range v {
			if !inSubset(e) {
				return false
			}
		}
		return true
	case map[any]any:
		for k, e := range v {
			switch k.(type) {
			case uint64, int64, string, cbor.ByteString:
			default:
				return false
			}
			if !inSubset(e) {
				return false
			}
		}
		return true
	case cbor.Tag:
		return v.Number != 2 && v.Number != 3 && inSubset(v.Content)
	}
	return false
}

// rewrite reads one item and appends it to b.
func rewrite(t *testing.T, p *Parser, b []byte) []byte {
	kind, err := p.Peek()
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case Uint:
		var v uint64
		v, err = p.Uint()
		b = AppendUint(b, v)
	case Nint:
		raw, rawErr := p.Raw() // need not fit in 64 bits
		b, err = append(b, raw...), rawErr
	case Bytes:
		var v []byte
		v, err = p.Bytes()
		b = AppendBytes(b, v)
	case Text:
		var v string
		v, err = p.Text()
		b = AppendText(b, v)
	case Array:
		var n int
		n, err = p.Array()
		b = AppendArray(b, n)
		for range n {
			b = rewrite(t, p, b)
		}
		p.End()
	case Map:
		var m Entries
		m, err = p.Map()
		b = AppendMap(b, m.Len())
		for m.Next(p) {
			b = rewrite(t, p, rewrite(t, p, b))
		}
	case Tag:
		var n uint64
		n, err = p.Tag()
		b = rewrite(t, p, AppendTag(b, n))
		p.End()
	case Bool:
		var v bool
		v, err = p.Bool()
		b = AppendBool(b, v)
	case Nil:
		err = p.Nil()
		b = AppendNil(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
