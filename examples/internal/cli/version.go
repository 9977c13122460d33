// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// WantsVersion looks for --version as the first argument: further on it may be a command's own flag.
func WantsVersion(args []string) bool {
	return len(args) > 0 && (args[0] == "--version" || args[0] == "-version")
}

// PrintVersion says what was built, of which source, with which Go and for what.
func PrintVersion(w io.Writer, name string, asJSON bool) error {
	v := version()
	if asJSON {
		return PrintJSON(w, struct {
			Result  string `json:"result"`
			Version string `json:"version"`
			Go      string `json:"go"`
			System  string `json:"system"`
		}{"ok", v, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
	}
	_, err := fmt.Fprintf(w, "%s %s, %s, %s/%s\n", name, v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the module's version as the go command found it, which names the commit; "(devel)" where it found none.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
