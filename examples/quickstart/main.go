// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command quickstart shows one firmware update from the author's keys to a confirmed device, with a connection that
// breaks, a process that is killed, a bad release that goes back by itself, and four attacks that are refused.
//
//	quickstart [--old A --new B] [--dir DIR] [--json]
//
// Without arguments it updates OpenSBI 1.5.1 to 1.6, a real RISC-V boot firmware. If qemu-system-riscv64 is installed, a
// virtual machine boots each slot, and health is the firmware's banner on the serial line; otherwise the boot loader is
// simulated. Everything happens in DIR, by default a temporary folder that is removed, and on the loopback interface.
//
// Exit codes: 0 all steps held, 1 a step did not hold, 2 usage, 3 network or disk.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/examples/internal/device"
)

// agentArg, as the first argument, makes this program the device's agent: the process that is killed.
const agentArg = "agent-process"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cli.AddRules(device.TUFRules()...)
	cli.AddRules(cli.Rule{Err: errStep, Name: "quickstart.step", Exit: cli.Refused, Next: "this should have held; please report it"})
	if len(args) == 2 && args[0] == agentArg {
		return runAgent(ctx, args[1], stdout, stderr)
	}
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stdout) // for -h; errors are printed in one place
	oldName := flags.String("old", "", "image the device leaves the factory with")
	newName := flags.String("new", "", "image it is updated to")
	dir := flags.String("dir", "", "folder to work in and keep; it must be absent or empty")
	flags.Bool("json", false, "print a machine-readable summary as the last line")
	flags.Usage = func() {
		fmt.Fprintln(stdout, "usage: quickstart [--old A --new B] [--dir DIR] [--json]\nshow one firmware update, end to end")
		flags.PrintDefaults()
	}
	asJSON := cli.WantsJSON(args)
	return cli.Main(ctx, stdout, stderr, asJSON, func(ctx context.Context) error {
		rest, err := cli.Parse(flags, args)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return cli.Usagef("unexpected argument %q: quickstart takes flags only", rest[0])
		}
		pair, err := images(*oldName, *newName)
		if err != nil {
			return err
		}
		work, remove, err := workDir(*dir)
		if err != nil {
			return err
		}
		s := &story{out: stdout, progress: stderr, dir: work, pair: pair}
		err = errors.Join(s.tell(ctx), remove())
		if err != nil {
			return err
		}
		if asJSON {
			return cli.PrintJSON(stdout, s.summary)
		}
		return nil
	})
}

// workDir returns the folder to work in and what to do with it in the end.
func workDir(dir string) (string, func() error, error) {
	if dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", nil, cli.Usagef("--dir: want a new or empty folder: %w", err)
		}
		if len(entries) > 0 {
			return "", nil, cli.Usagef("--dir: %s is not empty (it has %s), want a new or empty folder", dir, entries[0].Name())
		}
		return dir, func() error { return nil }, nil
	}
	tmp, err := os.MkdirTemp("", "firmament-quickstart-")
	if err != nil {
		return "", nil, err
	}
	return tmp, func() error { return os.RemoveAll(tmp) }, nil
}

// runAgent is one cycle of the agent on dir, with its outcome as JSON.
func runAgent(ctx context.Context, dir string, stdout, stderr io.Writer) int {
	return cli.Main(ctx, stdout, io.Discard, true, func(ctx context.Context) error {
		res, err := device.Cycle(ctx, dir, device.Options{}, stderr)
		if err != nil {
			return err
		}
		return cli.PrintJSON(stdout, res)
	})
}

var errStep = fmt.Errorf("step did not hold")
