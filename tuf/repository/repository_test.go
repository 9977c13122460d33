// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// options gives every role its own key, one of them P-256.
func options(now *time.Time) repository.Options {
	return repository.Options{
		Signers: map[tuf.Role][]verify.Signer{
			tuf.RoleRoot: {testkeys.Ed25519(0), testkeys.P256(0)}, tuf.RoleTargets: {testkeys.P256(1)},
			tuf.RoleSnapshot: {testkeys.Ed25519(2)}, tuf.RoleTimestamp: {testkeys.Ed25519(3)},
		},
		Thresholds: map[tuf.Role]int{tuf.RoleRoot: 2},
		Now:        func() time.Time { return *now },
	}
}

// remote serves a repository's storage to a client.
type remote struct{ fsys simfs.FS }

func (r remote) Get(_ context.Context, name string, max int64) ([]byte, error) {
	return durable.ReadFile(r.fsys, name, max)
}

type world struct {
	t    *testing.T
	now  time.Time
	sim  *simfs.Sim
	repo *repository.Repository
	root []byte
	*client.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: start, sim: simfs.NewSim(simfs.Options{})}
	var err error
	if w.repo, err = repository.Create(t.Context(), repository.NewDir(w.sim.FS()), options(&w.now)); err != nil {
		t.Fatal(err)
	}
	if w.root, err = w.repo.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.Client = w.device()
	return w
}

