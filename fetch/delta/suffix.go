// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta

import (
	"encoding/binary"
	"math/bits"
)

// A text is what new images are compared with: the old image, or pieces of it one after the other, and its suffix array.
type text struct {
	data   []byte
	array  []int32
	first  []int32   // first[c] is where the suffixes that begin with the prefix c start in array
	pieces []stretch // of the old image: the first plain of them in the order of their places in it, then turned ones
	plain  int
}

const prefixBits = 20

// prefix returns the first bits of p, as if zeros followed it: in the order of suffixes.
func prefix(p []byte) int {
	var b [3]byte
	copy(b[:], p)
	return (int(b[0])<<16 | int(b[1])<<8 | int(b[2])) >> (24 - prefixBits)
}

// sort sorts the suffixes of data, which has less than 2^31 bytes, into array, which has as many words.
func (s *text) sort(array []int32) {
	s.array = array[:len(s.data)]
	if s.first == nil {
		s.first = make([]int32, 1<<prefixBits+1)
	}
	clear(s.first)
	small := newBitmap(len(s.data) + len(s.data)/2 + 1024) // for all levels, which hardly ever have more
	sortSuffixes(s.data, s.array, make([]int32, 256), small)
	for i := range s.data {
		s.first[prefix(s.data[i:min(i+3, len(s.data))])+1]++
	}
	for i := range 1 << prefixBits {
		s.first[i+1] += s.first[i]
	}
}

// longest returns where data holds the longest beginning of p, its length, and its place in the array. What
// has fewer than three bytes in common with p may not be found.
func (s *text) longest(p []byte) (at, length, index int) {
	c := prefix(p)
	lo, hi := int(s.first[c]), int(s.first[c+1])
	if lo == hi {
		return 0, 0, 0
	}
	// Everything before lo sorts before p, everything from hi on after it; loLen and hiLen are what their ends share with p.
	loLen, hiLen := 0, 0
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		pos := int(s.array[mid])
		skip := min(loLen, hiLen)
		n := skip + common(s.data[min(pos+skip, len(s.data)):], p[skip:])
		if n > length {
			at, length, index = pos, n, mid
		}
		if n == len(p) {
			return at, length, index
		}
		if pos+n < len(s.data) && s.data[pos+n] > p[n] {
			hi, hiLen = mid, n
		} else {
			lo, loLen = mid+1, n
		}
	}
	return at, length, index
}

// common returns how many leading bytes a and b share.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:])
		if x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// sortSuffixes fills sa with the suffix array of text, whose symbols are below k, by induced sorting (G. Nong,
// S. Zhang, W. H. Chan, "Linear Suffix Array Construction by Almost Pure Induced-Sorting", DCC 2009). The end of the
// text counts as a symbol smaller than all others. bucket has a word for each symbol, small a bit for each of text; what
// it has beyond is for the levels below.
func sortSuffixes[T byte | int32](text []T, sa, bucket []int32, small bitmap) {
	n := len(text)
	if n == 0 {
		return
	}
	if n == 1 {
		sa[0] = 0
		return
	}
	words := (n + 63) / 64
	if len(small) < words {
		small = newBitmap(n)
	}
	x := &inducer[T]{text: text, sa: sa, small: small[:words], bucket: bucket}
	clear(x.small)
	x.classify()
	fill(sa, -1)
	x.ends()
	for i := 1; i < n; i++ {
		if x.leftmost(i) {
			x.bucket[text[i]]--
			sa[x.bucket[text[i]]] = int32(i)
		}
	}
	x.induce()
	m := 0
	for _, at := range sa {
		if at > 0 && x.leftmost(int(at)) {
			sa[m] = at
			m++
		}
	}
	names := x.name(m)
	reduced := sa[n-m:]
	if names < m {
		room := sa[m : n-m] // enough if m is at most n/3, as it usually is
		if len(room) < names {
			room = make([]int32, names)
		}
		sortSuffixes(reduced, sa[:m], room[:names], small[words:])
	} else {
		for i, c := range reduced {
			sa[c] = int32(i)
		}
	}
	x.place(m, reduced)
	x.induce()
}

type inducer[T byte | int32] struct {
	text   []T
	sa     []int32
	small  bitmap // suffix i is smaller than suffix i+1
	bucket []int32
}

