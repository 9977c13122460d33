// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Examples of RFC 8949, appendices A and F.
var (
	formed = []string{"00", "1bffffffffffffffff", "3903e7", "f97e00", "fb3ff199999999999a", "f4", "f6", "f7", "f0", "f8ff", "c074323031332d30332d32315432303a30343a30305a",
		"d818456449455446", "40", "62c3bc", "80", "83010203", "a0", "a201020304", "5f42010243030405ff", "7f657374726561646d696e67ff", "9fff", "9f018202039f0405ffff",
		"bf61610161629f0203ffff", "826161bf61626163ff", "5fff"}
	malformed = []string{"", "18", "1900", "1a0000", "f8", "fa00", "5801", "62", "8100" + "00", "81", "8200", "a1", "a20102", "a100", "a2000000", "c0", "9f", "9f0102", "bf", "bf01020304",
		"818181", "9f818181", "1c", "1d", "1e", "3c", "5c", "7d", "9e", "bc", "dd", "fc", "fe", "f800", "f818", "f81f", "5f00ff", "5f21ff", "5f6100ff", "5f80ff", "7f4100ff",
		"5f5f4100ffff", "7f7f6100ffff", "ff", "81ff", "8200ff", "a1ff", "a1ff00", "a100ff", "bf00ff", "bf000000ff", "1f", "3f", "df", "9bffffffffffffffff", "bbffffffffffffffff", "0000"}
)

func TestWellFormed(t *testing.T) {
	for _, in := range formed {
		if b, _ := hex.DecodeString(in); wellFormed(b, false) != nil {
			t.Errorf("%s is not", in)
		}
	}
	for _, in := range malformed {
		if b, _ := hex.DecodeString(in); wellFormed(b, false) == nil {
			t.Errorf("%s is", in)
		}
	}
	for depth, want := range map[int]error{maxForeignDepth - 1: nil, maxForeignDepth: ErrLimit, 1 << 20: ErrLimit} {
		if got := wellFormed([]byte(strings.Repeat("\x81", depth)+"\x00"), false); got != want {
			t.Errorf("%d deep: %v", depth, got)
		}
	}
}

// Another decoder says the same.
func FuzzWellFormed(f *testing.F) {
	for _, in := range slices.Concat(formed, malformed) {
		b, _ := hex.DecodeString(in)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), maxForeignDepth-1)] // so that no limit of depth is reached
		if err := cbor.Wellformed(b); (wellFormed(b, false) == nil) != (err == nil) {
			t.Errorf("%x: %v, but %v", b, wellFormed(b, false), err)
		}
	})
}

// What is taken for a block at once is one.
func TestIsUsualBlock(t *testing.T) {
	good, _ := hex.DecodeString("d28443a10126a0f6581a" + strings.Repeat("00", 26))
	if !isUsualBlock(good) {
		t.Error("a usual one is not")
	}
	for at := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[at] ^= 1 << bit
			if isUsualBlock(b) && wellFormed(b, false) != nil {
				t.Errorf("%x is", b)
			}
		}
	}
	for n := range good {
		if isBlock(good[:n]) {
			t.Errorf("%x is", good[:n])
		}
	}
}
