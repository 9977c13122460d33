// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestSuffixesSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte(r.IntN(1 + n%5))
		}
		if n%7 == 0 {
			r.Shuffle(n, func(i, j int) { text[i] = byte(r.Uint32()) })
		}
		s := newSuffixes(text)
		for i := 1; i < n; i++ {
			if bytes.Compare(text[s.array[i-1]:], text[s.array[i]:]) >= 0 {
				t.Fatalf("%d bytes %v: suffixes %d and %d are out of order", n, text, i-1, i)
			}
		}
	}
}

func TestLongest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		text, p := make([]byte, r.IntN(200)), make([]byte, 2+r.IntN(20))
		for i := range text {
			text[i] = byte(r.IntN(4))
		}
		for i := range p {
			p[i] = byte(r.IntN(4))
		}
		want := 0
		for i := range text {
			want = max(want, common(text[i:], p))
		}
		if want < 2 {
			want = 0
		}
		at, got, _ := newSuffixes(text).longest(p)
		if got < 2 {
			got = 0
		}
		if got != want || got > 0 && common(text[at:], p) != got {
			t.Fatalf("longest of %v in %v: %d at %d, want %d", p, text, got, at, want)
		}
	}
}
