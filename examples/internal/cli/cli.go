// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package cli is what the example commands have in common: exit codes, refusals that say what to do next, one line of
// JSON for machines, and a progress bar for people.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Exit codes of every command.
const (
	OK      = 0
	Refused = 1 // by verification or policy
	Usage   = 2
	Trouble = 3 // network or disk
)

// ErrUsage marks a command line that cannot be understood.
var ErrUsage = errors.New("usage")

// Usagef returns an ErrUsage with a message.
func Usagef(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrUsage)
}

// Main runs a command and returns its exit code. It prints err, if any, on stderr as the sentinel's name, the cause and
// what to do next; with asJSON it prints one line on stdout instead.
func Main(ctx context.Context, stdout, stderr io.Writer, asJSON *bool, run func(context.Context) error) int {
	err := run(ctx)
	if err == nil {
		return OK
	}
	e := Explain(err)
	if *asJSON {
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
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// ReadFile reads a file that the user named, at most limit bytes. A directory, or a larger file, is ErrUsage.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, size, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, Usagef("%s has %d bytes, at most %d are read", path, size, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// OpenFile opens a regular file that the user named, and returns its size.
func OpenFile(path string) (*os.File, int64, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, Usagef("%s: no such file", path)
	}
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, Usagef("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	return f, st.Size(), err
}
