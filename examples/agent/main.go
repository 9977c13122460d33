// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command agent keeps the device in a device folder up to date: see "firmctl init" for how to make one.
//
//	agent --dir DIR --once     one cycle: finish what a cut left, decide over an image on trial, or look for an update
//	agent --dir DIR            the same, again and again
//	agent --dir DIR --status   says what the device runs, without network
//
// Built with -tags suitonly it links no TUF, looks for bare SUIT envelopes, and has less than 7.5 MB:
//
//	CGO_ENABLED=0 go build -tags suitonly -trimpath -ldflags="-s -w" ./examples/agent
//
// With -tags smalljson,nodelta it has TUF and less than 8 MB; deltas take 0.7 MB. The tag nethttpomithttp2 takes off another 0.4 MB. HTTP/2 has nothing to offer to one download at a time.
// An agent with keys for encrypted payloads has 0.1 MB more.
//
// Exit codes: 0 ok, 1 refused by verification, policy or the health check, 2 usage, 3 network or disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
)

func main() {
	// What an update leaves as garbage is little. By default it would lie around until the heap has 4 MB; with this, 1 MB.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli.AddRules(cli.Rule{Err: device.ErrUnhealthy, Name: "device.ErrUnhealthy", Exit: cli.Refused, Next: "reboot into what ran before, then publish a release that works"})
	a := agent{fs: flag.NewFlagSet("agent", flag.ContinueOnError), stdout: stdout, people: stdout, stderr: stderr, json: cli.WantsJSON(args)}
	a.fs.SetOutput(stdout) // for -h; errors are printed in one place
	a.fs.Usage = a.usage
	a.fs.StringVar(&a.dir, "dir", "", "device folder, or the folder that firmctl init made (required)")
	a.fs.BoolVar(&a.once, "once", false, "one cycle, then exit")
	a.fs.BoolVar(&a.status, "status", false, "print the state and exit; changes nothing")
	a.fs.StringVar(&a.server, "server", "", "URL of the repository, instead of the one in device.json")
	a.fs.Int64Var(&a.maxBytes, "max-bytes", 0, "bytes that one cycle may download for an image, chunk digests included, instead of what device.json says; 0 is no limit. The cheapest way, such as a delta, has to fit as a whole: what does not is not begun")
	a.fs.DurationVar(&a.every, "every", 10*time.Minute, "time between cycles, without --once")
	a.fs.Bool("version", false, "say what was built, and exit")
	a.fs.Bool("json", false, "print one line of JSON on standard output; lines for people go to standard error")
	if a.json {
		a.people = stderr
	}
	return cli.Main(ctx, stdout, stderr, a.json, func(ctx context.Context) error {
		if cli.WantsVersion(args) {
			return cli.PrintVersion(stdout, "agent", a.json)
		}
		return a.run(ctx, args)
	})
}

// An agent is one command line.
type agent struct {
	fs                     *flag.FlagSet
	dir, server            string
	once, status, json     bool
	maxBytes               int64
	every                  time.Duration
	stdout, people, stderr io.Writer
}

func (a *agent) usage() {
	fmt.Fprintln(a.stdout, "usage: agent --dir DIR [--once | --status] [flags]\nkeep the device in a device folder up to date")
	a.fs.PrintDefaults()
}

func (a *agent) run(ctx context.Context, args []string) error {
	rest, err := cli.Parse(a.fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return cli.Usagef("unexpected argument %q: agent takes flags only", rest[0])
	case a.dir == "":
		return cli.Usagef("--dir is missing, want a device folder")
	case a.maxBytes < 0:
		return cli.Usagef("--max-bytes is %d, want 0 or more", a.maxBytes)
	case a.every < time.Second:
		return cli.Usagef("--every is %v, want 1s or more", a.every)
	case a.once && a.status:
		return cli.Usagef("--once and --status exclude each other")
	}
	folder := device.Find(a.dir)
	if a.status {
		res, err := device.Describe(ctx, folder)
		if err != nil {
			return err
		}
		return a.show(res)
	}
	last := ""
	o := device.Options{Server: a.server, MaxBytes: a.maxBytes}
	for ; ; o.Again = true {
		res, err := device.Cycle(ctx, folder, o, a.people)
		if err == nil && (a.json || res.Line() != last) { // people need not read every ten minutes that nothing has changed
			last = res.Line()
			err = a.show(res)
		}
		if a.once || errors.Is(err, cli.ErrUsage) || errors.Is(err, cli.ErrInput) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			cli.Report(a.stdout, a.stderr, a.json, err)
		}
		// Up to a tenth more, so that a fleet does not ask in step.
		wait := a.every + rand.N(a.every/10)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (a *agent) show(res device.Outcome) error {
	if a.json {
		return cli.PrintJSON(a.stdout, res)
	}
	_, err := fmt.Fprintln(a.people, res.Line())
	if err == nil && a.status && res.Way != "" {
		_, err = fmt.Fprintf(a.people, "release %d was downloaded: %s (%s)\n", res.Sequence, cli.Bytes(res.Network), res.Way)
	}
	if err == nil && res.Reboot {
		_, err = fmt.Fprintln(a.people, "next: reboot (with a simulated boot loader: run the agent again)")
	}
	return err
}
