// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

const step = fetch.MinChunkSize

func noise(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{42}).Read(p)
	return p
}

// reference builds the page file the slow way, straight from the words of the package comment.
func reference(data []byte, size int) []byte {
	var digests [][]byte
	for len(data) > 0 {
		n := min(size, len(data))
		sum := sha256.Sum256(data[:n])
		digests, data = append(digests, sum[:]), data[n:]
	}
	var file []byte
	for {
		var level []byte
		var above [][]byte
		for len(digests) > 0 {
			n := min(128, len(digests))
			page := bytes.Join(digests[:n], nil)
			page = append(page, make([]byte, 4096-len(page))...)
			sum := sha256.Sum256(page)
			level, above, digests = append(level, page...), append(above, sum[:]), digests[n:]
		}
		file = append(level, file...)
		if len(level) == 4096 {
			return file
		}
		digests = above
	}
}

func TestBuild(t *testing.T) {
	for _, test := range []struct{ size, pages, levels int }{
		{1, 1, 1}, {step, 1, 1}, {step + 1, 1, 1}, {128 * step, 1, 1},
		{128*step + 1, 3, 2}, {256 * step, 3, 2}, {300*step + 5, 4, 2},
		{128*128*step + 1, 1 + 2 + 129, 3},
	} {
		data := make([]byte, test.size)
		if test.levels < 3 {
			data = noise(test.size)
		}
		pages, root, err := chunk.Build(bytes.NewReader(data), int64(len(data)), step)
		if err != nil {
			t.Fatal(err)
		}
		if len(pages) != test.pages*fetch.PageSize || !bytes.Equal(pages, reference(data, step)) {
			t.Errorf("%d bytes: page file of %d bytes differs from the reference", test.size, len(pages))
		}
		if root != verify.Sum(verify.SHA256, pages[:fetch.PageSize]) {
			t.Errorf("%d bytes: root %v", test.size, root)
		}
		l, err := fetch.NewLayout(int64(test.size), step)
		if err != nil || l.Pages() != int64(test.pages) || l.Levels() != test.levels || l.Bytes() != int64(len(pages)) {
			t.Errorf("%d bytes: layout %d pages, %d levels, %v", test.size, l.Pages(), l.Levels(), err)
		}
		r, err := chunk.NewReader(bytes.NewReader(data), bytes.NewReader(pages), int64(len(data)), step, root)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Verify(); err != nil {
			t.Errorf("%d bytes: %v", test.size, err)
		}
	}
}

