// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

func TestNET_12_WrongBase(t *testing.T) {
	old, new := opensbi(t)
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	bent := bytes.Clone(old)
	bent[len(bent)-1] ^= 1
	for name, base := range map[string][]byte{"one bit": bent, "shorter": old[:len(old)-1], "empty": nil, "the new one": new[:len(old)]} {
		var m medium
		err := open(t, patch, info).Apply(t.Context(), bytes.NewReader(base), &m, delta.ApplyOptions{})
		if !errors.Is(err, delta.ErrBase) || len(m.data) != 0 {
			t.Errorf("%s: error %v after %d bytes, want ErrBase before the first", name, err, len(m.data))
		}
	}
}

// turncoat changes after it was read once.
type turncoat struct {
	data []byte
	read int
}

func (r *turncoat) ReadAt(p []byte, at int64) (int, error) {
	r.read += len(p)
	if r.read > len(r.data) {
		n, err := bytes.NewReader(r.data).ReadAt(p, at)
		for i := range p[:n] {
			p[i] ^= 0x10
		}
		return n, err
	}
	return bytes.NewReader(r.data).ReadAt(p, at)
}

func TestNET_12_BaseChangesWhileApplying(t *testing.T) {
	old, new := opensbi(t)
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	var m medium
	err := open(t, patch, info).Apply(t.Context(), &turncoat{data: old}, &m, delta.ApplyOptions{})
	// What comes out differs from what was signed, or cannot even be read to its end.
	if !errors.Is(err, fetch.ErrDigest) && !errors.Is(err, delta.ErrBounds) || len(m.data) != 0 {
		t.Fatalf("error %v after %d bytes, want ErrDigest or ErrBounds, and nothing written", err, len(m.data))
	}
}

// Every byte of a patch matters, or nobody notices its change because it is not read.
func TestNET_12_FlippedByte(t *testing.T) {
	old, new := opensbi(t)
	patch, info := makePatch(t, old, new, delta.MinFrameSize)
	for i := 0; i < len(patch); i += 1 + i/50 {
		bent := bytes.Clone(patch)
		bent[i] ^= 0x40
		var m medium
		p, err := delta.Open(bytes.NewReader(bent), info.Digest, 0)
		if err == nil {
			err = p.Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{})
		}
		if !errors.Is(err, fetch.ErrDigest) {
			t.Fatalf("byte %d of %d flipped: error %v, want ErrDigest", i, len(patch), err)
		}
		if !bytes.Equal(m.data, new[:len(m.data)]) {
			t.Fatalf("byte %d flipped: wrong bytes written", i)
		}
	}
	for _, n := range []int{0, 127, 128, 200, len(patch) - 1} {
		var m medium
		p, err := delta.Open(bytes.NewReader(patch[:n]), info.Digest, 0)
		if err == nil {
			err = p.Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{})
		}
		if err == nil {
			t.Fatalf("patch cut to %d bytes was applied", n)
		}
	}
}

func pack(tb testing.TB, p []byte) []byte {
	tb.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(p, nil)
}

// frame builds a packed frame out of operations.
func frame(tb testing.TB, inserted []byte, all ...delta.Operation) []byte {
	if inserted != nil {
		inserted = pack(tb, inserted)
	}
	return delta.Frame(inserted, all...)
}

type op = delta.Operation

// signed builds a patch of one frame whose digests all hold, as a malicious signer would.
func signed(old []byte, newSize uint64, memory uint32, frame []byte) ([]byte, verify.Digest) {
	sum, block, base := sha256.Sum256(frame), sha256.Sum256(nil), sha256.Sum256(old)
	e := binary.BigEndian.AppendUint32(nil, uint32(len(frame)))
	e = append(append(e, sum[:]...), block[:]...)
	table := sha256.Sum256(e)
	h := []byte("\x89FMDLT1\n")
	h = binary.BigEndian.AppendUint32(h, delta.MinFrameSize)
	h = binary.BigEndian.AppendUint32(h, memory)
	h = binary.BigEndian.AppendUint64(h, uint64(len(old)))
	h = binary.BigEndian.AppendUint64(h, newSize)
	h = append(append(append(h, base[:]...), block[:]...), table[:]...)
	return append(append(bytes.Clone(h), e...), frame...), verify.Sum(verify.SHA256, h)
}

