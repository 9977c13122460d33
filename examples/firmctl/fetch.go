// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/chunk"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/verify"
)

// fetched is what fetch prints.
type fetched struct {
	Result   string `json:"result"`
	Out      string `json:"out"`
	Present  bool   `json:"present"`       // it was there, and right, before this run
	Fetched  int64  `json:"bytes_fetched"` // over the network, chunk digests included
	Digests  int64  `json:"bytes_digests"` // of them, chunk digests
	Reused   int64  `json:"bytes_reused"`
	Requests int64  `json:"requests"`
	Restarts int    `json:"restarts"`
	Resumed  int64  `json:"resumed_from"`     // bytes of an earlier run that were right
	SHA256   string `json:"sha256,omitempty"` // if it was compared
}

// fetchFlags are fetch's.
type fetchFlags struct {
	urls, seeds  list
	digest, root string
	index, out   string
	size, chunk  int64
	rate, most   int64
	parallel     int

	network *fetch.Meter
	pages   int64 // bytes of chunk digests
	built   bool  // on what an earlier run left
}

func (f *fetchFlags) resource() (fetch.Resource, error) {
	var res fetch.Resource
	if len(f.urls) == 0 {
		return res, cli.Usagef("--url is missing")
	}
	for _, s := range f.urls {
		if httpsource.CheckURI(s) != nil || strings.Contains(s, " ") {
			return res, cli.Usagef("--url is %.80q, want http:// or https://, a host, a port up to 65535, and a path", fetch.RedactURI(s))
		}
	}
	if f.size < 1 {
		return res, cli.Usagef("--size is %d, want the bytes of the file, 1 or more", f.size)
	}
	for name, n := range map[string]int64{"rate": f.rate, "max-bytes": f.most} {
		if n < 0 {
			return res, cli.Usagef("--%s is %d, want 0 or more", name, n)
		}
	}
	if f.parallel < 1 || f.parallel > 8 {
		return res, cli.Usagef("--parallel is %d, want 1 to 8", f.parallel)
	}
	if f.parallel > 1 && f.root == "" {
		return res, cli.Usagef("--parallel needs --root: without it the file is read in one stream")
	}
	if f.digest == "" && f.root == "" {
		return res, cli.Usagef("neither --sha256 nor --root is given: what shall the file be?")
	}
	var err error
	res = fetch.Resource{URI: f.urls[0], Size: f.size}
	if f.digest != "" {
		if res.Digest, err = hexDigest("sha256", f.digest); err != nil {
			return res, err
		}
	}
	if f.root != "" {
		root, err := hexDigest("root", f.root)
		if err != nil {
			return res, err
		}
		if f.digest == "" {
			res.Digest = root // it stands for the file, and a Resource names one: with chunk digests it is compared by nobody but here
		}
		if !validChunkSize(f.chunk) {
			return res, cli.Usagef("--chunk-size is %d, want a power of two from %d to %d", f.chunk, fetch.MinChunkSize, fetch.MaxChunkSize)
		}
		res.Chunks = &fetch.Chunks{Root: root, Size: f.chunk}
	}
	if len(f.seeds) > 0 && f.index == "" {
		return res, cli.Usagef("--seed needs --index: what to look for in the seeds")
	}
	return res, nil
}

// hexDigest reads a flag that is a SHA-256.
func hexDigest(flag, digits string) (verify.Digest, error) {
	d, err := verify.ParseDigest("sha256:" + strings.ToLower(digits))
	if err != nil {
		err = cli.Usagef("--%s is %.80q, want 64 hexadecimal digits", flag, digits)
	}
	return d, err
}

