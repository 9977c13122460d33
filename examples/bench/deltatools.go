// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"strconv"
	"strings"
)

// A deltaTool makes and applies patches. make leaves the file "patch" in the run's folder, apply the file "out".
type deltaTool struct {
	name, program, debian string
	ours                  bool
	most                  int64 // largest old image that it is tried with; 0: any
	make, apply           func(ctx context.Context, d deltaRun) (cost, error)
	size                  func(ctx context.Context, d deltaRun) (int64, error) // nil: what is fetched over HTTP
}

func deltaTools() []deltaTool {
	tool := func(program string, args ...string) func(context.Context, deltaRun) (cost, error) {
		return func(ctx context.Context, d deltaRun) (cost, error) {
			replace := strings.NewReplacer("OLD", d.old, "NEW", d.new, "PATCH", d.file("patch"), "OUT", d.file("out"), "URL", d.url, "WINDOW", strconv.FormatInt(xdeltaWindow(d.old), 10))
			filled := make([]string, len(args))
			for i, a := range args {
				filled[i] = replace.Replace(a)
			}
			if program == "" {
				return d.small.self(ctx, filled...)
			}
			return d.small.measure(ctx, program, filled...)
		}
	}
	return []deltaTool{
		{name: "firmament delta", ours: true, make: tool("", "delta-make", "OLD", "NEW", "PATCH", ""), apply: tool("", "delta-apply", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "firmament delta, bounded", ours: true, make: tool("", "delta-make", "OLD", "NEW", "PATCH", "bounded"), apply: tool("", "delta-apply", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "firmament chunks", ours: true, make: tool("", "chunk-make", "OLD", "NEW", "PATCH"), apply: tool("", "chunk-apply", "OLD", "URL", "OUT")},
		{name: "bsdiff", program: "bsdiff", debian: "bsdiff", most: 64 << 20, make: tool("bsdiff", "OLD", "NEW", "PATCH"), apply: tool("bspatch", "OLD", "OUT", "PATCH"), size: patchSize},
		{name: "xdelta3 -9 -S lzma", program: "xdelta3", debian: "xdelta3", make: tool("xdelta3", "-e", "-9", "-S", "lzma", "-B", "WINDOW", "-f", "-s", "OLD", "NEW", "PATCH"), apply: tool("xdelta3", "-d", "-B", "WINDOW", "-f", "-s", "OLD", "PATCH", "OUT"), size: patchSize},
		{name: "zstd -19 --patch-from", program: "zstd", debian: "zstd", most: 64 << 20, make: tool("zstd", "-q", "-19", "--long=31", "--patch-from=OLD", "NEW", "-o", "PATCH"), apply: tool("zstd", "-q", "-d", "--long=31", "--patch-from=OLD", "PATCH", "-o", "OUT"), size: patchSize},
		{name: "zstd -3 --patch-from", program: "zstd", debian: "zstd", make: tool("zstd", "-q", "-3", "--long=31", "--patch-from=OLD", "NEW", "-o", "PATCH"), apply: tool("zstd", "-q", "-d", "--long=31", "--patch-from=OLD", "PATCH", "-o", "OUT"), size: patchSize},
		{name: "zchunk", program: "zck", debian: "zchunk", make: zchunkMake, apply: zchunkApply},
		{name: "casync, 16 KiB chunks", program: "casync", debian: "casync", make: casyncMake, apply: casyncApply},
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
	if _, err := d.small.measure(ctx, "zck", "-o", d.file("old.zck"), d.old); err != nil {
		return cost{}, err
	}
	return d.small.measure(ctx, "zck", "-o", d.file("patch"), d.new)
}

// zchunkApply fetches what the old file lacks, in a folder of its own: zckdl names the file that it makes.
func zchunkApply(ctx context.Context, d deltaRun) (cost, error) {
	script := `rm -rf "$1/dl" && mkdir "$1/dl" && cd "$1/dl" && zckdl -q -s ../old.zck "$2patch" && unzck -c patch >../out`
	return d.small.measure(ctx, "sh", "-e", "-c", script, "sh", d.dir, d.url)
}

// casyncMake fills a chunk store with the old image, and then another one with what the new image has beside.
func casyncMake(ctx context.Context, d deltaRun) (cost, error) {
	args := []string{"make", "--chunk-size=16384", "--store=" + d.file("old.castr"), d.file("old.caibx"), d.old}
	if _, err := d.small.measure(ctx, "casync", args...); err != nil {
		return cost{}, err
	}
	c, err := d.small.measure(ctx, "casync", "make", "--chunk-size=16384", "--store="+d.file("new.castr"), d.file("patch.caibx"), d.new)
	if err != nil {
		return c, err
	}
	return c, os.Link(d.file("patch.caibx"), d.file("patch")) // casync wants its suffix
}

func casyncApply(ctx context.Context, d deltaRun) (cost, error) {
	return d.small.measure(ctx, "casync", "extract", "--store="+d.url+"new.castr", "--seed="+d.old, d.url+"patch.caibx", d.file("out"))
}
