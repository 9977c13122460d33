// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

// noise returns n bytes that depend on seed alone.
func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

// file is an io.WriterAt in memory.
type file struct{ data []byte }

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	if n := int(at) + len(p); n > len(f.data) {
		f.data = append(f.data, make([]byte, n-len(f.data))...)
	}
	return copy(f.data[at:], p), nil
}

// medium is a Sink and a Resumer in memory.
type medium struct {
	data   []byte
	synced int
	fail   func(at int) error
}

func (m *medium) Offset() int64 { return int64(len(m.data)) }
func (m *medium) Sync() error   { m.synced = len(m.data); return nil }
func (m *medium) Write(p []byte) (int, error) {
	if m.fail != nil {
		if err := m.fail(len(m.data)); err != nil {
			return 0, err
		}
	}
	m.data = append(m.data, p...)
	return len(p), nil
}

func (m *medium) Resume(offset int64) error {
	m.data = m.data[:offset]
	return nil
}

// hashed is a Sink that keeps a digest.
type hashed struct {
	h  hash.Hash
	at int64
}

func (s *hashed) Offset() int64 { return s.at }
func (s *hashed) Sync() error   { return nil }
func (s *hashed) Write(p []byte) (int, error) {
	if s.h == nil {
		s.h = sha256.New()
	}
	s.at += int64(len(p))
	return s.h.Write(p)
}

func (s *hashed) digest(tb testing.TB) verify.Digest {
	d, err := verify.NewDigest(verify.SHA256, s.h.Sum(nil))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func section(tb testing.TB, f *os.File) *io.SectionReader {
	st, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	return io.NewSectionReader(f, 0, st.Size())
}

func makePatch(tb testing.TB, old, new []byte, frameSize int64) ([]byte, delta.Info) {
	tb.Helper()
	var f file
	info, err := delta.Make(tb.Context(), bytes.NewReader(old), bytes.NewReader(new), &f, delta.Options{FrameSize: frameSize})
	if err != nil {
		tb.Fatal(err)
	}
	if info.Size != int64(len(f.data)) {
		tb.Fatalf("patch has %d bytes, Info says %d", len(f.data), info.Size)
	}
	return f.data, info
}

func open(tb testing.TB, patch []byte, info delta.Info) *delta.Patch {
	tb.Helper()
	p, err := delta.Open(bytes.NewReader(patch), info.Digest, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func opensbi(tb testing.TB) (old, new []byte) {
	tb.Helper()
	var images [2][]byte
	for i, name := range []string{"fw_dynamic-1.5.1.bin", "fw_dynamic-1.6.bin"} {
		var err error
		if images[i], err = os.ReadFile(filepath.Join("testdata", "opensbi", name)); err != nil {
			tb.Fatal(err)
		}
	}
	return images[0], images[1]
}

// pairs are old and new images of many kinds.
func pairs(tb testing.TB) map[string][2][]byte {
	sbiOld, sbiNew := opensbi(tb)
	text := bytes.Repeat([]byte("all work and no play makes jack a dull boy\n"), 20_000)
	moved := append(append(bytes.Clone(sbiOld[100_000:]), noise(3, 777)...), sbiOld[:100_000]...)
	patched := bytes.Clone(sbiOld)
	for i := 0; i < len(patched); i += 1013 {
		patched[i] += 7
	}
	return map[string][2][]byte{
		"opensbi":            {sbiOld, sbiNew},
		"turned":             {noise(9, 200_000), turnedNoise()},
		"shuffled":           {noise(9, 300_000), shuffled(noise(9, 300_000), 24)},
		"opensbi, back":      {sbiNew, sbiOld},
		"same":               {sbiOld, sbiOld},
		"moved":              {sbiOld, moved},
		"patched everywhere": {sbiOld, patched},
		"nothing in common":  {noise(1, 300_000), noise(2, 300_000)},
		"from nothing":       {nil, sbiNew},
		"to one byte":        {sbiOld, []byte{1}},
		"from one byte":      {[]byte{1}, noise(4, 70_000)},
		"one symbol":         {make([]byte, 100_000), make([]byte, 200_001)},
		"text":               {text, append([]byte("x"), text...)},
		"shorter":            {text, text[:len(text)/3]},
		"longer by itself":   {text[:4000], text},
	}
}

// turnedNoise is noise(9, 200_000), cut and put together again at other bits, with some bytes changed.
func turnedNoise() []byte {
	old, out := noise(9, 200_000), noise(10, 100)
	for i, n := range []int{30_000, 5000, 7001, 40_000, 90_000, 20_000} {
		turn := (i*3 + 1) % 8
		for j := range n {
			x := uint(old[j]) | uint(old[j+1])<<8
			out = append(out, byte(x>>turn))
		}
		out[len(out)-n/2] ^= 5
		old = old[n:]
	}
	return out
}

// shuffled is p in pieces of n bytes, in another order.
func shuffled(p []byte, n int) []byte {
	var out []byte
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(p) / n) {
		out = append(out, p[i*n:][:n]...)
	}
	return out
}

// Runs of bits are found wherever they begin in a byte, as compressors leave them.
func TestTurned(t *testing.T) {
	old, new := noise(9, 200_000), turnedNoise()
	for _, bounded := range []bool{false, true} {
		var f file
		info, err := delta.Make(t.Context(), bytes.NewReader(old), bytes.NewReader(new), &f, delta.Options{Bounded: bounded})
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 1000 {
			t.Errorf("bounded %v: patch of %d bytes, want at most 1000", bounded, info.Size)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			patch, info := makePatch(t, pair[0], pair[1], delta.MinFrameSize)
			p := open(t, patch, info)
			var m medium
			if err := p.Apply(t.Context(), bytes.NewReader(pair[0]), &m, delta.ApplyOptions{}); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.data, pair[1]) || m.synced != len(pair[1]) {
				t.Fatal("the sink does not hold the new image, synced")
			}
			if most := len(pair[1]) + len(pair[1])/16 + 1024; len(patch) > most {
				t.Errorf("patch of %d bytes for an image of %d", len(patch), len(pair[1]))
			}
		})
	}
}