func TestNET_12_HostileFrame(t *testing.T) {
	old := noise(1, 1000)
	good := frame(t, nil, op{1000, 0, 0, 0})
	whole, half := noise(2, 1000), noise(2, 500)
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	for name, f := range map[string][]byte{
		"nothing":                  {},
		"negative seek":            frame(t, nil, op{1000, 0, -1, 0}),
		"huge seek":                frame(t, nil, op{1000, 0, 1 << 43, 0}),
		"huge seek back":           frame(t, nil, op{1000, 0, -1 << 43, 0}),
		"seek of more than 43 bit": frame(t, nil, op{1000, 0, 1 << 60, 0}),
		"too many bits behind":     frame(t, nil, op{100, 0, 400, 0}, op{400, 0, 1 << 60, 0}, op{500, 0, 0, 0}),
		"seeks that add up":        frame(t, nil, op{1, 0, 900, 0}, op{1, 0, 1800, 0}),
		"one behind the end":       frame(t, nil, op{1000, 0, 1, 0}),
		"turned one behind":        frame(t, nil, op{1000, 0, 1, 7}),
		"copy of 2^62":             frame(t, nil, op{1 << 62, 0, 0, 0}),
		"copy longer than block":   frame(t, nil, op{1001, 0, 0, 0}),
		"sum overflows":            frame(t, nil, op{1000, 1<<62 - 1, 0, 0}),
		"insert of what is not":    frame(t, nil, op{0, 1000, 0, 0}),
		"insert more than given":   frame(t, noise(2, 999), op{0, 1000, 0, 0}),
		"inserted left over":       frame(t, noise(2, 1), op{1000, 0, 0, 0}),
		"inserted in the way":      frame(t, noise(2, 500), op{600, 0, 0, 0}, op{0, 400, 0, 0}),
		"operation of nothing":     frame(t, nil, op{0, 0, 0, 0}, op{1000, 0, 0, 0}),
		"block not filled":         frame(t, nil, op{999, 0, 0, 0}),
		"unfinished number":        {0xff},
		"inserted bomb":            frame(t, make([]byte, 1<<30>>3), op{0, 1000, 0, 0}),
		"no zstd":                  {4, 1, 2, 3, 4},
		"length beyond":            {0xff, 0xff, 3, 0},
		"length that overflows":    append(binary.AppendUvarint(nil, 1<<63), 1),
		"too long a packed frame":  append(bytes.Clone(good), make([]byte, 100<<10)...),
		"two zstd frames":          delta.Frame(append(pack(t, half), pack(t, half)...), op{0, 1000, 0, 0}),
		"an empty one behind it":   delta.Frame(append(pack(t, whole), 0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0), op{0, 1000, 0, 0}),
		"skippable one behind it":  delta.Frame(append(pack(t, whole), skippable...), op{0, 1000, 0, 0}),
		"skippable one before it":  delta.Frame(append(bytes.Clone(skippable), pack(t, whole)...), op{0, 1000, 0, 0}),
		"a byte behind it":         delta.Frame(append(pack(t, whole), 0), op{0, 1000, 0, 0}),
		"zstd frame cut short":     delta.Frame(pack(t, whole)[:900], op{0, 1000, 0, 0}),
		"zstd frame of nothing":    delta.Frame([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 1, 0, 0}, op{1000, 0, 0, 0}),
		"length in a longer form":  append([]byte{0x80, 0}, good[1:]...),
	} {
		t.Run(name, func(t *testing.T) {
			patch, digest := signed(old, 1000, 1<<20, f)
			p, err := delta.Open(bytes.NewReader(patch), digest, 0)
			if err != nil {
				t.Fatal(err)
			}
			var m medium
			err = p.Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{})
			if !errors.Is(err, delta.ErrBounds) && !errors.Is(err, delta.ErrFormat) || errors.Is(err, fetch.ErrDigest) || len(m.data) > 0 {
				t.Fatalf("error %v after %d bytes, want ErrBounds or ErrFormat after none", err, len(m.data))
			}
		})
	}
}

