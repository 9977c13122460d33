// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command agent keeps the device in a device folder up to date: see "firmctl init" for how to make one.
//
//	agent --dir DIR --once     one cycle: finish what a cut left, decide over an image on trial, or look for an update
//	agent --dir DIR            the same, again and again
//	agent --dir DIR --status   says what the device runs, without network
//
// Built with -tags suitonly it links no TUF and looks for bare SUIT envelopes.
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
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("agent", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("dir", "", "device folder, or the folder that firmctl init made (required)")
	once := fs.Bool("once", false, "one cycle, then exit")
	status := fs.Bool("status", false, "print the state and exit; changes nothing")
	asJSON := fs.Bool("json", false, "print one line of JSON on standard output; lines for people go to standard error")
	server := fs.String("server", "", "URL of the repository, instead of the one in device.json")
	every := fs.Duration("every", 10*time.Minute, "time between cycles, without -once")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Usage
	}
	people := stdout
	if *asJSON {
		people = stderr
	}
	return cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		switch {
		case *dir == "":
			return cli.Usagef("--dir is missing")
		case fs.NArg() > 0:
			return cli.Usagef("unexpected argument %q", fs.Arg(0))
		case *every < time.Second:
			return cli.Usagef("--every %v is below 1s", *every)
		}
		folder := device.Find(*dir)
		if *status {
			res, err := device.Describe(ctx, folder)
			if err != nil {
				return err
			}
			return show(stdout, *asJSON, res)
		}
		for {
			res, err := device.Cycle(ctx, folder, device.Options{Server: *server}, people)
			if err == nil {
				err = show(stdout, *asJSON, res)
			}
			if *once {
				return err
			}
			if err != nil {
				e := cli.Explain(err)
				fmt.Fprintf(stderr, "%s: %s\n", e.Error, e.Cause)
			}
			// Up to a tenth more, so that a fleet does not ask in step.
			wait := *every + rand.N(*every/10)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
		}
	})
}

func show(w io.Writer, asJSON bool, res device.Outcome) error {
	if asJSON {
		return cli.PrintJSON(w, res)
	}
	_, err := fmt.Fprintf(w, "%s: slot %s runs, release %d is confirmed, state %s\n", res.Result, res.Slot, res.Accepted, res.State)
	if err == nil && res.Reboot {
		_, err = fmt.Fprintln(w, "next: reboot (here: run the agent again)")
	}
	return err
}
