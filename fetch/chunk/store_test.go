// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// folder is a Source of the files in it.
type folder string

func (f folder) Open(_ context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	file, err := os.Open(filepath.Join(string(f), filepath.FromSlash(uri)))
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &fetch.Stream{Body: file, Offset: offset, Size: st.Size()}, nil
}

// store returns the files of a store for image.
func store(tb testing.TB, x *chunk.Index, image []byte) map[string][]byte {
	tb.Helper()
	files := map[string][]byte{}
	err := chunk.WriteStore(x, bytes.NewReader(image), nil, func(name string, packed []byte) error {
		files["store/"+name] = bytes.Clone(packed)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// Chunks that a seed has are not asked for; the others come compressed, one file each.
func TestStoreServesWhatSeedsLack(t *testing.T) {
	old, new, o, res := target(t)
	x := buildIndex(t, new)
	o.files = store(t, x, new)
	pages, _, err := chunk.Build(bytes.NewReader(new), int64(len(new)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	o.files[imageURI+".chunks"] = pages
	r := chunk.NewReuse(chunk.NewStore(o, "store/", imageURI, x), imageURI, x, seedOf(t, old))
	get(t, r, res, new)
	if st := r.Stats(); st.Fetched != r.Missing() || st.Reused+st.Fetched != int64(len(new)) || st.Fetched > 400_000 {
		t.Errorf("%+v, %d missing", st, r.Missing())
	}
}

func TestStoreKeepsWhatIsThere(t *testing.T) {
	image := bytes.Repeat(random(1, 300_000), 2)
	x := buildIndex(t, image)
	files := store(t, x, image)
	if len(files) >= x.Chunks() {
		t.Errorf("%d files for %d chunks, many of them equal", len(files), x.Chunks())
	}
	err := chunk.WriteStore(x, bytes.NewReader(image), func(name string) bool { return files["store/"+name] != nil }, func(string, []byte) error {
		return errors.New("written again")
	})
	if err != nil {
		t.Error(err)
	}
	image[100_000] ^= 1
	if err := chunk.WriteStore(x, bytes.NewReader(image), nil, func(string, []byte) error { return nil }); !errors.Is(err, chunk.ErrChunk) {
		t.Errorf("another image: error %v, want ErrChunk", err)
	}
}

// Every part of the payload, by range.
func TestStoreRanges(t *testing.T) {
	image := random(1, 300_000)
	x := buildIndex(t, image)
	s := chunk.NewStore(&origin{files: store(t, x, image)}, "store", imageURI, x)
	for from := int64(0); from < 300_000; from += 33_331 {
		for _, n := range []int64{0, 1, 20_000, 300_000 - from} {
			st, err := s.OpenRange(t.Context(), imageURI, from, min(n, 300_000-from), "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(st.Body)
			if st.Body.Close(); err != nil || !bytes.Equal(got, image[from:from+min(n, 300_000-from)]) {
				t.Fatalf("%d bytes at %d: error %v, or other bytes", n, from, err)
			}
		}
	}
	if _, err := s.OpenRange(t.Context(), imageURI, 1, 300_000, ""); !errors.Is(err, fetch.ErrRange) {
		t.Errorf("beyond the end: error %v, want ErrRange", err)
	}
}

// A store that lies: what it says is not passed on, and memory stays bounded.
func TestNET_06_BadStore(t *testing.T) {
	image := random(1, 100_000)
	x := buildIndex(t, image)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, length, id := x.Chunk(0)
	name := "store/" + chunk.StoreName(id)
	for what, file := range map[string][]byte{
		"another chunk": z.EncodeAll(random(2, int(length)), nil),
		"shorter":       z.EncodeAll(image[:length-1], nil),
		"longer":        z.EncodeAll(image[:length+1], nil),
		"bomb":          z.EncodeAll(make([]byte, 1<<30>>3), nil),
		"not zstd":      image[:length],
		"empty":         {},
		"endless":       random(3, 1<<20),
	} {
		files := store(t, x, image)
		files[name] = file
		st, err := chunk.NewStore(&origin{files: files}, "store", imageURI, x).Open(t.Context(), imageURI, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(st.Body); !errors.Is(err, chunk.ErrChunk) || !errors.Is(err, fetch.ErrDigest) || len(got) > 0 {
			t.Errorf("%s: error %v after %d bytes, want ErrChunk, which is ErrDigest, after none", what, err, len(got))
		}
		st.Body.Close()
	}
}

// A connection that is cut within a chunk's file says nothing about its bytes: neither as net/http tells it, nor if only the size does.
func TestNET_01_StoreCut(t *testing.T) {
	image := random(1, 300_000)
	x := buildIndex(t, image)
	_, length, id := x.Chunk(0)
	file := store(t, x, image)["store/"+chunk.StoreName(id)]
	for _, cut := range []error{io.ErrUnexpectedEOF, io.EOF} {
		s := chunk.NewStore(cutting{file, len(file) / 2, cut}, "store", imageURI, x)
		st, err := s.OpenRange(t.Context(), imageURI, 0, length, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(st.Body)
		if cut == io.EOF && !errors.Is(err, fetch.ErrTransport) || cut != io.EOF && !errors.Is(err, cut) || errors.Is(err, fetch.ErrDigest) || len(got) > 0 {
			t.Errorf("%v: error %v after %d bytes, want a failure that may pass", cut, err, len(got))
		}
		st.Body.Close()
	}
}

// cutting is a Source of a file whose connection ends at n with err.
type cutting struct {
	file []byte
	n    int
	err  error
}

func (c cutting) Open(context.Context, string, int64, string) (*fetch.Stream, error) {
	return &fetch.Stream{Body: io.NopCloser(io.MultiReader(bytes.NewReader(c.file[:c.n]), iotest.ErrReader(c.err))), Size: int64(len(c.file))}, nil
}

// FuzzStore reads a chunk file: it is the chunk, or refused.
func FuzzStore(f *testing.F) {
	image := bytes.Repeat([]byte("all work and no play\n"), 900)
	x := buildIndex(f, image)
	_, length, id := x.Chunk(0)
	files := store(f, x, image)
	name := "store/" + chunk.StoreName(id)
	f.Add(files[name])
	f.Add(files[name][:20])
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		s := chunk.NewStore(&origin{files: map[string][]byte{name: file}}, "store", imageURI, x)
		st, err := s.OpenRange(t.Context(), imageURI, 0, length, "")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Body.Close()
		got, err := io.ReadAll(st.Body)
		if err == nil && !bytes.Equal(got, image[:length]) || err != nil && len(got) > 0 {
			t.Errorf("error %v after %d bytes that are not the chunk's", err, len(got))
		}
	})
}

// A chunk that takes longer than the idle timeout is one that comes, as long as its bytes do.
func TestNET_07_StoreOnASlowLine(t *testing.T) {
	image := random(1, 300_000)
	x := buildIndex(t, image)
	files := store(t, x, image)
	pages, root, err := chunk.Build(bytes.NewReader(image), int64(len(image)), 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	files[imageURI+".chunks"] = pages
	res := fetch.Resource{URI: imageURI, Size: int64(len(image)), Digest: verify.Sum(verify.SHA256, image), Chunks: &fetch.Chunks{Root: root, Size: 16 << 10}}
	for rate, want := range map[int]error{1400: nil, 900: fetch.ErrStalled} { // a chunk of 64 KiB in 47 s, or too slowly
		synctest.Test(t, func(t *testing.T) {
			f, err := fetch.New(fetch.Options{Source: chunk.NewStore(slow{&origin{files: files}, rate}, "store", imageURI, x), Retries: 1})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			s := &sink{}
			_, err = f.Fetch(t.Context(), res, s)
			if took := time.Since(began); !errors.Is(err, want) || err == nil && !bytes.Equal(s.Bytes(), image) || took > 6*time.Minute {
				t.Errorf("%d bytes per second: error %v after %v, want %v", rate, err, took, want)
			}
		})
	}
}

// slow brings so many bytes of chunks in each second.
type slow struct {
	*origin
	rate int
}

func (s slow) Open(ctx context.Context, uri string, offset int64, v string) (*fetch.Stream, error) {
	st, err := s.origin.Open(ctx, uri, offset, v)
	if err == nil && strings.HasPrefix(uri, "store/") {
		st.Body = io.NopCloser(&trickle{s.rate, ctx, st.Body})
	}
	return st, err
}

type trickle struct {
	rate int
	ctx  context.Context
	io.Reader
}

func (t *trickle) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		return t.Reader.Read(p[:min(len(p), t.rate)])
	case <-t.ctx.Done():
		return 0, t.ctx.Err()
	}
}
