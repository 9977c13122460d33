// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/childcost"
)

// childVerb makes bench run one of its children instead of suites.
const childVerb = "--child"

// peakLine is how a child of ours says its own peak resident set, at its end.
const peakLine = "bench: peak resident set: "

type cost = childcost.Cost

// measure runs a program to its end. An exit status other than 0 is an error that carries what it printed.
func measure(ctx context.Context, name string, args ...string) (cost, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	err := cmd.Run()
	c := childcost.Of(cmd.ProcessState, time.Since(start))
	// A process inherits the peak of the one that started it, bench's: one of ours says its own. For others it is a floor.
	if _, own, ok := bytes.Cut(said.Bytes(), []byte(peakLine)); ok {
		fmt.Sscan(string(own), &c.RSS) // what cannot be read leaves the floor
	}
	if err != nil {
		return c, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(said.Bytes()))
	}
	return c, nil
}

// measureSelf runs one of bench's children as measure does.
func measureSelf(ctx context.Context, child string, args ...string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	return measure(ctx, self, append([]string{childVerb, child}, args...)...)
}

// installed says whether a program is there; otherwise a note says which Debian package brings it.
func (r *report) installed(program, debian string) bool {
	if _, err := exec.LookPath(program); err != nil {
		r.notef("no row for %s: apt-get install %s", program, debian)
		return false
	}
	return true
}
