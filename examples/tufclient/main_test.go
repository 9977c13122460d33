// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
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
	t                 testing.TB
	repo              *tuftest.Repo
	url               string
	metadata, targets string
}

func newUser(t testing.TB, root []byte, repo *tuftest.Repo) (*user, error) {
	t.Helper()
	u := &user{t: t, repo: repo, metadata: t.TempDir(), targets: t.TempDir()}
	server := httptest.NewServer(repo)
	t.Cleanup(server.Close)
	u.url = server.URL
	path := filepath.Join(t.TempDir(), "initial.json")
	if err := os.WriteFile(path, root, 0o644); err != nil {
		t.Fatal(err)
	}
	return u, u.run(t.Context(), "init", path)
}

// run is the command line, at the repository's time.
func (u *user) run(ctx context.Context, args ...string) error {
	clock := func(context.Context) (time.Time, error) { return u.repo.Now, nil }
	return run(ctx, append([]string{"--metadata-dir", u.metadata}, args...), clock)
}

func (u *user) Refresh(ctx context.Context) error {
	return u.run(ctx, "--metadata-url", u.url+"/metadata/", "refresh")
}

func (u *user) Download(ctx context.Context, names ...string) error {
	args := []string{"--metadata-url", u.url + "/metadata/", "--target-base-url", u.url + "/targets/", "--target-dir", u.targets}
	for _, name := range names {
		args = append(args, "--target-name", name)
	}
	return u.run(ctx, append(args, "download")...)
}

func (u *user) Trusted() map[string][]byte {
	trusted := map[string][]byte{}
	for name, data := range u.files(u.metadata) {
		if role, ok := strings.CutSuffix(name, ".json"); ok {
			trusted[role] = data
		}
	}
	return trusted
}

func (u *user) Targets() (list [][]byte) {
	for _, data := range u.files(u.targets) {
		list = append(list, data)
	}
	return list
}

func (u *user) files(dir string) map[string][]byte {
	entries, err := os.ReadDir(dir)
	if err != nil {
		u.t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			u.t.Fatal(err)
		}
	}
	return files
}

// Whatever a delegated role is called, it is one escaped element of the URL and one file of the directory.
func TestRoleNames(t *testing.T) {
	for name, path := range map[string]string{"?": "%3F", "/role": "%2Frole", "../role": "..%2Frole", "%2e": "%252e", "%25": "%2525"} {
		repo := tuftest.New()
		repo.Delegate(tuf.RoleTargets, name, map[string]any{"paths": []any{"*"}})
		repo.Publish(tuf.Role(name))
		repo.Publish()
		u, err := newUser(t, repo.Root(1), repo)
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Download(t.Context(), "nothing"); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("%q: %v", name, err)
		}
		if !slices.Contains(repo.Requests, "metadata/1."+path+".json") {
			t.Errorf("%q: asked for %v", name, repo.Requests)
		}
		if n := len(u.Trusted()); n != 5 {
			t.Errorf("%q: %d files", name, n)
		}
	}
}

// A target is in the target directory under its name with the slashes escaped, and a download that is refused leaves the old one.
func TestDownload(t *testing.T) {
	repo := tuftest.New()
	u, err := newUser(t, repo.Root(1), repo)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		if data, err := os.ReadFile(filepath.Join(u.targets, "fw%2Fa.suit")); err != nil || string(data) != want {
			t.Errorf("%q, %v, want %q", data, err, want)
		}
	}
	if err := u.Download(t.Context(), "fw/a.suit"); err != nil {
		t.Fatal(err)
	}
	check("one")
	repo.Targets["fw/a.suit"] = []byte("two")
	repo.Publish()
	if err := u.Download(t.Context(), "fw/none", "fw/a.suit"); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("got %v", err)
	}
	repo.Spoil("targets/*", tuftest.Claim(1))
	if err := u.Download(t.Context(), "fw/a.suit"); err == nil {
		t.Error("the beginning of a target is accepted")
	}
	check("one")
	repo.Honest()
	if err := u.Download(t.Context(), "fw/a.suit"); err != nil {
		t.Error(err)
	}
	check("two")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"refresh"}, {"--metadata-dir", "x"}, {"--metadata-dir", "x", "refresh"}, {"--metadata-dir", "x", "--metadata-url", "http://127.0.0.1:1/", "download"}, {"--unknown"}} {
		if err := run(t.Context(), args, clock); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