// device is a new client with an empty cache, provisioned with the first root.
func (w *world) device() *client.Client {
	w.t.Helper()
	c, err := client.New(client.Options{
		Root: w.root, Remote: remote{w.sim.FS()}, Storage: simfs.NewSim(simfs.Options{}).FS(),
		Now: func() time.Time { return w.now }, BuildTime: start,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) publish(name, data string) {
	w.t.Helper()
	if err := w.repo.Publish(w.t.Context(), map[string][]byte{name: []byte(data)}); err != nil {
		w.t.Fatal(err)
	}
}

// finds checks that the known device and a new one see the target.
func (w *world) finds(name, want string) {
	w.t.Helper()
	for _, c := range []*client.Client{w.Client, w.device()} {
		if data, err := c.Find(w.t.Context(), name); err != nil || string(data) != want {
			w.t.Errorf("find %s: %q, %v, want %q", name, data, err, want)
		}
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.publish("fw/v/c/stable.suit", "one")
	w.finds("fw/v/c/stable.suit", "one")
	w.publish("fw/v/c/beta.suit", "<two> & \u2028 ü")
	w.finds("fw/v/c/stable.suit", "one")
	w.finds("fw/v/c/beta.suit", "<two> & \u2028 ü")
	w.publish("fw/v/c/stable.suit", "three")
	w.finds("fw/v/c/stable.suit", "three")
	w.publish("odd names/#?%41 <&>.suit", "four")
	w.finds("odd names/#?%41 <&>.suit", "four")

	for _, name := range []string{"", "../x", "/x", `a\b`, "a//b"} {
		if err := w.repo.Publish(t.Context(), map[string][]byte{name: nil}); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("publish %q: %v, want ErrPath", name, err)
		}
	}
	targets, err := w.repo.Targets(t.Context())
	if err != nil || targets.Len() != 3 {
		t.Errorf("%d targets, %v", targets.Len(), err)
	}
}

// What a run that was cut off left behind keeps its name and its content.
func TestVersionsAreWrittenOnce(t *testing.T) {
	w := newWorld(t)
	w.publish("a", "one")
	for _, name := range []string{"metadata/3.targets.json", "metadata/9.snapshot.json"} {
		if err := durable.WriteFile(w.sim.FS(), name, []byte("left behind")); err != nil {
			t.Fatal(err)
		}
	}
	w.publish("a", "two")
	w.finds("a", "two")
	for _, name := range []string{"metadata/3.targets.json", "metadata/9.snapshot.json"} {
		if data, err := durable.ReadFile(w.sim.FS(), name, 1<<10); err != nil || string(data) != "left behind" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if _, err := durable.ReadFile(w.sim.FS(), "metadata/10.snapshot.json", 1<<20); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	w := newWorld(t)
	w.publish("a", "one")
	o := options(&w.now)
	again, err := repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o)
	if err != nil {
		t.Fatal(err)
	}
	w.repo = again
	w.publish("b", "two")
	w.finds("a", "one")
	w.finds("b", "two")

	if _, err := repository.Create(t.Context(), repository.NewDir(w.sim.FS()), o); !errors.Is(err, repository.ErrExists) {
		t.Errorf("create over it: %v, want ErrExists", err)
	}
	if _, err := repository.Open(t.Context(), repository.NewDir(simfs.NewSim(simfs.Options{}).FS()), o); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open nothing: %v, want ErrNotExist", err)
	}
	delete(o.Signers, tuf.RoleTargets)
	less, err := repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := less.Publish(t.Context(), map[string][]byte{"c": nil}); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("publish without the targets key: %v, want ErrIncomplete", err)
	}
	if _, err := less.Refresh(t.Context()); err != nil {
		t.Errorf("the timestamp needs no targets key: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	now := start
	for name, spoil := range map[string]func(*repository.Options){
		"no root signer":       func(o *repository.Options) { delete(o.Signers, tuf.RoleRoot) },
		"no timestamp signer":  func(o *repository.Options) { delete(o.Signers, tuf.RoleTimestamp) },
		"threshold above keys": func(o *repository.Options) { o.Thresholds[tuf.RoleTargets] = 2 },
		"threshold 0":          func(o *repository.Options) { o.Thresholds[tuf.RoleTargets] = 0 },
		"one key given twice": func(o *repository.Options) {
			o.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.P256(0), testkeys.P256(0)}
		},
	} {
		o := options(&now)
		spoil(&o)
		if _, err := repository.Create(t.Context(), repository.NewDir(simfs.NewSim(simfs.Options{}).FS()), o); !errors.Is(err, repository.ErrIncomplete) {
			t.Errorf("%s: %v, want ErrIncomplete", name, err)
		}
	}
	for name, spoil := range map[string]func(*repository.Options){
		"role name":  func(o *repository.Options) { o.Signers["../mirrors"] = nil },
		"nil signer": func(o *repository.Options) { o.Signers[tuf.RoleRoot] = []verify.Signer{nil} },
		"expiry 0":   func(o *repository.Options) { o.Expiry = map[tuf.Role]time.Duration{tuf.RoleRoot: 0} },
	} {
		o := options(&now)
		spoil(&o)
		if _, err := repository.Create(t.Context(), repository.NewDir(simfs.NewSim(simfs.Options{}).FS()), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.publish("a", "one")
	for range 200 { // 200 days, one refresh a day
		w.now = w.now.Add(24 * time.Hour)
		if _, err := w.repo.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.finds("a", "one")
	targets, err := w.repo.Targets(t.Context())
	if err != nil || targets.Version() > 8 {
		t.Errorf("targets version %d after 200 days, %v", targets.Version(), err)
	}
	w.now = w.now.Add(400 * 24 * time.Hour)
	if _, err := w.repo.Refresh(t.Context()); err != nil { // all but root can be renewed
		t.Error(err)
	}
	if err := w.Refresh(t.Context()); !errors.Is(err, tuf.ErrFreeze) {
		t.Errorf("root expired: %v, want ErrFreeze", err)
	}
	if err := w.repo.RotateRoot(t.Context(), repository.RootChange{}); err != nil {
		t.Fatal(err)
	}
	w.finds("a", "one")
}

func TestTUF_15_RotateRoot(t *testing.T) {
	for name, change := range map[string]repository.RootChange{
		"nothing":        {},
		"root":           {Signers: map[tuf.Role][]verify.Signer{tuf.RoleRoot: {testkeys.P256(10), testkeys.P256(11)}}},
		"targets":        {Signers: map[tuf.Role][]verify.Signer{tuf.RoleTargets: {testkeys.Ed25519(12)}}},
		"snapshot":       {Signers: map[tuf.Role][]verify.Signer{tuf.RoleSnapshot: {testkeys.Ed25519(13)}}},
		"timestamp":      {Signers: map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.Ed25519(14)}}},
		"thresholds":     {Thresholds: map[tuf.Role]int{tuf.RoleTargets: 2}, Signers: map[tuf.Role][]verify.Signer{tuf.RoleTargets: {testkeys.Ed25519(12), testkeys.P256(1)}}},
		"root threshold": {Thresholds: map[tuf.Role]int{tuf.RoleRoot: 1}},
		"everything": {Signers: map[tuf.Role][]verify.Signer{
			tuf.RoleRoot: {testkeys.P256(10), testkeys.P256(11)}, tuf.RoleTargets: {testkeys.Ed25519(12)},
			tuf.RoleSnapshot: {testkeys.Ed25519(13)}, tuf.RoleTimestamp: {testkeys.Ed25519(14)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.publish("a", "one")
			w.finds("a", "one")
			if err := w.repo.RotateRoot(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			w.finds("a", "one")
			w.publish("a", "two")
			w.finds("a", "two")
			if err := w.repo.RotateRoot(t.Context(), repository.RootChange{}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.repo.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.finds("a", "two")
			o := options(&w.now)
			for role, signers := range change.Signers {
				o.Signers[role] = signers
			}
			var err error
			if w.repo, err = repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o); err != nil {
				t.Fatal(err)
			}
			w.publish("a", "three")
			w.finds("a", "three")
		})
	}
}

// The old timestamp key is gone: the new root comes first, and afterwards all is well.
func TestRotateRootWithoutTheOldKey(t *testing.T) {
	w := newWorld(t)
	w.publish("a", "one")
	w.finds("a", "one")
	o := options(&w.now)
	delete(o.Signers, tuf.RoleTimestamp)
	repo, err := repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o)
	if err != nil {
		t.Fatal(err)
	}
	change := repository.RootChange{Signers: map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.P256(20)}}}
	if err := repo.RotateRoot(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	w.repo = repo
	w.finds("a", "one")
	o.Signers[tuf.RoleRoot] = o.Signers[tuf.RoleRoot][:1]
	if repo, err = repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o); err != nil {
		t.Fatal(err)
	}
	if err := repo.RotateRoot(t.Context(), repository.RootChange{}); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("one of two root keys: %v, want ErrIncomplete", err)
	}
	w.finds("a", "one")
}

func TestPutPayload(t *testing.T) {
	w := newWorld(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	for _, size := range []int{0, 1, 256 << 10, 256<<10 + 1, len(big)} {
		name := fmt.Sprintf("fw/%d.bin", size)
		for range 2 { // again is no error
			if err := w.repo.PutPayload(t.Context(), name, bytes.NewReader(big[:size])); err != nil {
				t.Fatal(err)
			}
		}
		data, err := durable.ReadFile(w.sim.FS(), "payloads/"+name, 16<<20)
		if err != nil || !bytes.Equal(data, big[:size]) {
			t.Errorf("size %d: %d bytes, %v", size, len(data), err)
		}
		for _, other := range [][]byte{append(bytes.Clone(big[:size]), 'x'), []byte("other")} {
			if err := w.repo.PutPayload(t.Context(), name, bytes.NewReader(other)); !errors.Is(err, repository.ErrExists) {
				t.Errorf("other bytes: %v, want ErrExists", err)
			}
		}
	}
	broken := errors.New("broken")
	if err := w.repo.PutPayload(t.Context(), "b", errReader{broken}); !errors.Is(err, broken) {
		t.Errorf("broken source: %v", err)
	}
	if _, err := durable.ReadFile(w.sim.FS(), "payloads/b", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a broken source: %v", err)
	}
	if err := w.repo.PutPayload(t.Context(), "../b", bytes.NewReader(nil)); !errors.Is(err, tuf.ErrPath) {
		t.Errorf("path: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestOnRealDirectory(t *testing.T) {
	path := t.TempDir()
	dir, err := simfs.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	now := start
	repo, err := repository.Create(t.Context(), repository.NewDir(dir), options(&now))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Publish(t.Context(), map[string][]byte{"fw/a.suit": []byte("one")}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"metadata/1.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json", "metadata/2.snapshot.json",
		"metadata/2.targets.json", "targets/fw/7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed.a.suit",
	} {
		if _, err := os.Stat(filepath.Join(path, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	root, err := repo.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Options{Root: root, Remote: client.DirRemote(os.DirFS(path)), Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := c.Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
}

// created makes a repository in s that has the targets, and returns its root besides.
func created(t testing.TB, s repository.Storage, o repository.Options, targets map[string][]byte) (*repository.Repository, []byte) {
	t.Helper()
	r, root, err := create(t.Context(), s, o, targets)
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

func create(ctx context.Context, s repository.Storage, o repository.Options, targets map[string][]byte) (r *repository.Repository, root []byte, err error) {
	if r, err = repository.Create(ctx, s, o); err == nil && targets != nil {
		err = r.Publish(ctx, targets)
	}
	if err == nil {
		root, err = r.Root(ctx)
	}
	return r, root, err
}
