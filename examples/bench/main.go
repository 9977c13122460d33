// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures Firmament beside its peers, on this machine and in one run, and prints a table for each suite.
//
//	bench [--json] [--out DIR] SUITE...
//
// A peer that is not installed has no row, and a line says how to install it. Times are noisy on a shared
// machine: compare the rows of one run with each other and nothing else. Every suite first shows that what it measures
// verifies: a flipped byte must be refused.
//
// Charts (SVG) go to DIR, if it is named.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// A suite is one family of comparisons.
type suite struct {
	name, what string
	run        func(ctx context.Context, r *report) error
}

func suites() []suite {
	return []suite{
		{"manifest", "SUIT: decoding, opening and running", manifestSuite},
		{"repo", "publishing one more release among many targets", repoSuite},
		{"delta", "patches between the pairs of --corpus, beside other tools", deltaSuite},
		{"tuf", "refresh and look-up among many targets, beside go-tuf's client", tufSuite},
		{"fetch", "downloading 1 GiB over HTTP, and updating an image at hand", fetchSuite},
	}
}

// children are the measured sides that run as processes of their own, so that their CPU time and memory are theirs alone:
// bench starts itself with the name and the arguments.
func children() map[string]func(ctx context.Context, args []string) error {
	return map[string]func(ctx context.Context, args []string) error{
		"tuf-make": makeTUF, "tuf-ours": ourTUF, "tuf-gotuf": goTUF,
		"manifest-open": openMany,
		"repo-step":     repoStep,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 1 && args[0] == childVerb {
		child, ok := children()[args[1]]
		if !ok {
			fmt.Fprintf(stderr, "bench: no child %q\n", args[1])
			return 2
		}
		if err := child(ctx, args[2:]); err != nil {
			fmt.Fprintf(stderr, "bench: %s: %v\n", args[1], err)
			return 1
		}
		if n := ownPeakRSS(); n > 0 {
			fmt.Fprintf(stderr, "%s%d\n", peakLine, n)
		}
		return 0
	}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	asJSON := fs.Bool("json", false, "print one JSON object per row instead of tables")
	out := fs.String("out", "", "folder for charts")
	targets := fs.Int("targets", 100_000, "how many targets the large repositories of the suites repo and tuf have")
	corpus := fs.String("corpus", os.Getenv("FIRMAMENT_CORPUS"), "folder of pairs for the suite delta: DIR/PAIR/old.img and new.img (default: FIRMAMENT_CORPUS)")
	only := fs.String("tools", "", "names, with commas: only tools whose name begins with one of them, in the suite delta")
	fs.Usage = func() {
		fmt.Fprintln(stderr, "usage: bench [--json] [--out DIR] SUITE...")
		for _, s := range suites() {
			fmt.Fprintf(stderr, "  %-10s %s\n", s.name, s.what)
		}
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() == 0 {
		fs.Usage()
		return 2
	}
	for _, name := range fs.Args() {
		i := slices.IndexFunc(suites(), func(s suite) bool { return s.name == name })
		if i < 0 {
			fmt.Fprintf(stderr, "bench: no suite %q\n", name)
			fs.Usage()
			return 2
		}
		r := &report{suite: name, out: *out, json: *asJSON, stdout: stdout, notes: stderr, targets: *targets, corpus: *corpus, only: *only}
		if err := suites()[i].run(ctx, r); err != nil {
			fmt.Fprintf(stderr, "bench: %s: %v\n", strings.TrimSpace(name), err)
			return 1
		}
	}
	return 0
}
