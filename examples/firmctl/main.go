// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command firmctl is the author's and operator's side: it makes a product folder with keys, repository and a first
// device, signs and publishes releases, and serves them.
//
//	firmctl init DIR                        make keys, a repository and a device folder
//	firmctl release DIR IMAGE --version V   sign and publish IMAGE as the next release
//	firmctl refresh DIR                     sign the timestamp and what else is due once more
//	firmctl serve DIR                       serve the repository on http://127.0.0.1:8080
//	firmctl status DIR                      what was released, what the first device runs
//	firmctl fetch                           download a file, verified; running it again resumes
//	firmctl chunk COMMAND                   chunk digests and indexes of an image: make, info, verify, extract
//	firmctl delta COMMAND                   patches between two images: make, apply
//	firmctl manifest COMMAND                create (example prints a description), sign, attach, sever, inspect, verify,
//	                                        encrypt, run or report on SUIT envelopes: firmctl manifest -h
//	firmctl repo COMMAND                    the TUF repository by itself: publish, delegate, rotate keys, sign by several
//	                                        people on several machines, refresh, collect garbage: firmctl repo -h
//
// Every command takes --json. Exit codes: 0 ok, 1 refused by verification or policy, 2 usage, or a name or file on the command line that does
// not fit, 3 network or disk.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
	"github.com/firmament-dev/firmament/examples/internal/product"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// A command is one verb.
type command struct {
	name, args, what string
	run              func(ctx context.Context, c *call) error
}

// A call is one invocation of a command.
type call struct {
	fs     *flag.FlagSet
	args   []string // what is left beside flags
	json   bool
	stdout io.Writer
	people io.Writer // lines for people: standard output, or standard error with --json
	parse  func() error
}

func commands() []command {
	return append([]command{
		{"init", "DIR", "make keys, a repository and a device folder", initProduct},
		{"release", "DIR IMAGE", "sign and publish IMAGE as the next release", release},
		{"refresh", "DIR", "sign the timestamp and what else is due once more", refresh},
		{"serve", "DIR", "serve the repository over HTTP", serve},
		{"status", "DIR", "what was released, what the first device runs", status},
		{"fetch", "", "download a file, verified; running it again resumes", fetchFile},
	}, append(chunkCommands(), deltaCommands()...)...)
}

func chunkCommands() []command {
	return []command{
		{"chunk make", "IMAGE", "write the chunk digests and the index of an image", makeChunks},
		{"chunk info", "INDEX", "what an index (.caibx) says", chunkInfo},
		{"chunk verify", "IMAGE", "compare an image with its signed chunk digests", verifyChunks},
		{"chunk extract", "INDEX", "make an image out of chunks that other files hold", extractChunks},
	}
}

func deltaCommands() []command {
	return []command{
		{"delta make", "", "write the patch from one image to another", makeDelta},
		{"delta apply", "", "make an image out of another one and a patch", applyDelta},
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli.AddRules(device.TUFRules()...)
	cli.AddRules(cli.Rule{Err: product.ErrUntrusted, Name: "product.ErrUntrusted", Exit: cli.Refused,
		Next: "put the author's key back that devices were given, or give them the new one first"})
	if cli.WantsVersion(args) {
		asJSON := cli.WantsJSON(args)
		return cli.Main(ctx, stdout, stderr, asJSON, func(context.Context) error { return cli.PrintVersion(stdout, "firmctl", asJSON) })
	}
	if len(args) > 0 && args[0] == "manifest" {
		return manifestMain(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "repo" {
		return repoMain(ctx, args[1:], stdout, stderr)
	}
	asJSON := cli.WantsJSON(args)
	return cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		if len(args) == 0 || cli.WantsJSON(args[:1]) {
			usage(stderr)
			return cli.Usagef("no command given")
		}
		switch args[0] {
		case "-h", "--help", "help":
			usage(stdout)
			return nil
		}
		switch args[0] {
		case "chunk":
			return runGroup(ctx, "chunk", chunkCommands(), args[1:], asJSON, stdout, stderr)
		case "delta":
			return runGroup(ctx, "delta", deltaCommands(), args[1:], asJSON, stdout, stderr)
		}
		for _, c := range commands() {
			if c.name == args[0] {
				return c.call(ctx, args[1:], asJSON, stdout, stderr)
			}
		}
		usage(stderr)
		return cli.Usagef("firmctl has no command %q", args[0])
	})
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: firmctl COMMAND ... [--json]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-13s %-10s %s\n", c.name, c.args, c.what)
	}
	fmt.Fprintf(w, "  %-13s %-10s %s\n", "manifest", "COMMAND", "make, look into, verify and run SUIT envelopes: see firmctl manifest -h")
	fmt.Fprintf(w, "  %-13s %-10s %s\n", "repo", "COMMAND", "publish, delegate, rotate keys, sign by several people: see firmctl repo -h")
	fmt.Fprintln(w, "firmctl COMMAND -h shows a command's flags, firmctl --version what was built")
	fmt.Fprintln(w, exitCodes)
}

func (c command) call(ctx context.Context, args []string, asJSON bool, stdout, stderr io.Writer) error {
	k := &call{fs: flag.NewFlagSet("firmctl "+c.name, flag.ContinueOnError), json: asJSON, stdout: stdout, people: stdout}
	k.fs.SetOutput(stdout) // for -h; errors are printed in one place
	k.fs.Usage = func() {
		fmt.Fprintf(stdout, "usage: firmctl %s [flags]\n%s\n", strings.TrimSuffix(c.name+" "+c.args, " "), c.what)
		k.fs.PrintDefaults()
	}
	k.fs.Bool("json", false, "print one line of JSON on standard output; lines for people go to standard error")
	if asJSON {
		k.people = stderr
	}
	k.parse = func() (err error) {
		if k.args, err = cli.Parse(k.fs, args); err != nil {
			return err
		}
		want, many := len(strings.Fields(c.args)), strings.Contains(c.args, "...")
		if strings.HasSuffix(c.args, "...]") { // none is enough
			want--
		}
		if len(k.args) < want || len(k.args) > want && !many {
			return cli.Usagef("firmctl %s takes %s, got %q", c.name, cmp.Or(c.args, "flags only"), k.args)
		}
		return nil
	}
	return c.run(ctx, k)
}
