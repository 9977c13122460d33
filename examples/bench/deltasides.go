// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

func openImage(name string) (*os.File, *io.SectionReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, io.NewSectionReader(f, 0, st.Size()), nil
}

// openImages opens the files that args begin with.
func openImages(args []string) (images []*io.SectionReader, done func(), err error) {
	var files []*os.File
	done = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, name := range args {
		f, image, err := openImage(name)
		if err != nil {
			done()
			return nil, nil, err
		}
		files, images = append(files, f), append(images, image)
	}
	return images, done, nil
}

// deltaMake is the child that makes a patch: OLD NEW PATCH, and "bounded" or nothing. The signed digest goes to PATCH.digest.
func deltaMake(ctx context.Context, args []string) error {
	debug.SetGCPercent(5) // as firmctl does
	images, done, err := openImages(args[:2])
	if err != nil {
		return err
	}
	defer done()
	f, err := os.Create(args[2])
	if err != nil {
		return err
	}
	info, err := delta.Make(ctx, images[0], images[1], f, delta.Options{Bounded: args[3] == "bounded"})
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.WriteFile(args[2]+".digest", []byte(info.Digest.String()), 0o600)
}

// deltaApply is the child that applies one: OLD PATCH OUT.
func deltaApply(ctx context.Context, args []string) error {
	images, done, err := openImages(args[:2])
	if err != nil {
		return err
	}
	defer done()
	signed, err := os.ReadFile(args[1] + ".digest")
	if err != nil {
		return err
	}
	digest, err := verify.ParseDigest(string(signed))
	if err != nil {
		return err
	}
	p, err := delta.Open(images[1], digest, 0)
	if err != nil {
		return err
	}
	return writeOut(args[2], func(sink fetch.Sink) error { return p.Apply(ctx, images[0], sink, delta.ApplyOptions{}) })
}

// An outSink is a fetch.Sink that syncs nothing: no other side does.
type outSink struct {
	*os.File
	at int64
}

func (s *outSink) Offset() int64 { return s.at }
func (s *outSink) Sync() error   { return nil }
func (s *outSink) Write(p []byte) (int, error) {
	n, err := s.WriteAt(p, s.at)
	s.at += int64(n)
	return n, err
}

func writeOut(name string, fill func(fetch.Sink) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(fill(&outSink{File: f}), f.Close())
}

// chunkMake is the child that makes what a device needs to build NEW out of OLD by chunks: OLD NEW PATCH. The index goes to PATCH, digests to
// PATCH.chunks, what is signed to PATCH.signed, and chunks that OLD lacks to the store PATCH.castr.
func chunkMake(_ context.Context, args []string) error {
	images, done, err := openImages(args[:2])
	if err != nil {
		return err
	}
	defer done()
	old, err := chunk.BuildIndex(images[0])
	if err != nil {
		return err
	}
	x, err := chunk.BuildIndex(images[1])
	if err != nil {
		return err
	}
	known := make(map[string]bool, old.Chunks())
	for n := range old.Chunks() {
		_, _, id := old.Chunk(n)
		known[chunk.StoreName(id)] = true
	}
	err = chunk.WriteStore(x, images[1], func(name string) bool { return known[name] }, func(name string, packed []byte) error {
		file := filepath.Join(args[2]+".castr", filepath.FromSlash(name))
		return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, packed, 0o600))
	})
	if err != nil {
		return err
	}
	pages, root, err := chunk.Build(io.NewSectionReader(images[1], 0, images[1].Size()), images[1].Size(), chunk.DefaultSize)
	if err != nil {
		return err
	}
	index, err := os.Create(args[2])
	if err != nil {
		return err
	}
	_, err = x.WriteTo(index)
	sum, err2 := fileDigest(args[1])
	if err = errors.Join(err, index.Close(), err2); err != nil {
		return err
	}
	whole, err := verify.NewDigest(verify.SHA256, sum)
	return errors.Join(err, os.WriteFile(args[2]+".chunks", pages, 0o600), os.WriteFile(args[2]+".signed", []byte(root.String()+"\n"+whole.String()), 0o600))
}

// chunkApply is the child that builds NEW: OLD PATCH OUT. What is in the files that chunkMake left is all that it has.
func chunkApply(ctx context.Context, args []string) error {
	images, done, err := openImages(args[:2])
	if err != nil {
		return err
	}
	defer done()
	x, err := chunk.ReadIndex(images[1])
	if err != nil {
		return err
	}
	seed, err := chunk.BuildIndex(images[0])
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(args[1] + ".signed")
	if err != nil {
		return err
	}
	first, second, _ := strings.Cut(string(signed), "\n")
	root, err := verify.ParseDigest(first)
	if err != nil {
		return err
	}
	whole, err := verify.ParseDigest(second)
	if err != nil {
		return err
	}
	const uri = "patch"
	source := folderSource(filepath.Dir(args[1]))
	reuse := chunk.NewReuse(chunk.NewStore(source, "patch.castr", uri, x), uri, x, chunk.Seed{Image: images[0], Index: seed})
	fetcher, err := fetch.New(fetch.Options{Source: reuse})
	if err != nil {
		return err
	}
	res := fetch.Resource{URI: uri, Size: x.Size(), Digest: whole, Chunks: &fetch.Chunks{Root: root, Size: chunk.DefaultSize}}
	return writeOut(args[2], func(sink fetch.Sink) error {
		_, err := fetcher.Fetch(ctx, res, sink)
		return err
	})
}

// folderSource is a fetch.Source of the files in a folder.
type folderSource string

func (s folderSource) Open(_ context.Context, uri string, offset int64, _ string) (*fetch.Stream, error) {
	f, err := os.Open(filepath.Join(string(s), filepath.FromSlash(uri)))
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fetch.Stream{Body: f, Offset: offset, Size: st.Size()}, nil
}

// chunkSize is what a device reads: index, digests and missing chunks.
func chunkSize(_ context.Context, d deltaRun) (size int64, err error) {
	err = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) == ".signed" {
			return err
		}
		st, err := e.Info()
		if err == nil {
			size += st.Size()
		}
		return err
	})
	return size, err
}
