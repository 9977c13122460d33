// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func sorted(data []byte) *text {
	s := &text{data: data}
	s.sort(make([]int32, len(data)))
	return s
}

func TestSuffixesSorted(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(r.IntN(1 + n%5))
		}
		if n%7 == 0 {
			r.Shuffle(n, func(i, j int) { data[i] = byte(r.Uint32()) })
		}
		s := sorted(data)
		for i := 1; i < n; i++ {
			if bytes.Compare(data[s.array[i-1]:], data[s.array[i]:]) >= 0 {
				t.Fatalf("%d bytes %v: suffixes %d and %d are out of order", n, data, i-1, i)
			}
		}
	}
}

func TestLongest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		data, p := make([]byte, r.IntN(200)), make([]byte, 3+r.IntN(20))
		for i := range data {
			data[i] = byte(r.IntN(4))
		}
		for i := range p {
			p[i] = byte(r.IntN(4))
		}
		want := 0
		for i := range data {
			want = max(want, common(data[i:], p))
		}
		if want < 3 {
			want = 0
		}
		at, got, _ := sorted(data).longest(p)
		if got < 3 {
			got = 0
		}
		if got != want || got > 0 && common(data[at:], p) != got {
			t.Fatalf("longest of %v in %v: %d at %d, want %d", p, data, got, at, want)
		}
	}
}
