// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Command small is what bench measures when it measures downloads and patches. It is a program of its own, since a program's code counts as its
// memory, and its start as its time, and bench has everything in it.
//
//	small fetch FLAGS                 downloads as a device does: each chunk verified before it is written, checkpoints on disk
//	small update FLAGS                the same, with an image at hand that has some of the chunks
//	small delta-make OLD NEW PATCH X  makes a patch, "bounded" or not; delta-apply OLD PATCH OUT applies it
//	small chunk-make OLD NEW PATCH    makes an index and a chunk store; chunk-apply OLD URL OUT builds the image from there
//	small receive URL                 only receives
//	small hash SIZE                   only hashes
//	small write|write-direct SIZE OUT only writes, and syncs at the end
//	small run COMMAND ARGUMENTS       runs a command, and tells on its last line what it cost
//
// A process is born with the peak memory of the one that started it, so with run in between that is next to nothing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/childcost"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	verbs := map[string]func(ctx context.Context, args []string) error{
		"fetch": fetchPayload, "update": update, "receive": receive, "hash": hash,
		"delta-make": deltaMake, "delta-apply": deltaApply, "chunk-make": chunkMake, "chunk-apply": chunkApply,
		"write":        func(_ context.Context, args []string) error { return write(args, false) },
		"write-direct": func(_ context.Context, args []string) error { return write(args, true) },
		"run":          run,
	}
	if len(os.Args) < 3 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "small: started by bench only, see its package comment")
		os.Exit(2)
	}
	err := verbs[os.Args[1]](ctx, os.Args[2:])
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "small: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// run is the verb of that name.
func run(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	start := time.Now()
	err := cmd.Run()
	c := childcost.Of(cmd.ProcessState, time.Since(start))
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(c))
}
