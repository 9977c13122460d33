// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import "bytes"

// plainEntry recognises, at the start of p, an entry of the targets in the form in which nearly all stand, with the comma before it:
//
//	,"path":{"hashes":{"sha256":"HEX","sha512":"HEX"},"length":N}
//
// with one of the digests or both, a path of plain ASCII and no other byte anywhere. Such text is its own canonical form, and parseTargetFile has
// nothing against it. It returns the lengths of the name, quotes included, and of all; 0 if p does not begin so, which means nothing.
func plainEntry(p []byte) (name, length int) {
	if len(p) < 2 || p[0] != ',' || p[1] != '"' {
		return 0, 0
	}
	i := 2
	for i < len(p) && kinds[p[i]]&plainText != 0 {
		i++
	}
	if name = i; name > MaxPath { // the comma stands for the second quote
		return 0, 0
	}
	if i+2 > len(p) || p[i] != '"' || p[i+1] != ':' {
		return 0, 0
	}
	if length = plainValue(p[i+2:]); length == 0 {
		return 0, 0
	}
	return name, i + 2 + length
}

// plainValue is plainEntry for what follows the colon.
func plainValue(p []byte) (length int) {
	rest, ok := bytes.CutPrefix(p, []byte(`{"hashes":{"`))
	if !ok {
		return 0
	}
	rest, first := plainHash(rest, `sha256":"`, 64)
	if first {
		if more, ok := bytes.CutPrefix(rest, []byte(`,"`)); ok {
			if rest, ok = plainHash(more, `sha512":"`, 128); !ok {
				return 0
			}
		}
	} else if rest, ok = plainHash(rest, `sha512":"`, 128); !ok {
		return 0
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`},"length":`)); !ok {
		return 0
	}
	digits := 0
	for digits < len(rest) && kinds[rest[digits]]&digit != 0 {
		digits++
	}
	if digits == 0 || digits > 18 || digits == len(rest) || rest[0] == '0' && digits > 1 || rest[digits] != '}' {
		return 0
	}
	return len(p) - len(rest) + digits + 1
}

// plainHash passes label, n hexadecimal digits and a quote; what it does not find so, it leaves.
func plainHash(p []byte, label string, n int) (rest []byte, ok bool) {
	if len(p) <= len(label)+n || string(p[:len(label)]) != label || p[len(label)+n] != '"' {
		return p, false
	}
	all := byte(hexDigit)
	for _, b := range p[len(label) : len(label)+n] {
		all &= kinds[b]
	}
	if all == 0 {
		return p, false
	}
	return p[len(label)+n+1:], true
}

// What a byte may be.
const (
	plainText = 1 << iota // of a string, without an escape
	hexDigit
	digit
)

var kinds = func() (t [256]byte) {
	for b := range t {
		switch {
		case b < 0x20 || b >= 0x80 || b == '"' || b == '\\':
			continue
		case b >= '0' && b <= '9':
			t[b] = digit | hexDigit
		case b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F':
			t[b] = hexDigit
		}
		t[b] |= plainText
	}
	return t
}()
