// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream

import "encoding/binary"

// Nothing here is inlined: it is called from everywhere, and a copy in each place costs every agent kilobytes.

// AppendUint appends an unsigned integer.
//
//go:noinline
func AppendUint(b []byte, v uint64) []byte { return appendHead(b, Uint, v) }

// AppendInt appends an integer.
//
//go:noinline
func AppendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, Nint, uint64(-1-v))
	}
	return appendHead(b, Uint, uint64(v))
}

// AppendBytes appends a byte string.
//
//go:noinline
func AppendBytes(b, v []byte) []byte {
	return append(appendHead(b, Bytes, uint64(len(v))), v...)
}

// AppendText appends a text string, which must be UTF-8.
//
//go:noinline
func AppendText(b []byte, v string) []byte {
	return append(appendHead(b, Text, uint64(len(v))), v...)
}

// AppendArray appends the head of an array of n items.
//
//go:noinline
func AppendArray(b []byte, n int) []byte { return appendHead(b, Array, uint64(n)) }

// AppendMap appends the head of a map of n pairs.
//
//go:noinline
func AppendMap(b []byte, n int) []byte { return appendHead(b, Map, uint64(n)) }

// AppendTag appends a tag.
func AppendTag(b []byte, n uint64) []byte { return appendHead(b, Tag, n) }

// AppendBool appends a boolean.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, majorSimple<<5|simpleTrue)
	}
	return append(b, majorSimple<<5|simpleFalse)
}

// AppendNil appends nil.
func AppendNil(b []byte) []byte { return append(b, majorSimple<<5|simpleNil) }

func appendHead(b []byte, kind Kind, arg uint64) []byte {
	major := byte(kind) << 5
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg < 1<<8:
		return append(b, major|24, byte(arg))
	case arg < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(arg))
	case arg < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), arg)
}
