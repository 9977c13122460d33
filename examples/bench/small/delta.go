// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/fetch/httpsource"
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

// deltaMake is the verb that makes a patch: OLD NEW PATCH, and "bounded" or nothing. The signed digest goes to PATCH.digest.
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

// deltaApply is the verb that applies one: OLD PATCH OUT.
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
	return writeOut(args[2], func(sink *outSink) error { return p.Apply(ctx, images[0], sink, delta.ApplyOptions{}) })
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

func writeOut(name string, fill func(*outSink) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(fill(&outSink{File: f}), f.Close())
}

// chunkMake is the verb that makes what a device needs to build NEW out of OLD by chunks: OLD NEW PATCH. The index goes to PATCH, digests to
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
	image := io.NewSectionReader(images[1], 0, images[1].Size())
	whole := sha256.New()
	pages, root, err := chunk.Build(io.TeeReader(image, whole), image.Size(), chunk.DefaultSize)
	if err != nil {
		return err
	}
	var index bytes.Buffer
	if _, err := x.WriteTo(&index); err != nil {
		return err
	}
	signed := fmt.Sprintf("%v sha256:%x %d %v", root, whole.Sum(nil), index.Len(), verify.Sum(verify.SHA256, index.Bytes()))
	return errors.Join(os.WriteFile(args[2], index.Bytes(), 0o600), os.WriteFile(args[2]+".chunks", pages, 0o600),
		os.WriteFile(args[2]+".signed", []byte(signed), 0o600))
}

// chunkApply is the verb that builds NEW: OLD URL OUT. What chunkMake put behind the URL is all that it has, but for what is signed.
func chunkApply(ctx context.Context, args []string) error {
	images, done, err := openImages(args[:1])
	if err != nil {
		return err
	}
	defer done()
	res, offer, err := readSigned(filepath.Join(filepath.Dir(args[2]), "patch.signed"))
	if err != nil {
		return err
	}
	res.URI, offer.URI = args[1]+"patch", args[1]+"patch"
	source := httpsource.New(nil)
	fetcher, err := fetch.New(fetch.Options{Source: source})
	if err != nil {
		return err
	}
	var index indexSink
	if _, err := fetcher.Fetch(ctx, offer, &index); err != nil {
		return err
	}
	x, err := chunk.ReadIndex(&index.Buffer)
	if err != nil {
		return err
	}
	seed, err := chunk.BuildIndex(io.NewSectionReader(images[0], 0, images[0].Size()))
	if err != nil {
		return err
	}
	res.Size = x.Size()
	return writeOut(args[2], func(sink *outSink) error {
		store := chunk.NewStore(source, args[1]+"patch.castr", res.URI, x)
		reuse := chunk.NewReuse(store, res.URI, x, chunk.Seed{Image: images[0], Index: seed}, chunk.Seed{Image: sink})
		fetcher, err := fetch.New(fetch.Options{Source: reuse})
		if err != nil {
			return err
		}
		_, err = fetcher.Fetch(ctx, res, sink)
		return err
	})
}

// readSigned returns what is signed about the image, and about its index.
func readSigned(name string) (image, index fetch.Resource, err error) {
	signed, err := os.ReadFile(name)
	if err != nil {
		return image, index, err
	}
	var words [3]string
	if _, err := fmt.Sscan(string(signed), &words[0], &words[1], &index.Size, &words[2]); err != nil {
		return image, index, err
	}
	var digests [3]verify.Digest
	for i, w := range words {
		if digests[i], err = verify.ParseDigest(w); err != nil {
			return image, index, err
		}
	}
	image.Digest, index.Digest = digests[1], digests[2]
	image.Chunks = &fetch.Chunks{Root: digests[0], Size: chunk.DefaultSize}
	return image, index, nil
}

// An indexSink is a sink in memory.
type indexSink struct {
	bytes.Buffer
	n int64
}

func (s *indexSink) Offset() int64 { return s.n }
func (s *indexSink) Sync() error   { return nil }
func (s *indexSink) Staging() bool { return true } // nobody reads it before it is verified
func (s *indexSink) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	s.n += int64(n)
	return n, err
}
