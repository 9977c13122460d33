// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/fetch/httpsource"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// overHTTP is a tuf/client over package fetch, whose requests repo answers.
func overHTTP(t *testing.T, repo *tuftest.Repo) *client.Client {
	t.Helper()
	cache, err := client.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	remote, err := fetch.NewRemote(fetch.Options{Source: httpsource.New(&http.Client{Transport: repo})}, "https://repository.example/")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{
		Root: repo.Root(1), Remote: remote, Storage: cache, Now: func() time.Time { return repo.Now }, BuildTime: tuftest.Start.AddDate(-1, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The next root is asked for once, and that there is none is no failure: nothing is tried again, and no time passes.
//
// covers: B9
func TestTUF_15_NoNextRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo := tuftest.New()
		c := overHTTP(t, repo)
		start := time.Now()
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"}
		if !slices.Equal(repo.Requests, want) || time.Since(start) != 0 {
			t.Errorf("%v after %v, want %v", repo.Requests, time.Since(start), want)
		}
	})
}

// The process-wide client of net/http stays as it is, whatever transport is passed.
//
// covers: B10
func TestNET_DefaultClientIsLeftAlone(t *testing.T) {
	before := *http.DefaultClient
	transport := http.DefaultTransport
	c := overHTTP(t, tuftest.New())
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	httpsource.New(nil)
	if http.DefaultClient.Transport != before.Transport || http.DefaultClient.Timeout != before.Timeout || http.DefaultClient.CheckRedirect != nil || http.DefaultTransport != transport {
		t.Error("http.DefaultClient was changed")
	}
}

// A server that is silent, stops in the middle or drips does not hold a refresh, and a caller can end it at any time.
//
// covers: B11
func TestTUF_08_SlowServer(t *testing.T) {
	for name, fault := range map[string]tuftest.Fault{"silent": tuftest.Stall(0), "stops": tuftest.Stall(100), "drips": tuftest.Drip(1, 20*time.Second)} {
		for _, file := range []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/1.targets.json"} {
			synctest.Test(t, func(t *testing.T) {
				repo := tuftest.New()
				if file == "metadata/2.root.json" {
					repo.Publish(tuf.RoleRoot)
				}
				c := overHTTP(t, repo)
				repo.Spoil(file, slices.Repeat([]tuftest.Fault{fault}, 1000)...)
				start := time.Now()
				if err := c.Refresh(t.Context()); !errors.Is(err, tuf.ErrSlowRetrieval) {
					t.Errorf("%s %s: %v, want ErrSlowRetrieval", file, name, err)
				}
				if took := time.Since(start); took > time.Hour {
					t.Errorf("%s %s: held for %v", file, name, took)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start = time.Now()
				if err := c.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 4*time.Second {
					t.Errorf("%s %s: cancelled: %v after %v", file, name, err, time.Since(start))
				}
				repo.Honest()
				if err := c.Refresh(t.Context()); err != nil {
					t.Errorf("%s %s: afterwards: %v", file, name, err)
				}
			})
		}
	}
}

// Whatever characters a target path has, the request is for that object; one that leads elsewhere is not made.
//
// covers: B13
func TestPTH_TargetNamesInURLs(t *testing.T) {
	repo := tuftest.New()
	names := []string{"fw/a#b.bin", "fw/a?b=c.bin", "fw/%41.bin", "fw/a b+c&d.bin", "fw/ü.bin", "fw/a;b,c.bin", "fw/..a/b..", "fw/%2e%2e/x"}
	for _, name := range names {
		repo.Targets[name] = []byte(name)
	}
	repo.Targets["fw/A.bin"] = []byte("another")
	repo.Targets["x/../../y.bin"] = []byte("outside")
	repo.Publish()
	c := overHTTP(t, repo)
	for _, name := range names {
		if data, err := c.Find(t.Context(), name); err != nil || string(data) != name {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	repo.Requests = nil
	if _, err := c.Find(t.Context(), "x/../../y.bin"); !errors.Is(err, tuf.ErrPath) {
		t.Errorf("got %v, want ErrPath", err)
	}
	if slices.ContainsFunc(repo.Requests, func(name string) bool { return strings.HasPrefix(name, "targets/") }) {
		t.Errorf("requests %v", repo.Requests)
	}
	file, err := c.Target(t.Context(), names[0])
	var got bytes.Buffer
	if err == nil {
		err = c.Download(t.Context(), file, &got)
	}
	if err != nil || got.String() != names[0] {
		t.Errorf("download: %q, %v", got.String(), err)
	}
}
