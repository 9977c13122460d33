// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/firmament-dev/firmament/examples/internal/cli"
)

// runGroup runs "firmctl GROUP VERB ...", where the commands are named with both words.
func runGroup(ctx context.Context, group string, commands []command, args []string, asJSON bool, stdout, stderr io.Writer) error {
	if len(args) == 0 || cli.WantsJSON(args[:1]) {
		groupUsage(stderr, group, commands)
		return cli.Usagef("firmctl %s: no command given", group)
	}
	switch args[0] {
	case "-h", "--help", "help":
		groupUsage(stdout, group, commands)
		return nil
	}
	for _, c := range commands {
		if c.name == group+" "+args[0] {
			return c.call(ctx, args[1:], asJSON, stdout, stderr)
		}
	}
	groupUsage(stderr, group, commands)
	return cli.Usagef("firmctl %s has no command %q", group, args[0])
}

// exitCodes is what every command's exit status says.
const exitCodes = "exit status: 0 ok, 1 refused by verification or policy, 2 usage, or a name or file that does not fit, 3 network or disk"

func groupUsage(w io.Writer, group string, commands []command) {
	width := 0
	for _, c := range commands {
		width = max(width, len(c.args))
	}
	fmt.Fprintf(w, "usage: firmctl %s COMMAND ... [--json]\n", group)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-8s %-*s %s\n", strings.TrimPrefix(c.name, group+" "), width+1, c.args, c.what)
	}
	fmt.Fprintf(w, "firmctl %s COMMAND -h shows a command's flags\n%s\n", group, exitCodes)
}
