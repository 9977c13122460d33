// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
)

func (c *command) refresh(ctx context.Context) error {
	return c.with(ctx, func(*client.Client) error { return nil })
}

func (c *command) download(ctx context.Context) error {
	return c.with(ctx, func(t *client.Client) error {
		for _, name := range c.targets {
			if err := c.target(ctx, t, name); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "tufclient: %s is in %s\n", name, c.targetDir)
		}
		return nil
	})
}

// with refreshes the metadata, calls f and shows what is trusted then, whatever came of it.
func (c *command) with(ctx context.Context, f func(*client.Client) error) error {
	t, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err = t.Refresh(ctx); err == nil {
		err = f(t)
	}
	return errors.Join(err, c.show())
}

func (c *command) open(ctx context.Context) (*client.Client, error) {
	root, err := os.ReadFile(filepath.Join(c.own(), "root.json"))
	if err != nil {
		return nil, err
	}
	cache, err := client.OpenDir(filepath.Join(c.own(), "cache"))
	if err != nil {
		return nil, err
	}
	now, err := c.clock(ctx)
	if err != nil {
		return nil, err
	}
	source := httpsource.New(nil)
	r := remote{}
	if r.metadata, err = fetch.NewRemote(fetch.Options{Source: escaped{source}}, c.metadataURL); err != nil {
		return nil, err
	}
	if c.targetURL != "" {
		if r.targets, err = fetch.NewRemote(fetch.Options{Source: source}, c.targetURL); err != nil {
			return nil, err
		}
	}
	return client.New(client.Options{
		Root: root, Remote: r, Storage: cache, Now: func() time.Time { return now },
		BuildTime: time.Unix(1, 0), // repositories of the past are to be read as of their time
		Limits:    client.Limits{Target: 64 << 20},
	})
}

// clock is the time, as faketime(1) has it if it is there.
func clock(ctx context.Context) (time.Time, error) {
	if os.Getenv("FAKETIME") == "" {
		return time.Now(), nil
	}
	out, err := exec.CommandContext(ctx, "date", "+%s").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("date: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return time.Unix(seconds, 0), err
}

// remote has metadata and targets below different URLs.
type remote struct{ metadata, targets *fetch.Remote }

func (r remote) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if rest, ok := strings.CutPrefix(name, "metadata/"); ok {
		return r.metadata.Get(ctx, rest, limit)
	}
	return r.targets.Get(ctx, strings.TrimPrefix(name, "targets/"), limit)
}

// escaped is a source of files whose names are percent-escaped already: whoever built the URI escaped the percent signs too.
type escaped struct{ fetch.Source }

func (e escaped) Open(ctx context.Context, uri string, offset int64, validator string) (*fetch.Stream, error) {
	return e.Source.Open(ctx, strings.ReplaceAll(uri, "%25", "%"), offset, validator)
}

// target brings one target into the target directory, under its name with the slashes escaped.
func (c *command) target(ctx context.Context, t *client.Client, name string) error {
	file, err := t.Target(ctx, name)
	if err != nil {
		return err
	}
	path := filepath.Join(c.targetDir, url.PathEscape(name))
	if old, err := os.Open(path); err == nil {
		same := file.Copy(io.Discard, old)
		if err := errors.Join(same, old.Close()); err == nil {
			return nil
		}
	}
	temp, err := os.CreateTemp(c.targetDir, ".unverified-") // the metadata may be on another file system
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }() // it has another name if all went well
	err = t.Download(ctx, file, temp)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// show copies what the cache holds to NAME.json in the metadata directory, and removes what is no longer there.
func (c *command) show() error {
	cache := filepath.Join(c.own(), "cache")
	shown := map[string]string{}
	newest := 0
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if version, ok := strings.CutSuffix(name, "."+tuf.RoleRoot.Filename()); ok {
			if n, err := strconv.Atoi(version); err == nil && n > newest {
				newest, shown[tuf.RoleRoot.Filename()] = n, name
			}
		} else if strings.HasSuffix(name, ".json") {
			shown[name] = name
		}
	}
	old, err := filepath.Glob(filepath.Join(c.metadataDir, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if name := filepath.Base(path); shown[name] == "" && name != tuf.RoleRoot.Filename() {
			err = errors.Join(err, os.Remove(path))
		}
	}
	for name, from := range shown {
		data, readErr := os.ReadFile(filepath.Join(cache, from))
		if errors.Is(readErr, fs.ErrNotExist) {
			continue
		}
		err = errors.Join(err, readErr)
		if readErr == nil {
			err = errors.Join(err, os.WriteFile(filepath.Join(c.metadataDir, name), data, 0o644))
		}
	}
	return err
}