func (x *inducer[T]) classify() {
	for i := len(x.text) - 2; i >= 0; i-- {
		if a, b := x.text[i], x.text[i+1]; a < b || a == b && x.small.has(i+1) {
			x.small.set(i)
		}
	}
}

// leftmost reports whether i begins a run of small suffixes.
func (x *inducer[T]) leftmost(i int) bool { return i > 0 && x.small.has(i) && !x.small.has(i-1) }

func (x *inducer[T]) starts() {
	x.count()
	sum := int32(0)
	for c, n := range x.bucket {
		x.bucket[c] = sum
		sum += n
	}
}

func (x *inducer[T]) ends() {
	x.count()
	sum := int32(0)
	for c, n := range x.bucket {
		sum += n
		x.bucket[c] = sum
	}
}

func (x *inducer[T]) count() {
	clear(x.bucket)
	for _, c := range x.text {
		x.bucket[c]++
	}
}

// induce sorts all suffixes from the leftmost small ones that stand at the ends of their buckets.
func (x *inducer[T]) induce() {
	text, sa := x.text, x.sa
	x.starts()
	last := len(text) - 1
	sa[x.bucket[text[last]]] = int32(last)
	x.bucket[text[last]]++
	for i := 0; i < len(sa); i++ {
		if j := int(sa[i]) - 1; j >= 0 {
			// What is sorted so far are large suffixes, and small ones behind a larger symbol.
			if c := text[j]; c >= text[j+1] {
				sa[x.bucket[c]] = int32(j)
				x.bucket[c]++
			}
		}
	}
	x.ends()
	for i := len(sa) - 1; i >= 0; i-- {
		if j := int(sa[i]) - 1; j >= 0 {
			// Before an equal symbol a suffix is small if the one behind it is: that stands where small ones were put.
			c, next := text[j], text[j+1]
			if c < next || c == next && i >= int(x.bucket[c]) {
				x.bucket[c]--
				sa[x.bucket[c]] = int32(j)
			}
		}
	}
}

// name replaces the m sorted leftmost substrings in sa[:m] by ranks, equal ones sharing a rank, and leaves the ranks
// in text order at the end of sa. It returns the number of ranks.
func (x *inducer[T]) name(m int) int {
	fill(x.sa[m:], -1)
	names, before := 0, -1
	for _, at := range x.sa[:m] {
		if before < 0 || !x.same(before, int(at)) {
			names++
		}
		before = int(at)
		x.sa[m+int(at)/2] = int32(names - 1)
	}
	to := len(x.sa)
	for i := len(x.sa) - 1; i >= m; i-- {
		if x.sa[i] >= 0 {
			to--
			x.sa[to] = x.sa[i]
		}
	}
	return names
}

// same reports whether the leftmost substrings at i and j are equal.
func (x *inducer[T]) same(i, j int) bool {
	n := len(x.text)
	for d := 0; ; d++ {
		if i+d >= n || j+d >= n || x.text[i+d] != x.text[j+d] || x.small.has(i+d) != x.small.has(j+d) {
			return false
		}
		if d > 0 && (x.leftmost(i+d) || x.leftmost(j+d)) {
			return x.leftmost(i+d) && x.leftmost(j+d)
		}
	}
}

// place puts the m leftmost suffixes, whose order is in sa[:m], at the ends of their buckets.
func (x *inducer[T]) place(m int, positions []int32) {
	to := 0
	for i := 1; i < len(x.text); i++ {
		if x.leftmost(i) {
			positions[to] = int32(i)
			to++
		}
	}
	for i, rank := range x.sa[:m] {
		x.sa[i] = positions[rank]
	}
	fill(x.sa[m:], -1)
	x.ends()
	for i := m - 1; i >= 0; i-- {
		at := x.sa[i]
		x.sa[i] = -1
		x.bucket[x.text[at]]--
		x.sa[x.bucket[x.text[at]]] = at
	}
}

func fill(p []int32, v int32) {
	for i := range p {
		p[i] = v
	}
}

type bitmap []uint64

func newBitmap(n int) bitmap    { return make(bitmap, (n+63)/64) }
func (b bitmap) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
