// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// pair is this package's client and go-tuf's, each with a cache that lasts, before one server. Every look-up is a new process of both.
type pair struct {
	t    testing.TB
	repo *tuftest.Repo // served now; a test changes it
	root []byte
	dir  string
	fsys simfs.FS
	seal verify.Macer // of tuf/client, nil for none
}

func newPair(t testing.TB, root []byte, repo *tuftest.Repo) *pair {
	return &pair{t: t, repo: repo, root: root, dir: t.TempDir(), fsys: simfs.NewSim(simfs.Options{}).FS()}
}

// Get serves tuf/client.
func (p *pair) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	return p.repo.Get(ctx, name, max)
}

const pairURL = "http://repo.example/"

// DownloadFile serves go-tuf.
func (p *pair) DownloadFile(name string, max int64, _ time.Duration) ([]byte, error) {
	resp, err := (&http.Client{Transport: p.repo}).Get(name)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: resp.StatusCode, URL: name}
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err == nil && int64(len(data)) > max {
		err = &metadata.ErrDownloadLengthMismatch{Msg: name}
	}
	return data, err
}

// find looks a target up with both.
func (p *pair) find(name string) (ours, theirs answer) {
	c, err := client.New(client.Options{
		Root: p.root, Remote: p, Storage: p.fsys, Seal: p.seal, Now: func() time.Time { return p.repo.Now }, BuildTime: tuftest.Start.AddDate(-1, 0, 0),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	data, err := c.Find(p.t.Context(), name)
	ours = answer{string(data), err}
	data, err = p.other(name)
	return ours, answer{string(data), err}
}

func (p *pair) other(name string) (data []byte, err error) {
	err = p.otherClient(func(u *updater.Updater) error {
		info, err := u.GetTargetInfo(name)
		if err != nil {
			return err
		}
		_, data, err = u.DownloadTarget(info, filepath.Join(p.dir, "target"), "")
		return err
	})
	return data, err
}

// otherClient refreshes with go-tuf, and then uses it.
func (p *pair) otherClient(use func(*updater.Updater) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	cache := filepath.Join(p.dir, "metadata")
	root, err := os.ReadFile(filepath.Join(cache, "root.json")) // the caller hands back the root that was trusted last
	if errors.Is(err, fs.ErrNotExist) {
		root, err = p.root, nil
	}
	if err != nil {
		return err
	}
	cfg, err := config.New(pairURL+"metadata", root)
	if err != nil {
		return err
	}
	cfg.Fetcher = p
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = cache, filepath.Join(p.dir, "targets")
	cfg.RemoteTargetsURL = pairURL + "targets"
	cfg.PrefixTargetsWithHash = !p.repo.Plain
	u, err := updater.New(cfg)
	if err != nil {
		return err
	}
	u.UnsafeSetRefTime(p.repo.Now)
	if err := u.Refresh(); err != nil {
		return err
	}
	return use(u)
}

// otherInstallation is go-tuf's client for clienttest.
type otherInstallation struct{ *pair }

func (o otherInstallation) Refresh(context.Context) error {
	return o.otherClient(func(*updater.Updater) error { return nil })
}

func (o otherInstallation) Download(_ context.Context, names ...string) error {
	return o.otherClient(func(u *updater.Updater) error {
		for _, name := range names {
			info, err := u.GetTargetInfo(name)
			if err != nil {
				return err
			}
			path := filepath.Join(o.dir, "targets", url.PathEscape(name))
			if have, _, err := u.FindCachedTarget(info, path); err == nil && have != "" {
				continue
			}
			if _, _, err := u.DownloadTarget(info, path, ""); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o otherInstallation) Trusted() map[string][]byte {
	trusted := map[string][]byte{"root": o.root}
	for name, data := range o.files("metadata") {
		if role, ok := strings.CutSuffix(name, ".json"); ok {
			trusted[role] = data
		}
	}
	return trusted
}

func (o otherInstallation) Targets() [][]byte {
	return slices.Collect(maps.Values(o.files("targets")))
}

func (o otherInstallation) files(dir string) map[string][]byte {
	files := map[string][]byte{}
	paths, err := filepath.Glob(filepath.Join(o.dir, dir, "*"))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			o.t.Fatal(err)
		}
	}
	return files
}

// answer is what a client says of a target.
type answer struct {
	data string
	err  error
}

func (a answer) same(b answer) bool {
	return (a.err == nil) == (b.err == nil) && (a.err != nil || a.data == b.data)
}

func (a answer) String() string {
	if a.err != nil {
		return "refused: " + a.err.Error()
	}
	return fmt.Sprintf("found %q", a.data)
}
