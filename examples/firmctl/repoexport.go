// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/firmament-dev/firmament/examples/internal/cli"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/client/bundle"
)

// exportBundle writes a bundle and reads it as a device does before it gets its name.
func exportBundle(ctx context.Context, c *call) error {
	out := c.fs.String("out", "", "file for the bundle, a zip archive (required)")
	from := c.fs.Int64("from", 1, "version of the root that the oldest device holds")
	var targets list
	c.fs.Var(&targets, "target", "target path to take along; may be given several times (default: all)")
	if err := c.parse(); err != nil {
		return err
	}
	if *out == "" {
		return cli.Usagef("firmctl repo export needs --out FILE")
	}
	r, err := openRepo(ctx, c.args[0], "")
	if err != nil {
		return err
	}
	names, payloads, err := r.selected(ctx, targets)
	if err != nil {
		return err
	}
	root, _, err := r.files.Get(ctx, fmt.Sprintf("metadata/%d.root.json", *from), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return cli.Usagef("--from is %d, and there is no such root", *from)
	}
	if err != nil {
		return err
	}
	d, err := newDraft(*out)
	if err != nil {
		return err
	}
	defer d.drop()
	err = withClient(root, client.DirRemote(os.DirFS(r.dir)), func(cl *client.Client) error {
		z := zip.NewWriter(d)
		return errors.Join(cl.Export(ctx, z, client.Export{Targets: names, Payloads: payloads}), z.Close())
	})
	if err != nil {
		return err
	}
	fi, err := d.Stat()
	if err != nil {
		return err
	}
	archive, err := bundle.Open(d, fi.Size())
	if err != nil {
		return err
	}
	err = withClient(root, archive, func(cl *client.Client) error {
		for _, name := range names {
			if _, err := cl.Find(ctx, name); err != nil {
				return fmt.Errorf("the bundle is not good: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.commit(); err != nil {
		return err
	}
	return c.say(map[string]any{"result": "ok", "file": *out, "bytes": fi.Size(), "targets": names, "payloads": payloads},
		"wrote %s, %d bytes: %d targets, %d payloads", *out, fi.Size(), len(names), len(payloads))
}

// selected returns the targets asked for, or all, and the payloads of theirs that are there.
func (r *repo) selected(ctx context.Context, asked []string) (names, payloads []string, err error) {
	names, payloads = []string{}, []string{}
	err = r.Walk(ctx, func(_ tuf.Role, t *tuf.Targets, err error) error {
		if err != nil {
			return err
		}
		for f, err := range t.All() {
			if err != nil {
				return err
			}
			if len(asked) > 0 && !slices.Contains(asked, f.Path) || slices.Contains(names, f.Path) {
				continue
			}
			names = append(names, f.Path)
			at, err := f.Filename(true)
			if err != nil {
				return err
			}
			data, _, err := r.files.Get(ctx, "targets/"+at, maxFile)
			if err != nil {
				return err
			}
			refers, err := payloadsOf(f, data)
			if err != nil {
				return err
			}
			for _, name := range refers {
				name = "payloads/" + name
				if _, err := os.Stat(r.path(name)); err == nil && !slices.Contains(payloads, name) {
					payloads = append(payloads, name)
				}
			}
		}
		return nil
	})
	for _, name := range asked {
		if err == nil && !slices.Contains(names, name) {
			err = byUser(fmt.Errorf("%w: %.200q", tuf.ErrTargetUnknown, name))
		}
	}
	return names, payloads, err
}

// withClient runs f with a client that has an empty cache.
func withClient(root []byte, remote client.Remote, f func(*client.Client) error) (err error) {
	dir, err := os.MkdirTemp("", "firmctl-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cache, err := client.OpenDir(dir)
	if err != nil {
		return err
	}
	c, err := client.New(client.Options{Root: root, Remote: remote, Storage: cache, Now: time.Now})
	if err != nil {
		return err
	}
	return f(c)
}
