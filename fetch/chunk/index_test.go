// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/fetch/chunk"
)

func random(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func buildIndex(tb testing.TB, image []byte) *chunk.Index {
	tb.Helper()
	x, err := chunk.BuildIndex(bytes.NewReader(image))
	if err != nil {
		tb.Fatal(err)
	}
	return x
}

func encode(tb testing.TB, x *chunk.Index) []byte {
	tb.Helper()
	var b bytes.Buffer
	if _, err := x.WriteTo(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestIndex(t *testing.T) {
	for _, size := range []int{0, 1, 16 << 10, 16<<10 + 1, 64 << 10, 1 << 20} {
		image := random(1, size)
		x := buildIndex(t, image)
		if x.Size() != int64(size) {
			t.Fatalf("index of %d bytes says %d", size, x.Size())
		}
		for n := range x.Chunks() {
			offset, length, id := x.Chunk(n)
			if length > 64<<10 || length < 16<<10 && n < x.Chunks()-1 || sha256.Sum256(image[offset:offset+length]) != id {
				t.Fatalf("chunk %d of %d bytes is wrong", n, length)
			}
		}
		again, err := chunk.ReadIndex(bytes.NewReader(encode(t, x)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, again), encode(t, x)) {
			t.Fatal("the index read is not the index written")
		}
	}
}

// An insertion changes the chunks around it, and no others.
func TestIndexFindsShiftedContent(t *testing.T) {
	image := random(1, 4<<20)
	known := map[[32]byte]bool{}
	for x, n := buildIndex(t, image), 0; n < x.Chunks(); n++ {
		_, _, id := x.Chunk(n)
		known[id] = true
	}
	shifted := bytes.Join([][]byte{image[:1<<20], []byte("new"), image[1<<20:]}, nil)
	unknown := 0
	for x, n := buildIndex(t, shifted), 0; n < x.Chunks(); n++ {
		if _, _, id := x.Chunk(n); !known[id] {
			unknown++
		}
	}
	if unknown > 4 {
		t.Errorf("%d chunks changed by one insertion", unknown)
	}
}

func TestIndexDamaged(t *testing.T) {
	good := encode(t, buildIndex(t, random(1, 200_000)))
	for n := range good {
		if _, err := chunk.ReadIndex(bytes.NewReader(good[:n])); !errors.Is(err, chunk.ErrIndex) {
			t.Fatalf("cut to %d bytes: error %v", n, err)
		}
	}
	for name, at := range map[string]int{"size": 0, "type": 8, "min": 31, "avg": 39, "max": 47, "table": 56, "end": 71, "tail": len(good) - 1, "length": len(good) - 16} {
		bad := bytes.Clone(good)
		bad[at] ^= 0xf0
		if _, err := chunk.ReadIndex(bytes.NewReader(bad)); !errors.Is(err, chunk.ErrIndex) {
			t.Errorf("%s: error %v, want ErrIndex", name, err)
		}
	}
	if _, err := chunk.ReadIndex(bytes.NewReader(append(good, 0))); !errors.Is(err, chunk.ErrIndex) {
		t.Errorf("one byte more: error %v, want ErrIndex", err)
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(encode(f, buildIndex(f, random(1, 100_000))))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := chunk.ReadIndex(bytes.NewReader(b))
		if err == nil && !bytes.Equal(encode(t, x), b) {
			t.Error("an index was read that is not written like that")
		}
	})
}

// casync runs the real one in dir.
func casync(t *testing.T, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("casync")
	if err != nil {
		t.Skip("casync is not installed: apt-get install casync")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

func TestReadsWhatCasyncWrites(t *testing.T) {
	dir := t.TempDir()
	image := random(1, 1<<20)
	if err := os.WriteFile(filepath.Join(dir, "image"), image, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{"sha256", "sha512-256"} {
		casync(t, dir, "make", "--digest="+digest, "--store="+digest+".castr", digest+".caibx", "image")
		b, err := os.ReadFile(filepath.Join(dir, digest+".caibx"))
		if err != nil {
			t.Fatal(err)
		}
		x, err := chunk.ReadIndex(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, x), b) {
			t.Error("casync's index is written back with other bytes")
		}
		// As a seed for itself it gives all bytes, so all digests were understood.
		r := chunk.NewReuse(nil, imageURI, x, chunk.Seed{Image: bytes.NewReader(image), Index: x})
		if got := readAll(t, r); !bytes.Equal(got, image) {
			t.Errorf("%s: other bytes", digest)
		}
		s := chunk.NewStore(folder(dir), digest+".castr", imageURI, x)
		if got := readAll(t, chunk.NewReuse(s, imageURI, x)); !bytes.Equal(got, image) {
			t.Errorf("%s: other bytes from the store", digest)
		}
	}
}

func TestCasyncReadsWhatWeWrite(t *testing.T) {
	dir := t.TempDir()
	image := random(2, 1<<20)
	x := buildIndex(t, image)
	if err := os.WriteFile(filepath.Join(dir, "our.caibx"), encode(t, x), 0o600); err != nil {
		t.Fatal(err)
	}
	err := chunk.WriteStore(x, bytes.NewReader(image), nil, func(name string, packed []byte) error {
		file := filepath.Join(dir, "our.castr", name)
		return errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, packed, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	casync(t, dir, "extract", "--store=our.castr", "our.caibx", "out")
	if got, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || !bytes.Equal(got, image) {
		t.Errorf("casync extracted other bytes: %v", err)
	}
}

// How far a half-written image can be built upon, also by an index of another chunker.
func TestIndexAgreeing(t *testing.T) {
	image := random(1, 300_000)
	x := buildIndex(t, image)
	inFive, inLast := 0, 0
	for n := range x.Chunks() {
		if offset, length, _ := x.Chunk(n); offset+length <= 50_000 {
			inFive = int(offset + length)
		} else if offset+length < 300_000 {
			inLast = int(offset + length)
		}
	}
	for name, test := range map[string]struct {
		part []byte
		want int
	}{
		"all":            {image, 300_000},
		"and more":       {append(bytes.Clone(image), 1), 300_000},
		"nothing":        {nil, 0},
		"half":           {image[:50_000], inFive},
		"another":        {random(2, 300_000), 0},
		"last byte lost": {append(bytes.Clone(image[:299_999]), 0), inLast},
	} {
		if got, err := x.Agreeing(bytes.NewReader(test.part)); err != nil || got.Size() != int64(test.want) {
			t.Errorf("%s: %d, %v, want %d", name, got.Size(), err, test.want)
		}
	}
	if _, err := x.Agreeing(iotest.ErrReader(errors.ErrUnsupported)); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v, want the reader's error", err)
	}
}
