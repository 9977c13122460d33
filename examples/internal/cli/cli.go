// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is what the example commands have in common: exit codes, refusals that say what to do next, one line of
// JSON for machines, and a progress bar for people.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Exit codes of every command. What people write, such as flags, configuration, keys and images, is Usage when it is wrong.
// What the programs write, such as slots, boot record and journal, is Trouble.
const (
	OK      = 0
	Refused = 1 // by verification, policy or the health check
	Usage   = 2
	Trouble = 3 // network or disk
)

// Errors of the commands themselves.
var (
	// ErrUsage marks a command line that cannot be understood.
	ErrUsage = errors.New("usage")
	// ErrInput marks a file that is not what a command needs.
	ErrInput = errors.New("input")
	// ErrDamaged marks a file that the programs wrote, and that is not as they left it.
	ErrDamaged = errors.New("damaged")
)

// A marked error is found as its kind, but does not say it: Explain does.
type marked struct {
	error
	kind error
}

func (m marked) Unwrap() []error { return []error{m.error, m.kind} }

// Mark returns err, which errors.Is then finds as kind, too.
func Mark(err, kind error) error { return marked{err, kind} }

// Usagef returns an ErrUsage with a message.
func Usagef(format string, args ...any) error { return marked{fmt.Errorf(format, args...), ErrUsage} }

// Inputf returns an ErrInput with a message, which names the file and says what was expected.
func Inputf(format string, args ...any) error { return marked{fmt.Errorf(format, args...), ErrInput} }

// Damagedf returns an ErrDamaged with a message.
func Damagedf(format string, args ...any) error {
	return marked{fmt.Errorf(format, args...), ErrDamaged}
}

// Main runs a command, reports its error if it has one, and returns its exit code. flag.ErrHelp is none.
func Main(ctx context.Context, stdout, stderr io.Writer, asJSON bool, run func(context.Context) error) int {
	err := run(ctx)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return OK
	}
	return Report(stdout, stderr, asJSON, err)
}

// Report prints err on stderr as the sentinel's name, the cause and what to do next, and with asJSON as one line on stdout
// as well. It returns the exit code.
func Report(stdout, stderr io.Writer, asJSON bool, err error) int {
	e := Explain(err)
	if asJSON {
		_ = PrintJSON(stdout, e)
	}
	fmt.Fprintf(stderr, "%s: %s\n", e.Error, e.Cause)
	if e.Next != "" {
		fmt.Fprintf(stderr, "next: %s\n", e.Next)
	}
	return e.Exit
}

// PrintJSON prints v as one line.
func PrintJSON(w io.Writer, v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
