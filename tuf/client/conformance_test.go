// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/clienttest"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// TestM1_Conformance: every question of the public conformance suite, asked of this package. examples/tufclient asks them over a command line.
func TestM1_Conformance(t *testing.T) {
	clienttest.Test(t, newInstallation)
}

// TestM1_ConformanceSealed asks them of a client that does not verify again what it verified, and holds no file in memory that it can stream.
func TestM1_ConformanceSealed(t *testing.T) {
	clienttest.Test(t, func(t testing.TB, root []byte, repo *tuftest.Repo) (clienttest.Client, error) {
		i, err := newInstallation(t, root, repo)
		o := &i.(*installation).o
		o.Seal, o.Remote, o.Limits.Memory = testkeys.Macer(1), tuftest.Streaming{Repo: repo}, 1
		return i, err
	})
}

// installation is a client whose every command is a new process on the same medium.
type installation struct {
	t       testing.TB
	o       client.Options
	targets map[string][]byte
}

func newInstallation(t testing.TB, root []byte, repo *tuftest.Repo) (clienttest.Client, error) {
	i := &installation{t: t, targets: map[string][]byte{}, o: client.Options{
		Root: root, Remote: repo, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return repo.Now }, BuildTime: time.Unix(1, 0),
	}}
	_, err := client.New(i.o)
	return i, err
}

func (i *installation) Refresh(ctx context.Context) error {
	c, err := client.New(i.o)
	if err != nil {
		return err
	}
	return c.Refresh(ctx)
}

func (i *installation) Download(ctx context.Context, names ...string) error {
	c, err := client.New(i.o)
	if err != nil {
		return err
	}
	if err := c.Refresh(ctx); err != nil {
		return err
	}
	for _, name := range names {
		file, err := c.Target(ctx, name)
		if err != nil {
			return err
		}
		if have, ok := i.targets[name]; ok && file.Copy(io.Discard, bytes.NewReader(have)) == nil {
			continue
		}
		var b bytes.Buffer
		if err := c.Download(ctx, file, &b); err != nil {
			return err
		}
		i.targets[name] = b.Bytes()
	}
	return nil
}

// Trusted reads the cache as the package comment describes it.
func (i *installation) Trusted() map[string][]byte {
	files, err := i.o.Storage.ReadDir(".")
	if err != nil {
		i.t.Fatal(err)
	}
	trusted := map[string][]byte{"root": i.o.Root}
	newest := 0
	for _, file := range files {
		role, ok := strings.CutSuffix(file, ".json")
		if !ok {
			continue
		}
		if version, ok := strings.CutSuffix(role, ".root"); ok {
			if n, err := strconv.Atoi(version); err != nil || n < newest {
				continue
			} else {
				newest, role = n, "root"
			}
		}
		if trusted[role], err = durable.ReadFile(i.o.Storage, file, 1<<20); err != nil {
			i.t.Fatal(err)
		}
	}
	return trusted
}

func (i *installation) Targets() (list [][]byte) {
	for _, data := range i.targets {
		list = append(list, data)
	}
	return list
}
