// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"

	"github.com/firmament-dev/firmament/examples/internal/directio"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/verify"
)

// flags are what a signed manifest would say, and where the file goes.
type flags struct {
	uri, digest, root, out string
	size                   int64
	parallel               int
	index, old             string // of update
}

func (f *flags) parse(name string, args []string) error {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.StringVar(&f.uri, "url", "", "")
	fs.Int64Var(&f.size, "size", 0, "")
	fs.StringVar(&f.digest, "digest", "", "")
	fs.StringVar(&f.root, "root", "", "")
	fs.StringVar(&f.out, "out", "", "")
	fs.IntVar(&f.parallel, "parallel", 1, "")
	fs.StringVar(&f.index, "index", "", "path of the index below the URL's folder")
	fs.StringVar(&f.old, "old", "", "")
	return fs.Parse(args)
}

// fetchPayload is the verb fetch.
func fetchPayload(ctx context.Context, args []string) error {
	var f flags
	if err := f.parse("fetch", args); err != nil {
		return err
	}
	return f.fetch(ctx, httpsource.New(nil))
}

// update takes from an old image what it has of the new one. The index comes from the server, too.
func update(ctx context.Context, args []string) error {
	var f flags
	if err := f.parse("update", args); err != nil {
		return err
	}
	source := httpsource.New(nil)
	remote, err := fetch.NewRemote(fetch.Options{Source: source}, f.uri[:len(f.uri)-len(filepath.Base(f.uri))])
	if err != nil {
		return err
	}
	b, err := remote.Get(ctx, f.index, f.size)
	if err != nil {
		return err
	}
	wanted, err := chunk.ReadIndex(bytes.NewReader(b))
	if err != nil {
		return err
	}
	old, err := os.Open(f.old)
	if err != nil {
		return err
	}
	defer old.Close()
	has, err := chunk.BuildIndex(old)
	if err != nil {
		return err
	}
	return f.fetch(ctx, chunk.NewReuse(source, f.uri, wanted, chunk.Seed{Image: old, Index: has}))
}

func (f *flags) fetch(ctx context.Context, source fetch.Source) error {
	whole, err1 := verify.ParseDigest(f.digest)
	top, err2 := verify.ParseDigest(f.root)
	dir, err3 := install.OpenDir(filepath.Dir(f.out))
	file, err4 := os.OpenFile(f.out, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	defer file.Close()
	fetcher, err := fetch.New(fetch.Options{Source: source, Storage: dir, Checkpoint: filepath.Base(f.out) + ".fetch", Parallel: f.parallel})
	if err != nil {
		return err
	}
	_, err = fetcher.Fetch(ctx, fetch.Resource{
		URI: f.uri, Size: f.size, Digest: whole, Chunks: &fetch.Chunks{Root: top, Size: fetch.DefaultChunkSize},
	}, &fileSink{File: directio.New(file)})
	return err
}

// A fileSink is a file whose bytes stay where they are put.
type fileSink struct {
	*directio.File
	offset int64
}

func (s *fileSink) Offset() int64             { return s.offset }
func (s *fileSink) Resume(offset int64) error { s.offset = offset; return nil }

func (s *fileSink) Write(p []byte) (int, error) {
	n, err := s.File.WriteAt(p, s.offset)
	s.offset += int64(n)
	return n, err
}
