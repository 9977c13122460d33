// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !suitonly

package device

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/firmament-dev/firmament"
	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
)

// buildTime is when this agent was built, more or less: no device that runs it has a right clock before.
var buildTime = time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)

// newFinder returns a TUF client, or, for a device without a trusted root, one that fetches the envelope alone.
func newFinder(dir string, c Config, state install.Storage, o fetch.Options, base string) (firmament.Finder, error) {
	if c.Root == "" {
		return suitFinder(o, base)
	}
	name := filepath.Join(dir, c.Root)
	root, err := cli.ReadFile(name, maxRoot, "the trusted TUF root metadata")
	if err != nil {
		return nil, err
	}
	if err := state.Mkdir("tuf"); err != nil {
		return nil, err
	}
	cache, err := client.OpenDir(filepath.Join(dir, "state", "tuf"))
	if err != nil {
		return nil, err
	}
	remote, err := fetch.NewRemote(o, base)
	if err != nil {
		return nil, err
	}
	finder, err := client.New(client.Options{Root: root, Remote: remote, Storage: cache, Now: time.Now, BuildTime: buildTime})
	if errors.Is(err, tuf.ErrCache) {
		return nil, err
	}
	if err != nil {
		return nil, cli.Inputf("%s: %w; want the trusted TUF root metadata", name, err)
	}
	return finder, nil
}
