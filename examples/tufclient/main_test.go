// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// user is somebody with a metadata directory, a target directory and a repository on a web server.
type user struct {
	t                 *testing.T
	repo              *tuftest.Repo
	server            *httptest.Server
	metadata, targets string
	paths             []string // requested, as they were on the wire
}

func newUser(t *testing.T, repo *tuftest.Repo) *user {
	t.Helper()
	u := &user{t: t, repo: repo, metadata: t.TempDir(), targets: t.TempDir()}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.paths = append(u.paths, r.URL.EscapedPath())
		// tuftest has the files under their escaped names; target names in these tests need no escaping
		data, err := u.repo.Get(r.Context(), strings.TrimPrefix(r.URL.EscapedPath(), "/"), 0)
		if errors.Is(err, fs.ErrNotExist) {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(u.server.Close)
	root := filepath.Join(t.TempDir(), "initial.json")
	if err := os.WriteFile(root, repo.Root(1), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"--metadata-dir", u.metadata, "init", root}); err != nil {
		t.Fatal(err)
	}
	return u
}

func (u *user) refresh() error {
	return run(u.t.Context(), []string{"--metadata-dir", u.metadata, "--metadata-url", u.server.URL + "/metadata/", "refresh"})
}

func (u *user) download(names ...string) error {
	args := []string{"--metadata-dir", u.metadata, "--metadata-url", u.server.URL + "/metadata/", "--target-base-url", u.server.URL + "/targets/", "--target-dir", u.targets}
	for _, name := range names {
		args = append(args, "--target-name", name)
	}
	return run(u.t.Context(), append(args, "download"))
}

func (u *user) trusted() []string {
	names, err := filepath.Glob(filepath.Join(u.metadata, "*.json"))
	if err != nil {
		u.t.Fatal(err)
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	return names
}

// newRepo returns a repository whose time is now: the command has no clock but the machine's.
func newRepo() *tuftest.Repo {
	repo := tuftest.New()
	repo.Now = time.Now()
	repo.Republish()
	return repo
}

func TestRefreshAndDownload(t *testing.T) {
	u := newUser(t, newRepo())
	if got := u.trusted(); !slices.Equal(got, []string{"root.json"}) || len(u.paths) > 0 {
		t.Errorf("after init: %v, requests %v", got, u.paths)
	}
	if err := u.refresh(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(u.trusted(), " "); got != "root.json snapshot.json targets.json timestamp.json" {
		t.Errorf("trusted: %s", got)
	}
	for range 2 {
		if err := u.download("fw/a.suit"); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(u.targets, "fw%2Fa.suit"))
	if err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	if n := strings.Count(strings.Join(u.paths, " "), "/targets/fw/"); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
	u.repo.Targets["fw/a.suit"] = []byte("two")
	u.repo.Publish()
	if err := u.download("fw/none", "fw/a.suit"); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("got %v", err)
	}
	if err := u.download("fw/a.suit"); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(filepath.Join(u.targets, "fw%2Fa.suit")); err != nil || string(data) != "two" {
		t.Errorf("%q, %v", data, err)
	}
}

// Whatever a delegated role is called, it is one escaped element of the URL and one file of the directory.
func TestRoleNames(t *testing.T) {
	for name, path := range map[string]string{"?": "%3F", "#": "%23", "/role": "%2Frole", "../role": "..%2Frole", "%2e": "%252e"} {
		repo := newRepo()
		repo.Delegate(tuf.RoleTargets, name, map[string]any{"paths": []any{"*"}})
		repo.Publish(tuf.Role(name))
		repo.Publish()
		u := newUser(t, repo)
		if err := u.download("nothing"); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("%q: %v", name, err)
		}
		if !slices.Contains(u.paths, "/metadata/1."+path+".json") {
			t.Errorf("%q: asked for %v", name, u.paths)
		}
		if n := len(u.trusted()); n != 5 {
			t.Errorf("%q: %d files", name, n)
		}
	}
}

func TestRefused(t *testing.T) {
	u := newUser(t, newRepo())
	if err := u.refresh(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(u.metadata, "targets.json"))
	if err != nil {
		t.Fatal(err)
	}
	u.repo.Expires[tuf.RoleTargets] = u.repo.Now.Add(-time.Hour)
	u.repo.Publish()
	if err := u.refresh(); !errors.Is(err, tuf.ErrFreeze) {
		t.Errorf("got %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(u.metadata, "targets.json")); err != nil || string(now) != string(good) {
		t.Errorf("expired metadata is shown as trusted: %v", err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"refresh"}, {"--metadata-dir", "x"}, {"--metadata-dir", "x", "refresh"}, {"--metadata-dir", "x", "--metadata-url", "http://127.0.0.1:1/", "download"}, {"--unknown"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