// reads counts what is asked of an image, and notices what is beyond its end.
type reads struct {
	*bytes.Reader
	tb testing.TB
}

func (r reads) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > r.Size() {
		r.tb.Errorf("%d bytes read at %d of %d", len(p), at, r.Size())
	}
	return r.Reader.ReadAt(p, at)
}

// Anchors first, and what they leave in pieces that are far smaller than the image: the same images come out, of patches not much larger.
func TestBoundedRoundTrip(t *testing.T) {
	all := pairs(t)
	old := noise(7, 3<<20) // much moved, much changed: more is left than is sorted at once
	new := bytes.Join([][]byte{old[2<<20:], noise(8, 5000), old[:1<<20], old[3<<19 : 2<<20]}, nil)
	for i := 0; i < len(new); i += 97 {
		new[i] ^= 4
	}
	copy(new[1<<20:], old[1<<18:1<<19]) // an anchor
	all["many changes"] = [2][]byte{old, new}
	for name, pair := range all {
		t.Run(name, func(t *testing.T) {
			whole, _ := makePatch(t, pair[0], pair[1], delta.MinFrameSize)
			for _, sorted := range []int64{200 << 10, 4 << 20} {
				var f file
				info, err := delta.MakeInPieces(t.Context(), reads{bytes.NewReader(pair[0]), t}, reads{bytes.NewReader(pair[1]), t}, &f, sorted, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				var m medium
				if err := open(t, f.data, info).Apply(t.Context(), bytes.NewReader(pair[0]), &m, delta.ApplyOptions{}); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(m.data, pair[1]) {
					t.Fatal("wrong image")
				}
				if sorted == 4<<20 && len(f.data) > len(whole)+len(whole)/10+2000 {
					t.Errorf("patch of %d bytes, %d with all of the old image sorted", len(f.data), len(whole))
				}
			}
		})
	}
}

// The bound that the project set for this pair: 73,500 bytes in frames of 256 KiB.
func TestSizeOpenSBI(t *testing.T) {
	old, new := opensbi(t)
	patch, info := makePatch(t, old, new, 0)
	if len(patch) > 73_500 {
		t.Errorf("patch has %d bytes, want at most 73500", len(patch))
	}
	if info.Memory > 1<<20 {
		t.Errorf("applying needs %d bytes of buffers, want at most 1 MiB", info.Memory)
	}
}

// The bounds that the project set, for pairs in the folder that FIRMAMENT_CORPUS names, as DIR/PAIR/old.img and new.img.
func TestM4_PatchBytes(t *testing.T) {
	dir := os.Getenv("FIRMAMENT_CORPUS")
	if dir == "" {
		t.Skip("FIRMAMENT_CORPUS is not set to a folder of image pairs: DIR/PAIR/old.img and new.img")
	}
	for pair, most := range map[string]int64{
		"opensbi": 73_500, "uboot-rpi4": 186_000, "uboot-sec": 22_600, "grub-a64": 46_000, "raspi-gpu": 145_000,
		"kernel": 2_300_000, "rootfs-ext4": 4_000_000, "rootfs-sqfs": 13_000_000,
	} {
		t.Run(pair, func(t *testing.T) {
			old, err1 := os.Open(filepath.Join(dir, pair, "old.img"))
			new, err2 := os.Open(filepath.Join(dir, pair, "new.img"))
			if errors.Join(err1, err2) != nil {
				t.Skipf("FIRMAMENT_CORPUS has no such pair: %v", errors.Join(err1, err2))
			}
			defer old.Close()
			defer new.Close()
			var f file
			info, err := delta.Make(t.Context(), section(t, old), section(t, new), &f, delta.Options{})
			if err != nil {
				t.Fatal(err)
			}
			p, err := delta.Open(bytes.NewReader(f.data), info.Digest, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			var m hashed
			if err := p.Apply(t.Context(), old, &m, delta.ApplyOptions{}); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes, %d of memory", info.Size, info.Memory)
			if got := m.digest(t); got != p.NewDigest() || info.Size > most {
				t.Errorf("patch of %d bytes, at most %d; image %v, want %v", info.Size, most, got, p.NewDigest())
			}
		})
	}
}

// The same images make the same patch, whatever the cores do.
func TestDeterministic(t *testing.T) {
	old := noise(1, 200_000)
	new := bytes.Repeat(append(bytes.Clone(old), noise(2, 1000)...), 60) // more than one part
	a, _ := makePatch(t, old, new, 0)
	b, _ := makePatch(t, old, new, 0)
	if !bytes.Equal(a, b) {
		t.Fatal("two patches for one pair differ")
	}
}

var errPower = errors.New("power lost")

// Cut before every frame, and in the middle of one: what is there is kept, and applying goes on with a new Patch.
func TestResumeAtEveryFrame(t *testing.T) {
	old, new := opensbi(t)
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	frames := int(open(t, patch, info).Frames())
	for cut := range frames {
		for _, torn := range []int{0, 1, 5000} {
			m := medium{fail: func(at int) error {
				if at == cut*delta.MinFrameSize {
					return errPower
				}
				return nil
			}}
			err := open(t, patch, info).Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{SyncEvery: 1})
			if !errors.Is(err, errPower) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if m.synced != cut*delta.MinFrameSize || !bytes.Equal(m.data, new[:m.synced]) {
				t.Fatalf("cut at %d: %d bytes synced of %d", cut, m.synced, len(m.data))
			}
			m.fail = nil
			m.data = append(m.data, make([]byte, torn)...)
			if err := open(t, patch, info).Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{}); err != nil {
				t.Fatalf("after the cut at %d: %v", cut, err)
			}
			if !bytes.Equal(m.data, new) {
				t.Fatalf("after the cut at %d: wrong image", cut)
			}
		}
	}
}