func fetchFile(ctx context.Context, c *call) error {
	var f fetchFlags
	c.fs.Var(&f.urls, "url", "where the file is, http or https (required); more of them are mirrors")
	c.fs.StringVar(&f.digest, "sha256", "", "digest of the file, 64 hexadecimal digits (required without --root; beside it, it is compared, too, at the cost of hashing everything twice)")
	c.fs.Int64Var(&f.size, "size", 0, "bytes of the file (required)")
	c.fs.StringVar(&f.root, "root", "", "signed root of its chunk digests, which are at the URL + .chunks; without it only the whole is verified, at the end")
	c.fs.Int64Var(&f.chunk, "chunk-size", fetch.DefaultChunkSize, "bytes of each chunk under --root")
	c.fs.StringVar(&f.index, "index", "", "index of the file (.caibx), at hand; it need not be trusted")
	c.fs.Var(&f.seeds, "seed", "file that may hold the same chunks, such as the version before; may be repeated; FILE.caibx beside it is used, too")
	c.fs.Int64Var(&f.rate, "rate", 0, "bytes per second at most (default: no limit)")
	c.fs.Int64Var(&f.most, "max-bytes", 0, "bytes to take from the network at most, page file included (default: no limit)")
	c.fs.IntVar(&f.parallel, "parallel", 1, "ranges to fetch at a time under --root, at most 8; with --index one, since seeds are read in order")
	c.fs.StringVar(&f.out, "out", "", "file to make (required); it appears when it is right")
	if err := c.parse(); err != nil {
		return err
	}
	cli.AddRules(cli.Rule{Err: fetch.ErrBudget, Name: "fetch.ErrBudget", Exit: cli.Trouble, Next: "run it again with more of --max-bytes, or without it: what is there is kept"})
	res, err := f.resource()
	if err != nil {
		return err
	}
	out := fetched{Result: "ok", Out: f.out}
	mirrors, err := fetch.NewMirrors(httpsource.New(nil), f.urls...)
	if err != nil {
		return err
	}
	f.network = fetch.NewMeter(fetch.Options{Source: mirrors, MaxRate: f.rate, MaxBytes: f.most})
	if out.Present, err = f.present(ctx, res); err == nil && !out.Present {
		out, err = f.run(ctx, c, res)
		for again := 1; wholeIsWrong(err) && f.root == "" && (f.built || f.index != "" || again < len(f.urls)); again++ {
			if f.index != "" {
				fmt.Fprintf(c.people, "what the index led to is another file: now without it\n")
				f.index = ""
			}
			out, err = f.run(ctx, c, res) // what was there was bad, or what a mirror has: now from nothing, and from the next
		}
	}
	out.Fetched, out.Requests, out.Digests, out.SHA256 = f.network.Bytes(), f.network.Requests(), f.pages, strings.ToLower(f.digest)
	if err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, out)
	}
	if out.Present {
		_, err = fmt.Fprintf(c.people, "%s: there and right already, %d bytes fetched\n", out.Out, out.Fetched)
		return err
	}
	digests := ""
	if out.Digests > 0 {
		digests = fmt.Sprintf(" (%d of them chunk digests)", out.Digests)
	}
	_, err = fmt.Fprintf(c.people, "%s: %d bytes fetched%s, %d reused, %s, resumed from %d\n", out.Out, out.Fetched, digests, out.Reused, cli.Count(out.Requests, "request"), out.Resumed)
	return err
}

// present reports whether the file is there, and right by all that is known of it.
func (f *fetchFlags) present(ctx context.Context, res fetch.Resource) (bool, error) {
	if st, err := os.Lstat(f.out); err != nil || !st.Mode().IsRegular() || st.Size() != res.Size {
		return false, nil // what that means for a download, openPart says
	}
	file, err := os.Open(f.out)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if f.digest != "" {
		if err := readBack(file, res); errors.Is(err, fetch.ErrDigest) {
			return false, nil
		} else if err != nil || f.root == "" {
			return err == nil, err
		}
	}
	fetcher, err := fetch.New(fetch.Options{Source: digestsOnly{f.network, res.URI}})
	if err != nil {
		return false, err
	}
	st, err := fetcher.Fetch(ctx, res, &standing{file, res.Size})
	f.pages += st.Pages
	if errors.Is(err, errNotIt) {
		return false, nil
	}
	return err == nil, err
}

// wholeIsWrong reports whether err says that all that is there, taken together, is not the file: then it cannot be built upon. A chunk that stayed wrong
// was not kept.
func wholeIsWrong(err error) bool {
	var bad *fetch.DigestError
	return errors.As(err, &bad) && bad.Part == "payload"
}

func (f *fetchFlags) run(ctx context.Context, c *call, res fetch.Resource) (out fetched, err error) {
	part, err := openPart(f.out, f.index) // a seed may be replaced: it is whole until the new file is
	if err != nil {
		return out, err
	}
	defer part.Close()
	seeds, index, done, err := f.openSeeds(part, res.Size)
	defer done()
	if err != nil {
		return out, err
	}
	o := fetch.Options{Source: f.network, Parallel: f.parallel} // no checkpoint: what is in the part is compared with its digests
	var reuse *chunk.Reuse
	if f.index != "" {
		reuse = chunk.NewReuse(f.network, res.URI, index, seeds...)
		o.Source = reuse
	}
	if res.Chunks == nil {
		o.Source = &prefix{Source: o.Source, uri: res.URI, part: part, size: res.Size}
	} else if f.digest != "" {
		part.sum = sha256.New()
	}
	bar := cli.NewBar(c.people, "fetch")
	o.OnProgress = func(p fetch.Progress) { bar.SetRate(p.Done, p.Total, p.Rate, p.Left) }
	found := min(part.kept.Load(), res.Size)
	f.built = found > 0
	o.OnRetry = func(r fetch.Retry) {
		bar.Done()
		fmt.Fprintf(c.people, "trying again in %v: %v\n", r.Wait.Round(100*time.Millisecond), r.Err)
	}
	fetcher, err := fetch.New(o)
	if err != nil {
		return out, err
	}
	st, err := fetcher.Fetch(ctx, res, part)
	bar.Done()
	f.pages += st.Pages
	if err == nil && f.digest != "" && (res.Chunks != nil || !part.fresh) { // a stream only says what passed through it
		err = part.is(res.Size, res.Digest)
	}
	if wholeIsWrong(err) && res.Chunks != nil {
		err = fmt.Errorf("--root and --sha256 are of two files; the part is the one of --root: %w", err)
	} else if wholeIsWrong(err) {
		err = errors.Join(err, part.empty())
	}
	if errors.Is(err, fetch.ErrBudget) {
		err = fmt.Errorf("%w; %d of %d bytes are there", err, part.offset, res.Size)
	}
	if err != nil {
		return out, err
	}
	out = fetched{Result: "ok", Out: f.out, Restarts: st.Restarts, Resumed: st.Kept}
	if res.Chunks == nil {
		out.Resumed = min(found, part.served.Load())
	}
	if reuse != nil {
		out.Reused = reuse.Stats().Reused
	}
	return out, part.finish()
}

// readBack compares the whole file with its digest.
func readBack(file io.ReaderAt, res fetch.Resource) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(file, 0, res.Size)); err != nil {
		return err
	}
	return compare(h, res)
}

func compare(h hash.Hash, res fetch.Resource) error {
	got, err := verify.NewDigest(verify.SHA256, h.Sum(nil))
	if err == nil && got != res.Digest {
		err = &fetch.DigestError{Part: "payload", Want: res.Digest, Got: got}
	}
	return err
}

// seedFrom is how much of a part, behind what agrees with the index, is worth an index of its own.
const seedFrom = 4 << 20

// openSeeds indexes the seeds. What an earlier run left in the part is looked at by the index: as far as it agrees it is kept, and what follows is
// a seed if that is much. An index beside a seed is of use if another program cut the wanted one, such as casync. A size of 0 is the index's.
func (f *fetchFlags) openSeeds(part *partFile, size int64) (seeds []chunk.Seed, index *chunk.Index, done func(), err error) {
	var files []*os.File
	done = func() {
		for _, f := range files {
			f.Close()
		}
	}
	if f.index == "" {
		return nil, nil, done, nil
	}
	if index, err = readIndex(f.index); err != nil {
		return nil, nil, done, err
	}
	if size > 0 && index.Size() != size {
		return nil, nil, done, cli.Inputf("%s is for %d bytes, --size is %d", f.index, index.Size(), size)
	}
	kept := part.kept.Load()
	agreed, err := index.Agreeing(io.NewSectionReader(part, 0, kept))
	if err != nil {
		return nil, nil, done, err
	}
	seeds = append(seeds, chunk.Seed{Image: part, Index: agreed})
	part.kept.Store(agreed.Size())
	if rest := io.NewSectionReader(part, agreed.Size(), kept-agreed.Size()); rest.Size() > seedFrom {
		x, err := chunk.BuildIndex(rest)
		if err != nil {
			return nil, nil, done, err
		}
		seeds = append(seeds, chunk.Seed{Image: rest, Index: x})
	}
	for _, name := range f.seeds {
		s, _, err := cli.OpenFile(name, "a seed")
		if err != nil {
			return nil, nil, done, err
		}
		files = append(files, s)
		x, err := chunk.BuildIndex(s)
		if err != nil {
			return nil, nil, done, err
		}
		seeds = append(seeds, chunk.Seed{Image: s, Index: x})
		if x, err := readIndex(name + ".caibx"); err == nil { // it is a help, and none if it is damaged
			seeds = append(seeds, chunk.Seed{Image: s, Index: x})
		}
	}
	seeds = append(seeds, chunk.Seed{Image: part}) // for what comes again
	return seeds, index, done, nil
}
