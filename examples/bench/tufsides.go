// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/verify"
)

// Both sides do the same: a refresh over the repository's files, with a cache in a directory that lasts, and one look-up. They say what it
// took in a file.

type tufResult struct {
	Seconds float64 // from before the client is made to after the look-up
	Used    float64 // CPU seconds of that
	Bytes   int64   // that were asked of the repository
}

const tufMaxTargets = 1 << 30

// ourTUF is a child: REPO CACHE TARGET RESULT SEALED.
func ourTUF(ctx context.Context, args []string) error {
	repo, dir, target, result, sealed := args[0], args[1], args[2], args[3], args[4] == "sealed"
	root, err := os.ReadFile(filepath.Join(repo, "metadata", "1.root.json"))
	if err != nil {
		return err
	}
	remote := &countingRemote{Remote: client.DirRemote(os.DirFS(repo))}
	start, cpu := time.Now(), processCPU()
	cache, err := client.OpenDir(dir)
	if err != nil {
		return err
	}
	o := client.Options{Root: root, Remote: remote, Storage: cache, Now: time.Now, Limits: client.Limits{Targets: tufMaxTargets}}
	if sealed {
		if o.Seal, err = verify.NewMacer([]byte("a key that a device would keep in hardware")); err != nil {
			return err
		}
	}
	c, err := client.New(o)
	if err != nil {
		return err
	}
	if err := c.Refresh(ctx); err != nil {
		return err
	}
	if _, err := c.Target(ctx, target); err != nil {
		return err
	}
	return writeResult(result, tufResult{time.Since(start).Seconds(), (processCPU() - cpu).Seconds(), remote.n})
}

// countingRemote counts what it delivers, and streams.
type countingRemote struct {
	client.Remote
	n int64
}

func (r *countingRemote) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := r.Remote.Get(ctx, name, max)
	r.n += int64(len(data))
	return data, err
}

func (r *countingRemote) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := r.Remote.(client.Streamer).Open(ctx, name)
	return countingReader{f, &r.n}, err
}

type countingReader struct {
	io.ReadCloser
	n *int64
}

func (r countingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	*r.n += int64(n)
	return n, err
}

// goTUF is a child: REPO CACHE TARGET RESULT.
func goTUF(_ context.Context, args []string) error {
	repo, dir, target, result := args[0], args[1], args[2], args[3]
	root, err := os.ReadFile(filepath.Join(repo, "metadata", "1.root.json"))
	if err != nil {
		return err
	}
	fetcher := &dirFetcher{dir: repo}
	start, cpu := time.Now(), processCPU()
	cfg, err := config.New(fetcherURL+"metadata", root)
	if err != nil {
		return err
	}
	cfg.Fetcher, cfg.TargetsMaxLength = fetcher, tufMaxTargets
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = filepath.Join(dir, "metadata"), filepath.Join(dir, "targets")
	cfg.RemoteTargetsURL = fetcherURL + "targets"
	u, err := updater.New(cfg)
	if err != nil {
		return err
	}
	if err := u.Refresh(); err != nil {
		return err
	}
	if _, err := u.GetTargetInfo(target); err != nil {
		return err
	}
	return writeResult(result, tufResult{time.Since(start).Seconds(), (processCPU() - cpu).Seconds(), fetcher.n})
}

// dirFetcher serves the repository's files to go-tuf.
type dirFetcher struct {
	dir string
	n   int64
}

const fetcherURL = "memory:/"

func (f *dirFetcher) DownloadFile(url string, max int64, _ time.Duration) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(strings.TrimPrefix(url, fetcherURL))))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: 404, URL: url}
	}
	if err == nil && int64(len(data)) > max {
		err = fmt.Errorf("%s: more than %d bytes", url, max)
	}
	f.n += int64(len(data))
	return data, err
}

func writeResult(name string, r tufResult) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}
