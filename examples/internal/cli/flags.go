// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Parse parses flags that stand before, between and after the arguments, which it returns. For -h it prints fs's usage and
// returns flag.ErrHelp; what it cannot parse is ErrUsage.
func Parse(fs *flag.FlagSet, args []string) ([]string, error) {
	help, out := fs.Usage, fs.Output()
	fs.Usage = func() {} // errors are printed in one place
	fs.SetOutput(io.Discard)
	defer func() { fs.Usage = help; fs.SetOutput(out) }()
	var rest []string
	for {
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(out)
			help()
			return nil, err
		} else if err != nil {
			return nil, Usagef("%w", err)
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		if n := len(args) - fs.NArg(); n > 0 && args[n-1] == "--" {
			return append(rest, fs.Args()...), nil
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// WantsJSON looks for --json, so that it counts even if the rest of args cannot be parsed.
func WantsJSON(args []string) bool {
	return slices.ContainsFunc(args, func(arg string) bool {
		name, value, has := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if name != "json" || !strings.HasPrefix(arg, "-") {
			return false
		}
		on, err := strconv.ParseBool(value)
		return !has || err == nil && on
	})
}

// Command returns how to start the command name, in the way this one was started.
func Command(name string) string {
	self := os.Args[0]
	switch {
	case strings.Contains(filepath.ToSlash(self), "/go-build"):
		return "go run ./examples/" + name
	case filepath.Base(self) == self:
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
