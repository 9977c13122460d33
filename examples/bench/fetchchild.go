// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/firmament-dev/firmament/examples/internal/directio"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/verify"
)

// buffer is what the floors move at a time: a chunk.
const buffer = fetch.DefaultChunkSize

// fetchChild downloads as a device does: every chunk verified before it is written, checkpoints on disk.
func fetchChild(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("fetch", flag.ContinueOnError)
	uri := fs.String("url", "", "")
	size := fs.Int64("size", 0, "")
	digest := fs.String("digest", "", "")
	root := fs.String("root", "", "")
	out := fs.String("out", "", "")
	parallel := fs.Int("parallel", 1, "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	whole, err1 := verify.ParseDigest(*digest)
	top, err2 := verify.ParseDigest(*root)
	dir, err3 := install.OpenDir(filepath.Dir(*out))
	file, err4 := os.OpenFile(*out, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	defer file.Close()
	f, err := fetch.New(fetch.Options{
		Source: httpsource.New(nil), Storage: dir, Checkpoint: filepath.Base(*out) + ".fetch", Parallel: *parallel,
	})
	if err != nil {
		return err
	}
	_, err = f.Fetch(ctx, fetch.Resource{
		URI: *uri, Size: *size, Digest: whole, Chunks: &fetch.Chunks{Root: top, Size: fetch.DefaultChunkSize},
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

// receiveChild is the floor of receiving: the same bytes over net/http, thrown away.
func receiveChild(ctx context.Context, args []string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, args[0], nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	p := make([]byte, buffer)
	for {
		if _, err := resp.Body.Read(p); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// hashChild is the floor of verifying: so many bytes through SHA-256, a buffer at a time.
func hashChild(_ context.Context, args []string) error {
	size, err := parseSize(args[0])
	if err != nil {
		return err
	}
	p, h := make([]byte, buffer), sha256.New()
	for ; size > 0; size -= buffer {
		h.Write(p)
	}
	h.Sum(nil)
	return nil
}

// writeChild is the floor of writing: so many bytes into a file, which is synced once at the end.
func writeChild(_ context.Context, args []string) error {
	size, err := parseSize(args[0])
	if err != nil {
		return err
	}
	f, err := os.Create(args[1])
	if err != nil {
		return err
	}
	p := make([]byte, buffer)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	for ; size > 0; size -= buffer {
		if _, err := f.Write(p[:min(size, buffer)]); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(f.Sync(), f.Close())
}

func parseSize(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }
