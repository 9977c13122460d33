// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// asProcess, if set, is the directory in which the test binary is one of several processes that share a cache.
const asProcess = "FIRMAMENT_TUF_PROCESS"

func TestMain(m *testing.M) {
	dir := os.Getenv(asProcess)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := sharing(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const refreshes = 20

// sharing refreshes often, over a repository that has moved on each time, and looks a target up that is in none of the caches.
func sharing(dir string) error {
	root, err := os.ReadFile(filepath.Join(dir, "0", "metadata", "1.root.json"))
	if err != nil {
		return err
	}
	cache, err := client.OpenDir(filepath.Join(dir, "cache"))
	if err != nil {
		return err
	}
	released := 0
	for i := range refreshes {
		o := client.Options{
			Root: root, Remote: client.DirRemote(os.DirFS(filepath.Join(dir, fmt.Sprint(i)))), Storage: cache, Now: func() time.Time { return tuftest.Start },
			BuildTime: tuftest.Start.AddDate(-1, 0, 0), Limits: client.Limits{Memory: int64(1 + os.Getpid()%2<<20)}, // half of them read from the medium
		}
		c, err := client.New(o)
		if err != nil {
			return err
		}
		data, err := c.Find(context.Background(), "acme/x")
		if err != nil && strings.Contains(err.Error(), tuf.ErrRollback.Error()) {
			continue // another process has seen a newer state of the repository
		}
		if err != nil {
			return fmt.Errorf("refresh %d: %w", i, err)
		}
		n := 0
		if _, err := fmt.Sscan(string(data), &n); err != nil || n < released {
			return fmt.Errorf("refresh %d: found %q after release %d", i, data, released)
		}
		released = n
	}
	return nil
}

// TestTUF_24_Processes: eight processes refresh one cache at once; none of them fails, none goes back, and what is there in the end is whole.
//
// covers: B23
func TestTUF_24_Processes(t *testing.T) {
	dir := t.TempDir()
	repo := graph([]edge{{from: "targets", to: "A"}}, nil)
	for i := range refreshes {
		repo.DelegatedTargets["A"]["acme/x"] = fmt.Append(nil, i)
		publishAll(repo)
		for name, data := range repo.Files {
			name = filepath.Join(dir, fmt.Sprint(i), filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "cache"), 0o700); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), asProcess+"="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	cache, err := client.OpenDir(filepath.Join(dir, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	d := newDevice(t, repo)
	d.fsys, d.o.Storage = cache, cache
	d.restart()
	repo.Requests = nil
	if data, err := d.Find(t.Context(), "acme/x"); err != nil || string(data) != fmt.Sprint(refreshes-1) {
		t.Errorf("in the end: %q, %v", data, err)
	}
	if len(repo.Requests) != 3 { // root, timestamp, the target itself
		t.Errorf("the cache is not complete: %v", repo.Requests)
	}
	for name := range d.files() {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}
