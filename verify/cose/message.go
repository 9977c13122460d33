// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// newParser reads COSE: definite lengths, no tags inside, no floating point, 8 levels. Map keys may stand in any
// order, as in the SUIT examples, and heads need not be the shortest; no label is there twice.
func newParser(data []byte) *cborstream.Parser {
	return cborstream.NewCOSE(data, limits)
}

var limits = cborstream.Limits{Size: MaxEncryptionInfoSize, Depth: 8, Items: 1 << 16}

// item is one encoded data item that newParser has read.
type item []byte

func (i item) kind() cborstream.Kind {
	if len(i) > 0 {
		if kind, ok := cborstream.KindOf(i[0]); ok {
			return kind
		}
	}
	return cborstream.Tag // not reached; nothing expects a tag
}

func (i item) isNil() bool { return i.kind() == cborstream.Nil }

func (i item) int() (n int64, ok bool) {
	n, err := newParser(i).Int()
	return n, err == nil
}

func (i item) bytes() (b []byte, ok bool) {
	b, err := newParser(i).Bytes()
	return b, err == nil
}

// tagged returns the n items of the array that stands under tag.
func tagged(message, tag []byte, n int) ([]item, error) {
	content, ok := bytes.CutPrefix(message, tag)
	if !ok {
		return nil, fmt.Errorf("tag %x expected: %w", tag, verify.ErrMalformed)
	}
	return tuple(content, n)
}

// tuple returns the n items of an array.
func tuple(array []byte, n int) ([]item, error) {
	items, err := list(array)
	if err == nil && len(items) != n {
		err = fmt.Errorf("array of %d items, expected %d: %w", len(items), n, verify.ErrMalformed)
	}
	return items, err
}

// list returns the items of an array.
func list(array []byte) ([]item, error) {
	p := newParser(array)
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	items := make([]item, 0, min(n, 8)) // no more before they are there
	for range n {
		b, err := p.Foreign()
		if err != nil {
			return nil, err
		}
		items = append(items, b)
	}
	p.End()
	if err := p.Done(); err != nil {
		return nil, err
	}
	return items, nil
}

// byteString decodes a byte string, and nothing else.
func byteString(i item) ([]byte, error) {
	b, ok := i.bytes()
	if !ok {
		return nil, fmt.Errorf("byte string expected: %w", verify.ErrMalformed)
	}
	return b, nil
}
