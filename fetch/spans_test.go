// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Spans stay in order and apart whatever the order they come in, and a plan deals out exactly what they leave.
func TestSpansAndPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		const size = 40
		var have spans
		there := [size]bool{}
		for _, at := range rng.Perm(size)[:rng.IntN(size)] {
			have = have.add(span{int64(at), int64(at) + 1})
			there[at] = true
		}
		count := int64(0)
		for i, s := range have {
			if s.start >= s.end || i > 0 && s.start <= have[i-1].end {
				t.Fatalf("spans %v", have)
			}
			for at := s.start; at < s.end; at++ {
				if !there[at] {
					t.Fatalf("%d is not there, %v", at, have)
				}
				count++
			}
		}
		if count != have.bytes() {
			t.Fatalf("%v counts %d bytes, holds %d", have, have.bytes(), count)
		}
		if first := int64(slices.Index(there[:], false)); have.prefix() != first {
			t.Fatalf("prefix of %v is %d, want %d", have, have.prefix(), first)
		}
		p := newPlan(have, size, 1+rng.Int64N(9), 1)
		for {
			from, to, ok := p.take()
			if !ok {
				break
			}
			for ; from < to; from++ {
				if there[from] {
					t.Fatalf("%d dealt out again", from)
				}
				there[from] = true
			}
		}
		if slices.Contains(there[:], false) {
			t.Fatalf("not everything dealt out: %v", there)
		}
	}
}
