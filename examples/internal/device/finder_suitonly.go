// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build suitonly

package device

import (
	"path/filepath"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
)

// newFinder of an agent that links no TUF refuses a device that was provisioned with a trusted root.
func newFinder(dir string, c Config, _ install.Storage, o fetch.Options, base string) (firmament.Finder, error) {
	if c.Root != "" {
		return nil, cli.Inputf("%s: tuf_root is set, but this agent was built with -tags suitonly", filepath.Join(dir, ConfigName))
	}
	return suitFinder(o, base)
}