func TestNET_12_HostileHeader(t *testing.T) {
	old := noise(1, 1000)
	f := frame(t, nil, op{1000, 0, 0, 0})
	change := func(at int, value ...byte) func([]byte) { return func(h []byte) { copy(h[at:], value) } }
	for name, test := range map[string]struct {
		bend func(header []byte)
		want error
	}{
		"magic":               {change(0, 0), delta.ErrFormat},
		"version":             {change(6, '2'), delta.ErrFormat},
		"frames of 0":         {change(8, 0, 0, 0, 0), delta.ErrBounds},
		"frames of 2 GiB":     {change(8, 0x80, 0, 0, 0), delta.ErrBounds},
		"frames of 96 KiB":    {change(8, 0, 1, 0x80, 0), delta.ErrBounds},
		"memory":              {change(12, 0xff), delta.ErrMemory},
		"old size negative":   {change(16, 0xff), delta.ErrBounds},
		"new size negative":   {change(24, 0xff), delta.ErrBounds},
		"new size 0":          {change(24, 0, 0, 0, 0, 0, 0, 0, 0), delta.ErrBounds},
		"new size 2^40 and 1": {change(24, 0, 0, 1, 0, 0, 0, 0, 1), delta.ErrBounds},
	} {
		patch, _ := signed(old, 1000, 1<<20, f)
		test.bend(patch)
		_, err := delta.Open(bytes.NewReader(patch), verify.Sum(verify.SHA256, patch[:128]), 0)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", name, err, test.want)
		}
	}
	// What is declared is what is allowed, not more.
	patch, digest := signed(old, 1000, 64<<10+448<<10+1000, frame(t, noise(3, 1000), op{0, 1000, 0, 0}))
	p, err := delta.Open(bytes.NewReader(patch), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), bytes.NewReader(old), &medium{}, delta.ApplyOptions{}); !errors.Is(err, delta.ErrBounds) {
		t.Errorf("more memory than declared: error %v, want ErrBounds", err)
	}
}

// counted counts what is read of an image, and calls back before each read.
type counted struct {
	data   []byte
	bytes  int
	before func()
}

func (r *counted) ReadAt(p []byte, at int64) (int, error) {
	if r.before != nil {
		r.before()
	}
	n, err := bytes.NewReader(r.data).ReadAt(p, at)
	r.bytes += n
	return n, err
}

// pingPong is a frame that copies each byte from another end of the old image than the last.
func pingPong() []byte {
	var all []op
	for i := range delta.MinFrameSize {
		all = append(all, op{1, 0, int64(i%7) << 20, 0})
	}
	return delta.Frame(nil, all...)
}

