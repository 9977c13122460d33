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
			return v
		}
	}
	panic("uvarint of more than 10 bytes")
}

func (r *specReader) svarint() int {
	v := r.uvarint()
	if v%2 == 0 {
		return v / 2
	}
	return -(v + 1) / 2
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
	return out
}

// specDecode makes the new image. trace is called with each decision.
func specDecode(old, patch, signed []byte, trace func(set, p, bit int)) []byte {
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
	most, mostControl, mostInserted := 0, 0, 0
	for _, e := range entries {
		start, length := len(out), min(frameSize, newSize-len(out))
		if e.length > frameSize+frameSize/16+256 {
			panic("packed frame too long")
		}
		packed := r.take(e.length)
		specHash("frame", packed, e.frame)
		f := &specReader{packed}
		c, i := f.uvarint(), f.uvarint()
		control, inserted := &specReader{specZstd(f.take(c))}, &specReader{specZstd(f.take(i))}
		most, mostControl, mostInserted = max(most, e.length), max(mostControl, len(control.p)), max(mostInserted, len(inserted.p))
		if len(control.p) > frameSize || len(inserted.p) > length {
			panic("control or inserted too long")
		}
		d := newSpecCorrections(f.p)
		d.trace = trace
		shift := 0
		for len(out) < start+length {
			copied, literal := control.uvarint(), control.uvarint()
			if copied > 0 {
				shift += control.svarint()
				out = d.copied(old, out, copied, shift)
			}
			out = append(out, inserted.take(literal)...)
			if copied+literal == 0 {
				panic("empty operation")
			}
		}
		if len(out) != start+length || len(control.p)+len(inserted.p) > 0 {
			panic("operations do not fit the block")
		}
		specHash("block", out[start:], e.out)
	}
	specHash("new image", out, newSum)
	if len(r.p) > 0 {
		panic("bytes behind the last frame")
	}
	if want := frameSize + 287232 + most + mostControl + mostInserted; memory != want {
		panic(fmt.Sprintf("memory is %d, want %d", memory, want))
	}
	return out
}

var (
	specL = []int{1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607, 3785,
		3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094}
	specStretch = func() (table [4096]int) {
		for p := range table {
			x := -2047
			for x < 2047 && specSquash(x) < p {
				x++
			}
			table[p] = x
		}
		return table
	}()
)

func specSquash(x int) int {
	switch {
	case x < -2047:
		return 1
	case x > 2047:
		return 4095
	}
	y := x + 2048
	i, r := y>>7, y&127
	return (specL[i]*(128-r) + specL[i+1]*r + 64) >> 7
}

type specCorrections struct {
	groups, hist      uint32
	last, carry       uint32
	lane              [4]uint32
	w                 [6][4]int
	probability       [4][16384]int
	count             [4][16384]int
	low, high, number uint32
	in                []byte
	trace             func(set, p, bit int)
}

func newSpecCorrections(in []byte) *specCorrections {
	d := &specCorrections{in: in, high: 0xffffffff}
	for k := range 4 {
		for set := range d.w {
			d.w[set][k] = 32768
		}
		for slot := range d.probability[k] {
			d.probability[k][slot] = 1 << 21
		}
		d.shift()
	}
	return d
}

func (d *specCorrections) shift() {
	d.number *= 256
	if len(d.in) > 0 {
		d.number += uint32(d.in[0])
		d.in = d.in[1:]
	}
}

func (d *specCorrections) decide(set uint32, h ...uint32) uint32 {
	var slot [4]uint32
	var t [4]int
	sum := 0
	for k := range 4 {
		slot[k] = h[k] * 0x9E3779B1 >> 18
		t[k] = specStretch[d.probability[k][slot[k]]>>10]
		sum += d.w[set][k] * t[k]
	}
	p := specSquash(sum >> 16)

	bit := 0
	mid := d.low + uint32(uint64(d.high-d.low)*uint64(p)>>12)
	if d.number <= mid {
		bit, d.high = 1, mid
	} else {
		d.low = mid + 1
	}
	for d.low>>24 == d.high>>24 {
		d.low, d.high = d.low*256, d.high*256+255
		d.shift()
	}
	if d.trace != nil {
		d.trace(int(set), p, bit)
	}

	miss := (4096*bit - p) * 6
	for k := range 4 {
		d.w[set][k] += (t[k]*miss + 512) >> 10
		pr, c := &d.probability[k][slot[k]], &d.count[k][slot[k]]
		*pr += (1<<22*bit - *pr) * (131072 / (2**c + 3)) >> 16
		*pr = min(max(*pr, 0), 1<<22-1)
		*c = min(*c+1, 250)
	}
	return uint32(bit)
}

func (d *specCorrections) copied(old, out []byte, n, shift int) []byte {
	s := func(at int) uint32 {
		if at = at + shift; at < 0 || at >= len(old) {
			return 0
		}
		return uint32(old[at])
	}
	for n > 0 {
		q := len(out)
		g := d.decide(0, d.groups&255, 1<<16|d.groups&15, 2<<16, 3<<16|s(q+3)<<1|d.groups&1)
		d.groups = 2*d.groups + g
		if g == 0 {
			d.hist, d.last, d.carry = 0, 0, 0
		}
		for again := true; again && n > 0; again = len(out)%32 != 0 {
			q := len(out)
			n--
			if g == 0 {
				out = append(out, old[q+shift])
				continue
			}
			l := uint32(q % 4)
			top, ahead := s(q+3-int(l)), s(q-1)+256*s(q-2)
			b := d.decide(1+l,
				1<<28|l<<8|d.hist&255,
				1<<28|l<<16|top<<8|d.hist&7,
				1<<28|ahead<<4|d.hist&3,
				1<<28|d.last<<8|d.carry<<4|l)
			d.hist = 2*d.hist + b
			if b == 0 {
				out = append(out, old[q+shift])
				d.last, d.carry = 0, 0
				continue
			}
			v := uint32(1)
			for v < 256 {
				v = 2*v + d.decide(5,
					2<<28|v<<4|l,
					2<<28|v<<16|top<<4|l,
					2<<28|v<<12|d.lane[l]<<4|l,
					2<<28|v<<16|d.last<<4|d.carry<<3|l)
			}
			difference := v - 256
			sum := uint32(old[q+shift]) + difference
			out = append(out, byte(sum))
			d.last, d.lane[l], d.carry = difference, difference, 1+sum/256
		}
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
	if got := specDecode(old, patch, info.Digest.Bytes(), func(set, p, bit int) {
		lines = append(lines, fmt.Sprintf("%d %d %d", set, p, bit))
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
