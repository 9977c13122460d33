// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package chunk_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/verify"
)

// tally is a folder, and how many bytes were read of it.
type tally struct {
	folder
	n atomic.Int64
}

func (s *tally) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	st, err := s.folder.Open(ctx, uri, offset, validator)
	if err == nil {
		st.Body = &tallied{st.Body, &s.n}
	}
	return st, err
}

type tallied struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *tallied) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// The bound that the project set for the root file system, in the folder that FIRMAMENT_CORPUS names: index, chunk digests and what is fetched of
// the store of missing chunks.
func TestM4_ChunkBytes(t *testing.T) {
	pair := filepath.Join(os.Getenv("FIRMAMENT_CORPUS"), "rootfs-ext4")
	open := func(name string) (*os.File, *chunk.Index) {
		f, err := os.Open(filepath.Join(pair, name))
		if err != nil {
			t.Skipf("FIRMAMENT_CORPUS is not set to a folder of image pairs, DIR/PAIR/old.img and new.img: %v", err)
		}
		t.Cleanup(func() { f.Close() })
		x, err := chunk.BuildIndex(f)
		if err != nil {
			t.Fatal(err)
		}
		return f, x
	}
	old, oldIndex := open("old.img")
	image, index := open("new.img")
	known := map[string]bool{}
	for n := range oldIndex.Chunks() {
		_, _, id := oldIndex.Chunk(n)
		known[chunk.StoreName(id)] = true
	}
	dir := t.TempDir()
	err := chunk.WriteStore(index, image, func(name string) bool { return known[name] }, func(name string, packed []byte) error {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), packed, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, root, err := chunk.Build(io.NewSectionReader(image, 0, index.Size()), index.Size(), chunk.DefaultSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "image.chunks"), pages, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	origin := &tally{folder: folder(dir)}
	r := chunk.NewReuse(chunk.NewStore(origin, "", "image", index), "image", index, chunk.Seed{Image: old, Index: oldIndex}, chunk.Seed{Image: f})
	fetcher, err := fetch.New(fetch.Options{Source: r})
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := verify.SumReader(verify.SHA256, io.NewSectionReader(image, 0, index.Size()))
	if err != nil {
		t.Fatal(err)
	}
	res := fetch.Resource{URI: "image", Size: index.Size(), Digest: whole, Chunks: &fetch.Chunks{Root: root, Size: chunk.DefaultSize}}
	if _, err := fetcher.Fetch(t.Context(), res, &fileSink{File: f}); err != nil {
		t.Fatal(err)
	}
	if got, _, err := verify.SumReader(verify.SHA256, io.NewSectionReader(f, 0, index.Size())); err != nil || got != whole {
		t.Fatalf("%v came out, %v", got, err)
	}
	size := origin.n.Load() + int64(len(encode(t, index)))
	t.Logf("%d bytes, %+v", size, r.Stats())
	if size > 14_000_000 {
		t.Errorf("%d bytes, want at most 14000000", size)
	}
}
