// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/firmament-dev/firmament/fetch/delta"
)

// What follows decodes patches, and was written from the package comment alone: slow, all in memory, and without any of the package's code.
// It panics where a patch is not as the comment says.

type specReader struct{ p []byte }

func (r *specReader) take(n int) []byte {
	p := r.p[:n:n]
	r.p = r.p[n:]
	return p
}

func (r *specReader) fixed(n int) int {
	v := 0
	for _, c := range r.take(n) {
		v = v<<8 + int(c)
	}
	return v
}

func (r *specReader) uvarint() int {
	v := 0
	for i := range 10 {
		c := int(r.take(1)[0])
		v += (c & 127) << (7 * i)
		if c < 128 {
			if i > 0 && c == 0 {
				panic("uvarint not of the shortest form")
			}
			return v
		}
	}
	panic("uvarint of more than 10 bytes")
}

func specHash(what string, data, want []byte) {
	if got := sha256.Sum256(data); !bytes.Equal(got[:], want) {
		panic("digest of " + what)
	}
}

func specZstd(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		panic(err)
	}
	defer d.Close()
	out, err := d.DecodeAll(p, nil)
	if err != nil {
		panic(err)
	}
	if len(out) == 0 {
		panic("a zstd frame of nothing")
	}
	return out
}

// specDecode makes the new image. trace is called with each decision.
func specDecode(old, patch, signed []byte, trace func(estimate string, p, bit int)) []byte {
	r := &specReader{patch}
	specHash("header", patch[:128], signed)
	if string(r.take(8)) != "\x89FMDLT1\n" {
		panic("magic")
	}
	frameSize, memory, oldSize, newSize := r.fixed(4), r.fixed(4), r.fixed(8), r.fixed(8)
	oldSum, newSum, pageSum := r.take(32), r.take(32), r.take(32)
	if len(old) != oldSize {
		panic("size of old image")
	}
	specHash("old image", old, oldSum)

	type entry struct {
		length     int
		frame, out []byte
	}
	var entries []entry
	for frames := (newSize + frameSize - 1) / frameSize; len(entries) < frames; {
		count := min(64, frames-len(entries))
		length := 68 * count
		if len(entries)+count < frames {
			length += 32
		}
		specHash("page", r.p[:length], pageSum)
		for range count {
			entries = append(entries, entry{r.fixed(4), r.take(32), r.take(32)})
		}
		if len(entries) < frames {
			pageSum = r.take(32)
		}
	}

	var out []byte
	most := 0
	for _, e := range entries {
		start, length := len(out), min(frameSize, newSize-len(out))
		if e.length > frameSize+frameSize/16+256 {
			panic("packed frame too long")
		}
		most = max(most, e.length)
		packed := r.take(e.length)
		specHash("frame", packed, e.frame)
		f := &specReader{packed}
		inserted := &specReader{specZstd(f.take(f.uvarint()))}
		if len(inserted.p) > length {
			panic("inserted too long")
		}
		d := newSpecDecisions(f.p)
		d.trace = trace
		shifts := make([]specShift, 7)
		var pages []int // used, the latest last
		counted := 0
		for len(out) < start+length {
			copied, literal := d.number("copied"), d.number("literal")
			if copied > 0 {
				shift := d.shift(shifts)
				for s := len(out) + shift.bytes; s < len(out)+shift.bytes+copied; s = s/4096*4096 + 4096 {
					if i := slices.Index(pages, s/4096); i >= 0 {
						pages = slices.Delete(pages, i, i+1)
					} else {
						counted++
					}
					pages = append(pages, s/4096)
					pages = pages[max(0, len(pages)-4):]
				}
				out = d.copied(old, out, copied, shift)
			}
			out = append(out, inserted.take(literal)...)
			if copied+literal == 0 {
				panic("empty operation")
			}
		}
		if counted > frameSize/64 {
			panic("too many pages used")
		}
		if len(out) != start+length || len(inserted.p) > 0 {
			panic("operations do not fit the block")
		}
		specHash("block", out[start:], e.out)
	}
	specHash("new image", out, newSum)
	if len(r.p) > 0 {
		panic("bytes behind the last frame")
	}
	if want := frameSize + 458752 + most; memory != want {
		panic(fmt.Sprintf("memory is %d, want %d", memory, want))
	}
	return out
}

type specEstimate struct{ p, n int }

// specName is an array of the comment and an index in it.
type specName struct {
	array    string
	row, col int // row is -1 if the array has one index, or none
}

