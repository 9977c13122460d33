// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// other is go-tuf's client on the same files, with a cache of its own that lasts.
type other struct {
	read func(name string, max int64) ([]byte, error)
	root []byte
	now  func() time.Time
	dir  string
}

// other is a client of w.
func (w *world) other() *other {
	return &other{func(name string, max int64) ([]byte, error) { return durable.ReadFile(w.sim.FS(), name, max) }, w.root, func() time.Time { return w.now }, w.t.TempDir()}
}

const otherURL = "memory:/"

// DownloadFile serves the repository's storage to go-tuf.
func (o *other) DownloadFile(url string, max int64, _ time.Duration) ([]byte, error) {
	name := strings.TrimPrefix(url, otherURL)
	data, err := o.read(name, max)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &metadata.ErrDownloadHTTP{StatusCode: 404, URL: url}
	}
	return data, err
}

func (o *other) find(name string) ([]byte, error) {
	cfg, err := config.New(otherURL+"metadata", o.root)
	if err != nil {
		return nil, err
	}
	cfg.Fetcher = o
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = filepath.Join(o.dir, "metadata"), filepath.Join(o.dir, "targets")
	cfg.RemoteTargetsURL = otherURL + "targets"
	u, err := updater.New(cfg)
	if err != nil {
		return nil, err
	}
	u.UnsafeSetRefTime(o.now())
	if err := u.Refresh(); err != nil {
		return nil, err
	}
	info, err := u.GetTargetInfo(name)
	if err != nil {
		return nil, err
	}
	_, data, err := u.DownloadTarget(info, filepath.Join(o.dir, "target"), "")
	return data, err
}

// TestSameAsGoTUF: a second client, which nobody here wrote, reads whatever the publisher writes, and sees the same bytes.
func TestSameAsGoTUF(t *testing.T) {
	w := newWorld(t)
	known := w.other()
	check := func(step, name string) {
		t.Helper()
		want, err := w.Find(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		for _, o := range []*other{known, w.other()} {
			if got, err := o.find(name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: go-tuf sees %q, %v, want %q", step, got, err, want)
			}
		}
	}
	w.publish("fw/v/c/stable.suit", "one")
	check("first release", "fw/v/c/stable.suit")
	w.publish("fw/v/c/stable.suit", "two <&> ü")
	check("second release", "fw/v/c/stable.suit")
	w.now = w.now.Add(40 * time.Hour)
	if _, err := w.repo.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("refreshed", "fw/v/c/stable.suit")
	for i, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		change := repository.RootChange{Signers: map[tuf.Role][]verify.Signer{role: {testkeys.P256(40 + i), testkeys.Ed25519(40 + i)}}}
		if err := w.repo.RotateRoot(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		check("rotated "+string(role), "fw/v/c/stable.suit")
		w.publish("fw/v/c/stable.suit", "after "+string(role))
		check("published after rotating "+string(role), "fw/v/c/stable.suit")
	}
}

// TestReadByGoTUF: go-tuf's client reads every shape of repository that it can.
func TestReadByGoTUF(t *testing.T) {
	for name, c := range shapes(t) {
		t.Run(name, func(t *testing.T) {
			if c.notGo != "" {
				t.Skip("not by go-tuf: " + c.notGo)
			}
			dir := t.TempDir()
			root := c.in(t, dir)
			o := &other{func(name string, _ int64) ([]byte, error) {
				name, err := url.PathUnescape(name)
				if err != nil {
					return nil, err
				}
				return os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
			}, root, time.Now, t.TempDir()}
			for target, want := range release {
				if got, err := o.find(target); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %q, %v", target, got, err)
				}
			}
			for _, target := range []string{"fw/none", "fw/gone"} {
				if got, err := o.find(target); err == nil {
					t.Errorf("%s, which is not there: %q", target, got)
				}
			}
		})
	}
}
