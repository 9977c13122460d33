// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
)

func readIndex(name string) (*chunk.Index, error) {
	f, _, err := cli.OpenFile(name, "an index (.caibx)")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	x, err := chunk.ReadIndex(f)
	if errors.Is(err, chunk.ErrIndex) {
		return nil, cli.Inputf("%s: %w", name, err)
	}
	return x, err
}

func validChunkSize(n int64) bool {
	return n >= fetch.MinChunkSize && n <= fetch.MaxChunkSize && n&(n-1) == 0
}

func makeChunks(_ context.Context, c *call) error {
	size := c.fs.Int64("chunk-size", fetch.DefaultChunkSize, "bytes of each verified chunk: a power of two, 16 KiB to 4 MiB")
	out := c.fs.String("out", "", "name for the digests (default: IMAGE.chunks); the index is beside it, with .caibx instead of .chunks")
	store := c.fs.String("store", "", "casync chunk store (.castr) to put the image's chunks into")
	if err := c.parse(); err != nil {
		return err
	}
	if !validChunkSize(*size) {
		return cli.Usagef("--chunk-size is %d, want a power of two from %d to %d", *size, fetch.MinChunkSize, fetch.MaxChunkSize)
	}
	f, length, err := cli.OpenFile(c.args[0], "an image")
	if err != nil {
		return err
	}
	defer f.Close()
	if length == 0 {
		return cli.Inputf("%s is empty, want an image", c.args[0])
	}
	if *out == "" {
		*out = c.args[0] + ".chunks"
	}
	indexName := strings.TrimSuffix(*out, ".chunks") + ".caibx"
	digests, err := newPart(*out, c.args[0])
	if err != nil {
		return err
	}
	defer digests.Close()
	index, err := newPart(indexName, c.args[0])
	if err != nil {
		return err
	}
	defer index.Close()
	pages, root, err := chunk.Build(f, length, *size)
	if err != nil {
		return cli.Inputf("%s: %w", c.args[0], err)
	}
	x, err := chunk.BuildIndex(io.NewSectionReader(f, 0, length))
	if err != nil {
		return err
	}
	if _, err := digests.Write(pages); err != nil {
		return errors.Join(err, digests.empty())
	}
	if _, err := x.WriteTo(index); err != nil {
		return errors.Join(err, digests.empty(), index.empty())
	}
	for _, p := range []*partFile{digests, index} {
		if err := p.finish(); err != nil {
			return err
		}
	}
	if *store != "" {
		if err := fillStore(*store, x, f); err != nil {
			return err
		}
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "root": fmt.Sprintf("%x", root.Bytes()), "size": length, "chunk_size": *size,
			"pages": *out, "index": indexName, "index_chunks": x.Chunks()})
	}
	_, err = fmt.Fprintf(c.people, "root %x, to be signed with size %d and chunk size %d\n  %s  digests\n  %s  index of %s\n",
		root.Bytes(), length, *size, *out, indexName, cli.Count(int64(x.Chunks()), "chunk"))
	return err
}

// fillStore puts the chunks that are not there yet into the folder.
func fillStore(dir string, x *chunk.Index, image io.ReaderAt) error {
	path := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	have := func(name string) bool { _, err := os.Stat(path(name)); return err == nil }
	return chunk.WriteStore(x, image, have, func(name string, packed []byte) error {
		if err := os.MkdirAll(filepath.Dir(path(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path(name)+".part", packed, 0o644); err != nil {
			return err
		}
		return os.Rename(path(name)+".part", path(name))
	})
}

// storeFolder is a fetch.Source of the files of a chunk store, and counts what is read of them.
type storeFolder struct {
	dir   string
	bytes int64
	files int64
}

func (s *storeFolder) Open(_ context.Context, uri string, _ int64, _ string) (*fetch.Stream, error) {
	f, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(uri)))
	if err != nil {
		return nil, cli.Inputf("neither the seeds nor the store hold all chunks: %w", err)
	}
	s.files++
	return &fetch.Stream{Body: &storeFile{f, s}, Size: -1}, nil
}

type storeFile struct {
	*os.File
	s *storeFolder
}

func (f *storeFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	f.s.bytes += int64(n)
	return n, err
}

func chunkInfo(_ context.Context, c *call) error {
	if err := c.parse(); err != nil {
		return err
	}
	x, err := readIndex(c.args[0])
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "size": x.Size(), "chunks": x.Chunks()})
	}
	_, err = fmt.Fprintf(c.people, "%s in %s\n", cli.Count(x.Size(), "byte"), cli.Count(int64(x.Chunks()), "chunk"))
	return err
}

