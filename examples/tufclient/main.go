// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command tufclient is a TUF client for the command line that the public conformance suite theupdateframework/tuf-conformance drives. It is
// tuf/client over fetch/httpsource, and nothing of its own that verifies.
//
//	tufclient --metadata-dir DIR init ROOT
//	tufclient --metadata-dir DIR --metadata-url URL refresh
//	tufclient --metadata-dir DIR --metadata-url URL --target-name NAME… --target-base-url URL --target-dir DIR download
//
// The metadata directory holds what is trusted, as NAME.json. These are copies: the client's own files are below it, in "client".
// Targets that are there already, with the right digests, are not downloaded again.
//
// Under faketime(1), which does not reach Go programs, the time is the one that date(1) tells.
//
// Exit codes: 0 ok, 1 anything else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], clock); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tufclient:", err)
		os.Exit(1)
	}
}

// A command is one command line.
type command struct {
	clock                    func(context.Context) (time.Time, error)
	metadataDir, metadataURL string
	targetDir, targetURL     string
	targets                  []string
}

func run(ctx context.Context, args []string, clock func(context.Context) (time.Time, error)) error {
	c := command{clock: clock}
	fs := flag.NewFlagSet("tufclient", flag.ContinueOnError)
	fs.SetOutput(os.Stderr)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: tufclient flags (init ROOT | refresh | download)")
		fs.PrintDefaults()
	}
	fs.StringVar(&c.metadataDir, "metadata-dir", "", "directory of the trusted metadata (required)")
	fs.StringVar(&c.metadataURL, "metadata-url", "", "URL of the repository's metadata")
	fs.StringVar(&c.targetDir, "target-dir", "", "directory for downloaded targets")
	fs.StringVar(&c.targetURL, "target-base-url", "", "URL of the repository's targets")
	fs.Func("target-name", "target path to download; may be repeated", func(s string) error {
		c.targets = append(c.targets, s)
		return nil
	})
	rest, err := cli.Parse(fs, args)
	switch {
	case err != nil:
		return err
	case c.metadataDir == "":
		return cli.Usagef("--metadata-dir is missing")
	case len(rest) == 2 && rest[0] == "init":
		return c.init(rest[1])
	case len(rest) != 1 || rest[0] != "refresh" && rest[0] != "download":
		return cli.Usagef("seen %q, want init ROOT, refresh or download", rest)
	case c.metadataURL == "":
		return cli.Usagef("--metadata-url is missing")
	case rest[0] == "refresh":
		return c.refresh(ctx)
	case len(c.targets) == 0 || c.targetDir == "" || c.targetURL == "":
		return cli.Usagef("download needs --target-name, --target-dir and --target-base-url")
	}
	return c.download(ctx)
}

// own is the directory of the client's own files: the root that it was given, and its cache.
func (c *command) own() string { return filepath.Join(c.metadataDir, "client") }

func (c *command) init(root string) error {
	data, err := os.ReadFile(root)
	if err == nil {
		err = os.MkdirAll(filepath.Join(c.own(), "cache"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.own(), "root.json"), data, 0o644)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(c.metadataDir, "root.json"), data, 0o644)
	}
	return err
}
