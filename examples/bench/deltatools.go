// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A deltaTool makes and applies patches. make leaves the file "patch" in the run's folder, apply the file "out".
type deltaTool struct {
	name, program, debian string
	ours                  bool
	most                  int64 // largest old image that it is tried with; 0: any
	make, apply           func(ctx context.Context, d deltaRun) (cost, error)
	size                  func(ctx context.Context, d deltaRun) (int64, error)
}

func deltaTools() []deltaTool {
	tool := func(program string, args ...string) func(context.Context, deltaRun) (cost, error) {
		return func(ctx context.Context, d deltaRun) (cost, error) {
			replace := strings.NewReplacer("OLD", d.old, "NEW", d.new, "PATCH", d.file("patch"), "OUT", d.file("out"), "WINDOW", strconv.FormatInt(xdeltaWindow(d.old), 10))
			filled := make([]string, len(args))
			for i, a := range args {
				filled[i] = replace.Replace(a)
			}
			if program == "" {
				return measureSelf(ctx, filled[0], filled[1:]...)
			}
			return measure(ctx, program, filled...)
		}
	}
	return []deltaTool{
		{name: "firmament delta", ours: true, make: tool("", "delta-make", "OLD", "NEW", "PATCH", ""), apply: tool("", "delta-apply", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "firmament delta, bounded", ours: true, make: tool("", "delta-make", "OLD", "NEW", "PATCH", "bounded"), apply: tool("", "delta-apply", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "firmament chunks", ours: true, make: tool("", "chunk-make", "OLD", "NEW", "PATCH"), apply: tool("", "chunk-apply", "OLD", "PATCH", "OUT"), size: chunkSize},
		{name: "bsdiff", program: "bsdiff", debian: "bsdiff", most: 64 << 20, make: tool("bsdiff", "OLD", "NEW", "PATCH"), apply: tool("bspatch", "OLD", "OUT", "PATCH"), size: patchSize},
		{name: "xdelta3 -9 -S lzma", program: "xdelta3", debian: "xdelta3", make: tool("xdelta3", "-e", "-9", "-S", "lzma", "-B", "WINDOW", "-f", "-s", "OLD", "NEW", "PATCH"), apply: tool("xdelta3", "-d", "-B", "WINDOW", "-f", "-s", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "zstd -19 --patch-from", program: "zstd", debian: "zstd", most: 64 << 20, make: tool("zstd", "-q", "-19", "--long=31", "--patch-from=OLD", "NEW", "-o", "PATCH"), apply: tool("zstd", "-q", "-d", "--long=31", "--patch-from=OLD", "PATCH", "-o", "OUT"), size: patchSize},
		{name: "zstd -3 --patch-from", program: "zstd", debian: "zstd", make: tool("zstd", "-q", "-3", "--long=31", "--patch-from=OLD", "NEW", "-o", "PATCH"), apply: tool("zstd", "-q", "-d", "--long=31", "--patch-from=OLD", "PATCH", "-o", "OUT"), size: patchSize},
		{name: "zchunk", program: "zck", debian: "zchunk", make: zchunkMake, size: zchunkSize},
		{name: "casync, 16 KiB chunks", program: "casync", debian: "casync", make: casyncMake, apply: casyncApply, size: casyncSize},
	}
}

// xdeltaWindow has room for all of the old image.
func xdeltaWindow(old string) int64 {
	window := int64(64 << 20)
	for st, err := os.Stat(old); err == nil && window < st.Size(); {
		window *= 2
	}
	return window
}

func patchSize(_ context.Context, d deltaRun) (int64, error) {
	st, err := os.Stat(d.file("patch"))
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// zchunkMake makes a zchunk file of each image; the cost is that of the new one.
func zchunkMake(ctx context.Context, d deltaRun) (cost, error) {
	if _, err := measure(ctx, "zck", "-o", d.file("old.zck"), d.old); err != nil {
		return cost{}, err
	}
	return measure(ctx, "zck", "-o", d.file("patch"), d.new)
}

// zchunkSize is what zchunk says that it would download: the header and the chunks that the old file lacks.
func zchunkSize(ctx context.Context, d deltaRun) (int64, error) {
	out, err := exec.CommandContext(ctx, "zck_delta_size", d.file("old.zck"), d.file("patch")).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("zck_delta_size: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		var size, of int64
		if n, _ := fmt.Sscanf(line, "Would download %d of %d bytes", &size, &of); n == 2 {
			return size, nil
		}
	}
	return 0, fmt.Errorf("zck_delta_size said %q", out)
}

// casyncMake fills a chunk store with the old image, and then another one with what the new image has beside.
func casyncMake(ctx context.Context, d deltaRun) (cost, error) {
	args := []string{"make", "--chunk-size=16384", "--store=" + d.file("old.castr"), d.file("old.caibx"), d.old}
	if _, err := measure(ctx, "casync", args...); err != nil {
		return cost{}, err
	}
	c, err := measure(ctx, "casync", "make", "--chunk-size=16384", "--store="+d.file("new.castr"), d.file("patch.caibx"), d.new)
	if err != nil {
		return c, err
	}
	return c, os.Link(d.file("patch.caibx"), d.file("patch")) // casync wants its suffix
}

func casyncApply(ctx context.Context, d deltaRun) (cost, error) {
	return measure(ctx, "casync", "extract", "--store="+d.file("new.castr"), "--seed="+d.old, d.file("patch.caibx"), d.file("out"))
}

// casyncSize is the index and the chunks that the old image's store lacks.
func casyncSize(ctx context.Context, d deltaRun) (int64, error) {
	size, err := patchSize(ctx, d)
	if err != nil {
		return 0, err
	}
	err = filepath.WalkDir(d.file("new.castr"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(d.file("new.castr"), path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(d.file("old.castr"), rel)); !errors.Is(err, fs.ErrNotExist) {
			return err // the old image has it
		}
		st, err := e.Info()
		if err == nil {
			size += st.Size()
		}
		return err
	})
	return size, err
}
