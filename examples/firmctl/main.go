// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command firmctl is the author's and operator's side: it makes a product folder with keys, repository and a first
// device, signs and publishes releases, and serves them.
//
//	firmctl init DIR                        make keys, a repository and a device folder
//	firmctl release DIR IMAGE --version V   sign and publish IMAGE as the next release
//	firmctl serve DIR                       serve the repository on http://127.0.0.1:8080
//	firmctl status DIR                      what was released, what the first device runs
//
// Every command takes --json. Exit codes: 0 ok, 1 refused by verification or policy, 2 usage, 3 network or disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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
	json   *bool
	stdout io.Writer
	people io.Writer // lines for people: standard output, or standard error with --json
	parse  func() error
}

func commands() []command {
	return []command{
		{"init", "DIR", "make keys, a repository and a device folder", initProduct},
		{"release", "DIR IMAGE", "sign and publish IMAGE as the next release", release},
		{"serve", "DIR", "serve the repository over HTTP", serve},
		{"status", "DIR", "what was released, what the first device runs", status},
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli.AddRules(device.TUFRules()...)
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" || args[0] == "help" {
		usage(stderr)
		if len(args) == 0 {
			return cli.Usage
		}
		return cli.OK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.call(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "usage: firmctl has no command %q\n", args[0])
	usage(stderr)
	return cli.Usage
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: firmctl COMMAND ... [--json]")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %-10s %s\n", c.name, c.args, c.what)
	}
	fmt.Fprintln(w, "firmctl COMMAND -h shows a command's flags")
}

func (c command) call(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	k := &call{fs: flag.NewFlagSet("firmctl "+c.name, flag.ContinueOnError), stdout: stdout}
	k.fs.SetOutput(stderr)
	k.fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: firmctl %s %s [flags]\n%s\n", c.name, c.args, c.what)
		k.fs.PrintDefaults()
	}
	k.json = k.fs.Bool("json", false, "print one line of JSON on standard output; lines for people go to standard error")
	want := len(strings.Fields(c.args))
	k.parse = func() error {
		var err error
		if k.args, err = interspersed(k.fs, args); err != nil {
			return err
		}
		if len(k.args) != want {
			return cli.Usagef("firmctl %s %s: %d arguments, want %d", c.name, c.args, len(k.args), want)
		}
		k.people = stdout
		if *k.json {
			k.people = stderr
		}
		return nil
	}
	return cli.Main(ctx, stdout, stderr, k.json, func(ctx context.Context) error {
		err := c.run(ctx, k)
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	})
}

// interspersed parses flags that stand before, between and after the arguments, which it returns.
func interspersed(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, cli.Usagef("%v", err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}