func (n specName) String() string {
	if n.row < 0 {
		return fmt.Sprintf("%s[%d]", n.array, n.col)
	}
	return fmt.Sprintf("%s[%d][%d]", n.array, n.row, n.col)
}

type specDecisions struct {
	estimates map[specName]*specEstimate
	groups    int
	words     int
	known     [16384]uint32
	recent    [8][16]uint32
	c, r      uint32
	in        []byte
	trace     func(estimate string, p, bit int)
}

func newSpecDecisions(in []byte) *specDecisions {
	d := &specDecisions{estimates: map[specName]*specEstimate{}, in: in, r: 0xffffffff}
	for range 4 {
		d.next()
	}
	return d
}

func (d *specDecisions) next() {
	d.c *= 256
	if len(d.in) > 0 {
		d.c += uint32(d.in[0])
		d.in = d.in[1:]
	}
}

func (d *specDecisions) renew() {
	for d.r < 1<<24 {
		d.r *= 256
		d.next()
	}
}

// decide makes a decision with an estimate.
func (d *specDecisions) decide(array string, row, col int) int {
	name := specName{array, row, col}
	e, ok := d.estimates[name]
	if !ok {
		e = &specEstimate{8192, 0}
		d.estimates[name] = e
	}
	p, bit := e.p, 0
	if b := d.r / (1 << 14) * uint32(p); d.c < b {
		bit, d.r = 1, b
		e.p += (16384 - e.p) >> (e.n + 1)
	} else {
		d.c, d.r = d.c-b, d.r-b
		e.p -= e.p >> (e.n + 1)
	}
	e.n = min(e.n+1, 3)
	d.renew()
	if d.trace != nil {
		d.trace(name.String(), p, bit)
	}
	return bit
}

func (d *specDecisions) plain() int {
	bit := 0
	d.r /= 2
	if d.c >= d.r {
		bit, d.c = 1, d.c-d.r
	}
	d.renew()
	return bit
}

func (d *specDecisions) tree(array string, row, k int) int {
	v := 1
	for range k {
		v = 2*v + d.decide(array, row, v)
	}
	return v - 1<<k
}

func (d *specDecisions) number(kind string) int {
	n := d.tree("length["+kind+"]", -1, 6)
	if n > 43 {
		panic("number too large")
	}
	h := min(n, 2)
	l := min(n-h, 2)
	x := 1<<h + d.tree("high["+kind+"]", n, h)
	for range n - h - l {
		x = 2*x + d.plain()
	}
	return x<<l + d.tree("low["+kind+"]", -1, l) - 1
}

type specShift struct{ bytes, turn int }

// source is the source of the byte at position q.
func (s specShift) source(old []byte, q int) byte {
	byteAt := func(at int) int {
		if at < 0 || at >= len(old) {
			return 0
		}
		return int(old[at])
	}
	return byte((byteAt(q+s.bytes) + 256*byteAt(q+s.bytes+1)) >> s.turn)
}

func (d *specDecisions) shift(list []specShift) specShift {
	k := d.tree("shift", -1, 3)
	var shift specShift
	if k < 7 {
		shift = list[k]
	} else {
		k = 6
		if d.decide("sign", -1, 0) == 0 {
			shift.bytes = list[0].bytes + d.number("distance")
		} else {
			shift.bytes = list[0].bytes - d.number("distance")
		}
		shift.turn = d.tree("turn", -1, 3)
	}
	copy(list[1:k+1], list[:k])
	list[0] = shift
	return shift
}

func (d *specDecisions) copied(old, out []byte, n int, shift specShift) []byte {
	end := len(out) + n
	if len(out)+shift.bytes < 0 || end+shift.bytes > len(old) {
		panic("copy from outside of the old image")
	}
	for len(out) < end {
		q := len(out)
		ends := min(end, q-q%32+32)
		g := d.decide("group", -1, d.groups)
		d.groups = (2*d.groups + g) % 256
		if g == 0 {
			d.words = 0
			for ; q < ends; q++ {
				out = append(out, shift.source(old, q))
			}
			continue
		}
		for len(out) < ends {
			out = d.word(old, out, min(ends, len(out)-len(out)%4+4)-len(out), shift)
		}
	}
	return out
}