// More frames than one page of the table has entries, begun at each page.
func TestManyPages(t *testing.T) {
	old := make([]byte, 70*delta.MinFrameSize)
	copy(old, noise(1, 1<<20))
	new := append(bytes.Clone(old[:len(old)/2]), old...)
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	for _, start := range []int{0, 63, 64, 65, 104} {
		m := medium{data: bytes.Clone(new[:start*delta.MinFrameSize])}
		p := open(t, patch, info)
		if err := p.Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{}); err != nil {
			t.Fatalf("from frame %d: %v", start, err)
		}
		if !bytes.Equal(m.data, new) {
			t.Fatalf("from frame %d: wrong image", start)
		}
	}
}

// With the author's chunk digests a patch to another image, signed though it is, writes nothing that the author did not sign.
func TestChunksDecide(t *testing.T) {
	old, new := opensbi(t)
	other := bytes.Clone(new)
	other[200_000] ^= 1
	patch, info := makePatch(t, old, other, delta.MinFrameSize)
	pages, root, err := chunk.Build(bytes.NewReader(new), int64(len(new)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	tree := chunkTree(t, pages, root, int64(len(new)), 16<<10)
	var m medium
	err = open(t, patch, info).Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{Chunks: tree})
	var bad *fetch.DigestError
	if !errors.As(err, &bad) || bad.Part != "chunk" || bad.Number != 200_000/(16<<10) {
		t.Fatalf("error %v, want a DigestError for chunk %d", err, 200_000/(16<<10))
	}
	if !bytes.Equal(m.data, new[:len(m.data)]) || m.synced != len(m.data) || len(m.data) != 3*delta.MinFrameSize {
		t.Fatalf("sink holds %d bytes, of which %d synced", len(m.data), m.synced)
	}
	patch, info = makePatch(t, old, new, delta.MinFrameSize)
	if err := open(t, patch, info).Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{Chunks: tree}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.data, new) {
		t.Fatal("wrong image")
	}
}

func chunkTree(tb testing.TB, pages []byte, root verify.Digest, size, chunkSize int64) *fetch.Tree {
	tb.Helper()
	l, err := fetch.NewLayout(size, chunkSize)
	if err != nil {
		tb.Fatal(err)
	}
	tree, err := fetch.NewTree(l, root, chunk.Pages(bytes.NewReader(pages)))
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

var _ io.WriterAt = (*file)(nil)