// A frame that would read gigabytes is refused after it read 64 times as many bytes as it makes, or not much more.
func TestNET_12_ReadAmplification(t *testing.T) {
	old := &counted{data: noise(1, 8<<20)}
	patch, digest := signed(old.data, delta.MinFrameSize, 1<<20, pingPong())
	p, err := delta.Open(bytes.NewReader(patch), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	var m medium
	err = p.Apply(t.Context(), old, &m, delta.ApplyOptions{BaseChecked: true})
	if !errors.Is(err, delta.ErrReads) || !errors.Is(err, delta.ErrBounds) || len(m.data) > 0 {
		t.Fatalf("error %v after %d bytes, want ErrReads after none", err, len(m.data))
	}
	if most := 2*64*delta.MinFrameSize + 1<<20; old.bytes > most {
		t.Errorf("%d bytes read of the old image, want at most %d", old.bytes, most)
	}
}

// A reader that holds fewer pages than it thinks reads the same ones again and again, though the format counts them once. Here the
// pages that single bytes, and pairs of bytes, are copied from.
func TestNET_12_ReadsWithinCount(t *testing.T) {
	old := &counted{data: noise(1, 8<<12)}
	pages := []string{"01", "23", "4", "1", "34", "12", "23", "1", "34", "2", "5", "45", "23", "34",
		"12", "0", "4", "2", "5", "45", "0", "2", "3", "23", "5", "0", "23", "12"}
	var all []op
	at := int64(0)
	for len(all) < 120*len(pages) {
		p := pages[len(all)%len(pages)]
		from, n := int64(p[0]-'0')<<12+100, int64(1)
		if len(p) == 2 {
			from, n = from-101+4096, 2
		}
		all = append(all, op{n, 0, from - at, 0})
		at += n
	}
	for at < delta.MinFrameSize {
		n := min(4096, delta.MinFrameSize-at)
		all = append(all, op{n, 0, -at, 0})
		at += n
	}
	patch, digest := signed(old.data, delta.MinFrameSize, 1<<20, delta.Frame(nil, all...))
	p, err := delta.Open(bytes.NewReader(patch), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Apply(t.Context(), old, &medium{}, delta.ApplyOptions{BaseChecked: true})
	if !errors.Is(err, fetch.ErrDigest) {
		t.Fatalf("error %v, want ErrDigest: the frame is within the limits", err)
	}
	if counted := 8 * 120; old.bytes > counted*(2*4096+12)+1<<16 {
		t.Errorf("%d bytes read of the old image, want at most two pages for each of about %d that count", old.bytes, counted)
	}
}

// Nothing more is read of the old image once the context is done, though the frame is not.
func TestNET_12_CancelWithinFrame(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reads := 0
	old := &counted{data: noise(1, 8<<20), before: func() {
		if reads++; reads == 10 {
			cancel()
		}
	}}
	patch, digest := signed(old.data, delta.MinFrameSize, 1<<20, pingPong())
	p, err := delta.Open(bytes.NewReader(patch), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	var m medium
	if err := p.Apply(ctx, old, &m, delta.ApplyOptions{BaseChecked: true}); !errors.Is(err, context.Canceled) || reads != 10 {
		t.Fatalf("error %v after %d reads, want %v after 10", err, reads, context.Canceled)
	}
}

// The table is signed but says something else than the frames are: nothing is written.
func TestNET_12_PatchBomb(t *testing.T) {
	old := noise(1, 1000)
	patch, digest := signed(old, 1<<40, 1<<20, frame(t, nil, op{1000, 0, 0, 0}))
	p, err := delta.Open(bytes.NewReader(patch), digest, 0)
	if err != nil {
		t.Fatal(err)
	}
	var m medium
	if err := p.Apply(t.Context(), bytes.NewReader(old), &m, delta.ApplyOptions{}); err == nil || len(m.data) > 0 {
		t.Fatalf("error %v after %d bytes, want one after none", err, len(m.data))
	}
}

// inside is an image that nobody may read beyond.
type inside struct {
	tb   testing.TB
	data []byte
}

func (r inside) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(r.data)) {
		r.tb.Fatalf("%d bytes read at %d of an image of %d", len(p), at, len(r.data))
	}
	return copy(p, r.data[at:]), nil
}

// FuzzDeltaApply applies patches that an attacker signed: they end in an error, with nothing written, or in the block
// that their table names. The old image is read inside its bounds.
func FuzzDeltaApply(f *testing.F) {
	old := noise(1, 1000)
	f.Add(frame(f, nil, op{1000, 0, 0, 0}))
	f.Add(frame(f, noise(2, 1000), op{0, 1000, 0, 0}))
	f.Add(frame(f, nil, op{500, 0, 0, 3}, op{500, 0, -100, 5}))
	f.Add(append(frame(f, noise(2, 100), op{500, 100, 400, 0}, op{400, 0, -500, 0}), noise(3, 50)...))
	for i := range 3 {
		patch, _ := makePatch(f, old, append(noise(byte(i), 10*i), old[:1000-10*i]...), 0)
		f.Add(patch[128+68:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		patch, digest := signed(old, 1000, 1<<20, frame)
		apply := func() ([]byte, error) {
			p, err := delta.Open(bytes.NewReader(patch), digest, 0)
			if err != nil {
				t.Fatal(err)
			}
			var m medium
			err = p.Apply(t.Context(), inside{t, old}, &m, delta.ApplyOptions{})
			return m.data, err
		}
		data, err := apply()
		if err == nil || len(data) > 0 {
			t.Fatal("a block whose digest nobody knows was written")
		}
		var bad *fetch.DigestError
		if !errors.As(err, &bad) {
			return
		}
		// Now with the digest of what comes out.
		patch, digest = signed(old, 1000, 1<<20, frame)
		copy(patch[128+36:], bad.Got.Bytes())
		table := sha256.Sum256(patch[128 : 128+68])
		copy(patch[96:], table[:])
		digest = verify.Sum(verify.SHA256, patch[:128])
		if data, err = apply(); err != nil || verify.Sum(verify.SHA256, data) != bad.Got || len(data) != 1000 {
			t.Fatalf("error %v after %d bytes, want the block that came out before", err, len(data))
		}
	})
}

// FuzzDeltaHeader opens headers that an attacker signed.
func FuzzDeltaHeader(f *testing.F) {
	patch, _ := signed(noise(1, 1000), 1000, 1<<20, frame(f, nil, op{1000, 0, 0, 0}))
	f.Add(patch[:128], patch[128:])
	f.Fuzz(func(t *testing.T, header, rest []byte) {
		patch := append(bytes.Clone(header), rest...)
		if len(patch) < 128 {
			return
		}
		p, err := delta.Open(bytes.NewReader(patch), verify.Sum(verify.SHA256, patch[:128]), 0)
		if err != nil {
			return
		}
		var m medium
		_ = p.Apply(t.Context(), bytes.NewReader(nil), &m, delta.ApplyOptions{BaseChecked: true})
	})
}