// TestBuildGolden pins the format: the worked example of the package comment, over zeros.
func TestBuildGolden(t *testing.T) {
	const size = 64 << 20
	pages, root, err := chunk.Build(io.LimitReader(zeros{}, size), size, chunk.DefaultSize)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:839aa6a85485efba20a6f1ab9c180af574d16736dd04c47d2f3c68e32e7cfea5"
	if len(pages) != 12288 || root.String() != want {
		t.Errorf("%d bytes, root %v, want %s", len(pages), root, want)
	}
	zero := sha256.Sum256(make([]byte, chunk.DefaultSize))
	leaf := sha256.Sum256(pages[2*4096:])
	if !bytes.Equal(pages[8256:8288], zero[:]) || !bytes.Equal(pages[32:64], leaf[:]) {
		t.Error("digests are not where the package comment says")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLayoutOfTheLargestPayload(t *testing.T) {
	l, err := fetch.NewLayout(math.MaxInt64, fetch.MinChunkSize)
	if err != nil || l.Levels() != 7 || l.Chunks() != 1<<49 {
		t.Fatalf("%d levels, %d chunks, %v", l.Levels(), l.Chunks(), err)
	}
	if offset, length := l.Chunk(l.Chunks() - 1); offset+length != math.MaxInt64 || length != step-1 {
		t.Errorf("last chunk is %d bytes at %d", length, offset)
	}
}

func TestBuildRefuses(t *testing.T) {
	data := noise(3 * step)
	broken := errors.New("bad sector")
	for _, test := range []struct {
		name       string
		r          io.Reader
		size, unit int64
		want       error
	}{
		{"too short", bytes.NewReader(data), 3*step + 1, step, chunk.ErrLength},
		{"much too short", bytes.NewReader(data), 30 * step, step, chunk.ErrLength},
		{"too long", bytes.NewReader(data), 3*step - 1, step, chunk.ErrLength},
		{"too long by chunks", bytes.NewReader(data), step, step, chunk.ErrLength},
		{"empty", bytes.NewReader(nil), 0, step, fetch.ErrResource},
		{"negative", bytes.NewReader(data), -1, step, fetch.ErrResource},
		{"odd chunk size", bytes.NewReader(data), 3 * step, step + 1, fetch.ErrResource},
		{"read error", iotest.ErrReader(broken), 3 * step, step, broken},
		{"read error at the end", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), 3 * step, step, broken},
	} {
		if pages, _, err := chunk.Build(test.r, test.size, test.unit); !errors.Is(err, test.want) || pages != nil {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestReaderFindsEveryFlip changes every byte of a page file's used part and some of a payload.
func TestReaderFindsEveryFlip(t *testing.T) {
	data := noise(130 * step) // root page with two digests, leaf pages with 128 and 2
	size := int64(len(data))
	pages, root, err := chunk.Build(bytes.NewReader(data), size, step)
	if err != nil {
		t.Fatal(err)
	}
	read := func(data, pages []byte, n int64) error {
		r, err := chunk.NewReader(bytes.NewReader(data), bytes.NewReader(pages), size, step, root)
		if err != nil {
			t.Fatal(err)
		}
		p := make([]byte, step)
		k, err := r.ReadChunk(n, p)
		if err != nil && (k != 0 || !bytes.Equal(p, make([]byte, step))) {
			t.Fatalf("unverified bytes came back with %v", err)
		}
		return err
	}
	for i := range pages {
		page := int64(i) / fetch.PageSize
		if i%7 != 0 {
			continue
		}
		pages[i] ^= 0x80
		for _, n := range []int64{0, 129} {
			onPath := page == 0 || page == 1+n/128
			var bad *fetch.DigestError
			if err := read(data, pages, n); onPath != errors.As(err, &bad) || onPath && (bad.Part != "page" || bad.Number != page) {
				t.Fatalf("byte %d of the page file, chunk %d: %v", i, n, err)
			}
		}
		pages[i] ^= 0x80
	}
	for _, i := range []int{0, step - 1, step, 129 * step, len(data) - 1} {
		data[i] ^= 1
		var bad *fetch.DigestError
		if err := read(data, pages, int64(i/step)); !errors.As(err, &bad) || bad.Number != int64(i/step) || bad.Part != "chunk" {
			t.Errorf("byte %d of the payload: %v", i, err)
		}
		data[i] ^= 1
	}
	if err := read(data[:129*step+1], pages, 129); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("payload cut short: %v", err)
	}
	if err := read(data, pages[:4096], 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("page file cut short: %v", err)
	}
	for _, n := range []int64{-1, 130} {
		if err := read(data, pages, n); !errors.Is(err, fetch.ErrResource) {
			t.Errorf("chunk %d: %v", n, err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	empty := bytes.NewReader(nil)
	root := verify.Sum(verify.SHA256, nil)
	if _, err := chunk.NewReader(empty, empty, 0, step, root); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("no size: %v", err)
	}
	if _, err := chunk.NewReader(empty, empty, 1, step, verify.Digest{}); !errors.Is(err, fetch.ErrResource) {
		t.Errorf("no root: %v", err)
	}
	data := noise(2 * step)
	pages, root, err := chunk.Build(bytes.NewReader(data), 2*step, step)
	if err != nil {
		t.Fatal(err)
	}
	r, err := chunk.NewReader(bytes.NewReader(data), bytes.NewReader(pages), 2*step, step, root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadChunk(0, make([]byte, step-1)); !errors.Is(err, io.ErrShortBuffer) {
		t.Errorf("short buffer: %v", err)
	}
}
