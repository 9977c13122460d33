// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch/delta"
	"github.com/firmament-dev/firmament/verify"
)

// size is a flag for bytes, such as 8MiB.
type size int64

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

func (s *size) Set(v string) error {
	unit := int64(1)
	for suffix, n := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(v, suffix); ok {
			v, unit = rest, n
		}
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 {
		return errors.New("want bytes, such as 1048576 or 1MiB")
	}
	*s = size(n * unit)
	return nil
}

func makeDelta(ctx context.Context, c *call) error {
	oldName := c.fs.String("old", "", "image that devices have (required)")
	newName := c.fs.String("new", "", "image that they shall have (required)")
	out := c.fs.String("out", "", "patch to write (required)")
	limit := size(delta.DefaultMemory)
	c.fs.Var(&limit, "memory-limit", "bytes of buffers that a device may need, such as 8MiB")
	largest := size(delta.DefaultFrameSize)
	c.fs.Var(&largest, "frame-size", "bytes that each frame makes, 64KiB to 1MiB: what is done again after a cut; smaller if --memory-limit demands it")
	bounded := c.fs.Bool("bounded", false, "make it within 256 MiB of memory, whatever the images' sizes; larger than 64 MiB it is always so")
	if err := c.parse(); err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("--out is missing")
	}
	if largest < delta.MinFrameSize || largest > delta.MaxFrameSize {
		return cli.Usagef("--frame-size is %d, want %d to %d", largest, delta.MinFrameSize, delta.MaxFrameSize)
	}
	debug.SetGCPercent(5) // what is held is mostly two large arrays without pointers
	old, image, done, err := openImages(*oldName, *newName)
	if err != nil {
		return err
	}
	defer done()
	if image.Size() == 0 {
		return cli.Inputf("%s is empty, want the image to make", *newName)
	}
	part, err := openPart(*out, *oldName, *newName)
	if err != nil {
		return err
	}
	defer part.Close()
	var info delta.Info
	for frame := int64(largest); ; frame /= 2 { // smaller frames need less memory
		if err := part.empty(); err != nil {
			return err
		}
		if frame < delta.MinFrameSize {
			return cli.Usagef("--memory-limit is %d, this patch needs %d", int64(limit), info.Memory)
		}
		bar := cli.NewBar(c.people, "make")
		info, err = delta.Make(ctx, old, image, part, delta.Options{FrameSize: frame, Bounded: *bounded, OnProgress: bar.Set})
		bar.Done()
		if err != nil {
			return errors.Join(err, part.empty())
		}
		if info.Memory <= int64(limit) {
			break
		}
	}
	part.offset = info.Size
	if err := part.finish(); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "out": *out, "size": info.Size, "digest": fmt.Sprintf("%x", info.Digest.Bytes()), "memory": info.Memory, "frames": info.Frames})
	}
	_, err = fmt.Fprintf(c.people, "%s: %d bytes for an image of %d, %d of memory to apply it\n  digest %x, to be signed\n", *out, info.Size, image.Size(), info.Memory, info.Digest.Bytes())
	return err
}

// openImages opens the two images that a patch is between.
func openImages(old, new string) (o, n *io.SectionReader, done func(), err error) {
	a, size, err := cli.OpenFile(old, "the old image")
	if err != nil {
		return nil, nil, nil, err
	}
	o = io.NewSectionReader(a, 0, size)
	b, size, err := cli.OpenFile(new, "the new image")
	if err != nil {
		return nil, nil, nil, errors.Join(err, a.Close())
	}
	return o, io.NewSectionReader(b, 0, size), func() { a.Close(); b.Close() }, nil
}

func applyDelta(ctx context.Context, c *call) error {
	oldName := c.fs.String("old", "", "image to begin with (required)")
	patchName := c.fs.String("patch", "", "patch (required)")
	digest := c.fs.String("digest", "", "signed digest of the patch, 64 hexadecimal digits; without it the patch is believed")
	out := c.fs.String("out", "", "image to make (required); it appears when it is right")
	limit := size(delta.DefaultMemory)
	c.fs.Var(&limit, "memory-limit", "bytes of buffers that the patch may need")
	if err := c.parse(); err != nil {
		return err
	}
	old, _, err := cli.OpenFile(*oldName, "the old image")
	if err != nil {
		return err
	}
	defer old.Close()
	patch, _, err := cli.OpenFile(*patchName, "a patch")
	if err != nil {
		return err
	}
	defer patch.Close()
	p, err := openDelta(patch, *digest, int64(limit))
	if err != nil {
		return err
	}
	if err := noInput(*out+".part", []string{*oldName}); err != nil {
		return err
	}
	part, err := openPart(*out, *patchName) // the old image may be replaced: it is whole until the new one is
	if err != nil {
		return err
	}
	defer part.Close()
	part.sum = sha256.New()
	bar := cli.NewBar(c.people, "apply")
	err = p.Apply(ctx, old, part, delta.ApplyOptions{OnProgress: bar.Set})
	bar.Done()
	if errors.Is(err, delta.ErrBase) || errors.Is(err, delta.ErrBounds) || errors.Is(err, io.ErrUnexpectedEOF) {
		return cli.Inputf("%w", err)
	}
	if err == nil {
		if err = part.is(p.NewSize(), p.NewDigest()); wholeIsWrong(err) { // each block was right: the patch promises an image that it does not make
			err = errors.Join(err, part.empty())
		}
	}
	if err != nil {
		return err
	}
	if err := part.finish(); err != nil {
		return err
	}
	if c.json {
		return cli.PrintJSON(c.stdout, map[string]any{"result": "ok", "out": *out, "size": p.NewSize(), "sha256": fmt.Sprintf("%x", p.NewDigest().Bytes())})
	}
	_, err = fmt.Fprintf(c.people, "%s: %d bytes, %v\n", *out, p.NewSize(), p.NewDigest())
	return err
}

// openDelta opens the patch under its digest, or under the one that it has.
func openDelta(patch *os.File, digest string, memory int64) (*delta.Patch, error) {
	var want verify.Digest
	if digest != "" {
		var err error
		if want, err = hexDigest("digest", digest); err != nil {
			return nil, err
		}
	} else {
		header := make([]byte, 128)
		if _, err := patch.ReadAt(header, 0); err != nil {
			return nil, cli.Inputf("%s is too short for a patch", patch.Name())
		}
		want = verify.Sum(verify.SHA256, header)
	}
	p, err := delta.Open(patch, want, memory)
	if errors.Is(err, delta.ErrFormat) || errors.Is(err, delta.ErrBounds) || errors.Is(err, delta.ErrMemory) {
		return nil, cli.Inputf("%s: %w", patch.Name(), err)
	}
	return p, err
}