func verifyChunks(_ context.Context, c *call) error {
	pages := c.fs.String("pages", "", "file of the digests (default: IMAGE.chunks)")
	rootHex := c.fs.String("root", "", "signed root, 64 hexadecimal digits (required)")
	size := c.fs.Int64("chunk-size", fetch.DefaultChunkSize, "bytes of each chunk")
	if err := c.parse(); err != nil {
		return err
	}
	root, err := hexDigest("root", *rootHex)
	if err != nil {
		return err
	}
	if *pages == "" {
		*pages = c.args[0] + ".chunks"
	}
	f, length, err := cli.OpenFile(c.args[0], "an image")
	if err != nil {
		return err
	}
	defer f.Close()
	p, _, err := cli.OpenFile(*pages, "chunk digests")
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := chunk.NewReader(f, p, length, *size, root)
	if err != nil {
		return cli.Inputf("%s: %w", c.args[0], err)
	}
	if err := r.Verify(); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "size": length, "chunks": r.Layout().Chunks()})
	}
	_, err = fmt.Fprintf(c.people, "%s as signed\n", cli.Count(r.Layout().Chunks(), "chunk"))
	return err
}

// nowhere is the origin of what no seed has.
type nowhere struct{}

func (nowhere) Open(context.Context, string, int64, string) (*fetch.Stream, error) {
	return nil, cli.Inputf("the seeds do not hold all chunks")
}

// shown is a part whose progress a bar shows.
type shown struct {
	part *partFile
	bar  *cli.Bar
	size int64
}

func (s *shown) Write(p []byte) (int, error) {
	n, err := s.part.Write(p)
	s.bar.Set(s.part.offset, s.size)
	return n, err
}

// agrees reads the part back and compares it with the index. If it is wrong, what agrees stays for a later run.
func (p *partFile) agrees(index *chunk.Index) error {
	same, err := index.Agreeing(io.NewSectionReader(p, 0, index.Size()))
	if err == nil && same.Chunks() < index.Chunks() {
		err = fmt.Errorf("%s.part is not as the index says from %d of %d on: %w", p.name, same.Size(), index.Size(), chunk.ErrChunk)
		err = errors.Join(err, p.Truncate(same.Size()))
	}
	return err
}

// extracted is what chunk extract prints.
type extracted struct {
	Result   string `json:"result"`
	Out      string `json:"out"`
	Size     int64  `json:"size"`
	Reused   int64  `json:"bytes_reused"`   // of the image, from seeds
	Fetched  int64  `json:"bytes_fetched"`  // from the store, packed as its files are
	Unpacked int64  `json:"bytes_unpacked"` // what they unpack to, of the image
	Requests int64  `json:"requests"`       // files of the store
}

func extractChunks(ctx context.Context, c *call) error {
	var f fetchFlags
	c.fs.Var(&f.seeds, "seed", "file that holds chunks; may be repeated; FILE.caibx beside it is used, too")
	c.fs.StringVar(&f.out, "out", "", "file to make (required)")
	store := c.fs.String("store", "", "casync chunk store (.castr) for what no seed holds")
	if err := c.parse(); err != nil {
		return err
	}
	cli.AddRules(cli.Rule{Err: chunk.ErrChunk, Name: "chunk.ErrChunk", Exit: cli.Refused, Next: "run it again with seeds or a store that have the right chunks: what agrees with the index was kept"})
	f.index = c.args[0]
	part, err := openPart(f.out, f.index)
	if err != nil {
		return err
	}
	defer part.Close()
	seeds, index, done, err := f.openSeeds(part, 0)
	defer done()
	if err != nil {
		return err
	}
	const uri = "file:image"
	var origin fetch.Source = nowhere{}
	packed := storeFolder{dir: *store}
	if *store != "" {
		origin = chunk.NewStore(&packed, "", uri, index)
	}
	reuse := chunk.NewReuse(origin, uri, index, seeds...)
	s, err := reuse.Open(ctx, uri, 0, "")
	if err != nil {
		return err
	}
	defer s.Body.Close()
	bar := cli.NewBar(c.people, "extract")
	n, err := io.Copy(&shown{part, bar, index.Size()}, s.Body)
	bar.Done()
	if err == nil {
		err = part.agrees(index)
	}
	if err != nil {
		return err
	}
	if err := part.finish(); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, extracted{"ok", f.out, n, reuse.Stats().Reused, packed.bytes, reuse.Stats().Fetched, packed.files})
	}
	fromStore := ""
	if *store != "" {
		fromStore = fmt.Sprintf(", %d from the store, which gave %s of %d bytes", reuse.Stats().Fetched, cli.Count(packed.files, "file"), packed.bytes)
	}
	_, err = fmt.Fprintf(c.people, "%s: %d bytes, %d of them from seeds%s\n", f.out, n, reuse.Stats().Reused, fromStore)
	return err
}