// word makes the next n bytes.
func (d *specDecisions) word(old, out []byte, n int, shift specShift) []byte {
	q := len(out)
	b := q - q%4
	var word uint32
	for i := 3; i >= 0; i-- {
		word = 256*word + uint32(shift.source(old, b+i))
	}
	top := int(word >> 24)
	k := word * 0x9E3779B1 >> 18
	kind := int(min(d.known[k], 2))
	differs := d.decide("word", -1, 1024*kind+4*top+d.words)
	d.words = (2*d.words + differs) % 4
	if differs == 0 {
		d.known[k] = 1
		for i := range n {
			out = append(out, shift.source(old, q+i))
		}
		return out
	}
	list := &d.recent[top>>5]
	place := 15
	var amount uint32
	if kind == 2 && d.decide("same", -1, top) == 1 {
		amount = d.known[k] - 1
		for i, v := range slices.Backward(list[:]) {
			if v == amount {
				place = i
			}
		}
	} else if d.decide("again", -1, top) == 1 {
		place = d.tree("index", top>>5, 4)
		amount = list[place]
	} else {
		m := d.tree("lanes", top, 4)
		for i := range 4 {
			if m>>i&1 == 1 {
				was := word + amount
				sum := was>>(8*i)&255 + uint32(d.tree("value", i, 8))
				now := was - was>>(8*i)&255<<(8*i) + sum&255<<(8*i)
				amount = now - word
			}
		}
	}
	copy(list[1:place+1], list[:place])
	list[0] = amount
	d.known[k] = amount + 1
	for i := range n {
		out = append(out, byte((word+amount)>>(8*(q-b+i))))
	}
	return out
}

// specPairs are generated images with what code images have: moved pieces, changed words, new and lost bytes.
func specPairs() map[string][2][]byte {
	all := map[string][2][]byte{}
	for seed := range byte(6) {
		r := rand.New(rand.NewPCG(uint64(seed), 45))
		old := noise(seed, 50_000+40_000*int(seed))
		var new []byte
		for len(new) < len(old)*int(seed+1)/3 {
			at := r.IntN(len(old))
			piece := bytes.Clone(old[at:min(at+1+r.IntN(20_000), len(old))])
			for i := r.IntN(200); i < len(piece); i += 4 << r.IntN(8) {
				piece[i] += byte(r.IntN(5))
			}
			new = append(append(new, piece...), noise(seed+100, r.IntN(300))...)
		}
		all[fmt.Sprint("generated ", seed)] = [2][]byte{old, new}
	}
	return all
}

func TestSpecification(t *testing.T) {
	all := pairs(t)
	for name, pair := range specPairs() {
		all[name] = pair
	}
	all["many pages"] = [2][]byte{noise(1, 100_000), bytes.Repeat(noise(1, 100_000), 45)} // 69 frames
	for name, pair := range all {
		for _, frameSize := range []int64{delta.MinFrameSize, delta.MaxFrameSize} {
			t.Run(fmt.Sprint(name, ", ", frameSize>>10, " KiB"), func(t *testing.T) {
				patch, info := makePatch(t, pair[0], pair[1], frameSize)
				if got := specDecode(pair[0], patch, info.Digest.Bytes(), nil); !bytes.Equal(got, pair[1]) {
					t.Fatal("what the package comment describes makes another image")
				}
			})
		}
	}
}

// The example in the package comment, taken from there: Make writes it, and the decoder above makes its decisions.
func TestSpecificationExample(t *testing.T) {
	old := []byte("The quick brown fox jumps over the lazy dog.\n")
	new := []byte("> The quick brown fox jumps over the hazy dog.\n")
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	var lines []string
	if got := specDecode(old, patch, info.Digest.Bytes(), func(estimate string, p, bit int) {
		lines = append(lines, fmt.Sprintf("%s %d %d", estimate, p, bit))
	}); !bytes.Equal(got, new) {
		t.Fatalf("made %q", got)
	}

	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(source), "// # Example")
	example, _, _ = strings.Cut(example, "// # ")
	var indented []string // the comment's two blocks: patch and decisions
	for block := range strings.SplitSeq(example, "//\n") {
		if strings.HasPrefix(block, "//\t") {
			indented = append(indented, strings.ReplaceAll(block, "//\t", ""))
		}
	}
	if len(indented) != 2 {
		t.Fatalf("%d blocks in the example, want 2", len(indented))
	}
	if want := strings.Join(strings.Fields(indented[0]), ""); hex.EncodeToString(patch) != want {
		t.Errorf("Make wrote\n%x, the comment has\n%s", patch, want)
	}
	if got, want := strings.Join(lines, ", "), strings.Join(strings.Fields(indented[1]), " "); got != want {
		t.Errorf("decisions\n%s, the comment has\n%s", got, want)
	}
	if !strings.Contains(example, hex.EncodeToString(info.Digest.Bytes())) {
		t.Errorf("the comment does not have the digest %v", info.Digest)
	}
}
