// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// device is a client with its medium; restart gives a new process on the same medium.
type device struct {
	t    *testing.T
	repo *tuftest.Repo
	fsys simfs.FS
	o    client.Options
	*client.Client
}

func newDevice(t *testing.T, repo *tuftest.Repo) *device {
	t.Helper()
	d := &device{t: t, repo: repo, fsys: simfs.NewSim(simfs.Options{}).FS()}
	d.o = client.Options{
		Root: repo.Root(1), Remote: repo, Storage: d.fsys, Now: func() time.Time { return repo.Now }, BuildTime: tuftest.Start.AddDate(-1, 0, 0),
	}
	d.restart()
	return d
}

func (d *device) restart() {
	d.t.Helper()
	c, err := client.New(d.o)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Client = c
}

func (d *device) refresh(want error) {
	d.t.Helper()
	if err := d.Refresh(d.t.Context()); !errors.Is(err, want) || want == nil && err != nil {
		d.t.Errorf("refresh: got %v, want %v", err, want)
	}
}

// files is the content of the cache.
func (d *device) files() map[string]string {
	d.t.Helper()
	names, err := d.fsys.ReadDir(".")
	if err != nil {
		d.t.Fatal(err)
	}
	files := make(map[string]string)
	for _, name := range names {
		data, err := durable.ReadFile(d.fsys, name, 16<<20)
		if err != nil {
			d.t.Fatal(err)
		}
		files[name] = string(data)
	}
	return files
}

func (d *device) put(name, data string) {
	d.t.Helper()
	if err := durable.WriteFile(d.fsys, name, []byte(data)); err != nil {
		d.t.Fatal(err)
	}
}

func changed(a, b map[string]string) (names []string) {
	for name := range b {
		if a[name] != b[name] {
			names = append(names, name)
		}
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestFind(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	data, err := d.Find(t.Context(), "fw/a.suit")
	if err != nil || string(data) != "one" {
		t.Fatalf("%q, %v", data, err)
	}
	repo.Targets["fw/a.suit"] = []byte("two")
	repo.Publish()
	if data, err = d.Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "two" {
		t.Fatalf("%q, %v", data, err)
	}
	if _, err := d.Find(t.Context(), "fw/b.suit"); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := d.Find(t.Context(), "../a"); !errors.Is(err, tuf.ErrPath) {
		t.Errorf("path: %v", err)
	}
}

func TestFindRefusesOtherBytes(t *testing.T) {
	for name, fault := range map[string]struct {
		change func([]byte, error) ([]byte, error)
		want   error
	}{
		"other":   {func(b []byte, err error) ([]byte, error) { return []byte("One"), err }, tuf.ErrHash},
		"longer":  {func(b []byte, err error) ([]byte, error) { return append(b, 'x'), err }, tuf.ErrLength},
		"shorter": {func(b []byte, err error) ([]byte, error) { return b[1:], err }, tuf.ErrLength},
		"absent":  {func(b []byte, err error) ([]byte, error) { return nil, fs.ErrNotExist }, tuf.ErrTransport},
	} {
		repo := tuftest.New()
		d := newDevice(t, repo)
		repo.Fault = func(file string, data []byte, err error) ([]byte, error) {
			if strings.HasPrefix(file, "targets/") {
				return fault.change(data, err)
			}
			return data, err
		}
		if data, err := d.Find(t.Context(), "fw/a.suit"); !errors.Is(err, fault.want) || data != nil {
			t.Errorf("%s: %q, %v, want %v", name, data, err, fault.want)
		}
	}
	repo := tuftest.New()
	repo.Targets["fw/a.suit"] = make([]byte, 1<<20+1)
	repo.Publish()
	if _, err := newDevice(t, repo).Find(t.Context(), "fw/a.suit"); !errors.Is(err, tuf.ErrLength) {
		t.Errorf("large: %v, want ErrLength", err)
	}
}

func TestNew(t *testing.T) {
	repo := tuftest.New()
	good := newDevice(t, repo).o
	for name, spoil := range map[string]func(*client.Options){
		"root": func(o *client.Options) { o.Root = nil }, "remote": func(o *client.Options) { o.Remote = nil },
		"storage": func(o *client.Options) { o.Storage = nil }, "clock": func(o *client.Options) { o.Now = nil },
		"limit": func(o *client.Options) { o.Limits.Target = -1 }, "roots": func(o *client.Options) { o.Limits.Roots = -1 },
		"other root": func(o *client.Options) { o.Root = repo.Files["metadata/timestamp.json"] },
	} {
		o := good
		spoil(&o)
		if _, err := client.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := client.New(good); err != nil {
		t.Error(err)
	}
}

// A refresh that finds nothing new asks for two small files and writes nothing (STO-11), in the same process and
// after a restart.
//
// covers: B9, B15
func TestSTO_11_UnchangedRefreshWritesNothing(t *testing.T) {
	repo := tuftest.New()
	sim := simfs.NewSim(simfs.Options{})
	d := newDevice(t, repo)
	d.fsys = sim.FS()
	d.o.Storage = d.fsys
	d.restart()
	d.refresh(nil)
	for _, restart := range []bool{false, true} {
		if restart {
			d.restart()
		}
		for i := range 3 {
			repo.Requests = nil
			repo.Now = repo.Now.Add(time.Minute)
			before, files := sim.Ops(), d.files()
			d.refresh(nil)
			if want := []string{"metadata/2.root.json", "metadata/timestamp.json"}; !slices.Equal(repo.Requests, want) {
				t.Errorf("restart %v: requests %v, want %v", restart, repo.Requests, want)
			}
			if names := changed(files, d.files()); names != nil {
				t.Errorf("restart %v: %v changed", restart, names)
			}
			budget := 0
			if restart && i == 0 {
				budget = 1 // the record that is believed is synced
			}
			if n := sim.Ops() - before; n > budget {
				t.Errorf("restart %v: %d operations on the medium", restart, n)
			}
		}
	}
	// A timestamp that is only newer costs itself and the record.
	files := d.files()
	repo.Publish(tuf.RoleTimestamp)
	repo.Requests = nil
	d.refresh(nil)
	if names := changed(files, d.files()); !slices.Equal(names, []string{"state.0", "timestamp.json"}) && !slices.Equal(names, []string{"state.1", "timestamp.json"}) {
		t.Errorf("newer timestamp: %v changed", names)
	}
	if len(repo.Requests) != 2 {
		t.Errorf("newer timestamp: requests %v", repo.Requests)
	}
}

// The same timestamp version with other content is not taken (section 5.4.3), and what is fetched again but is
// the same is not written again.
func TestTUF_03_SameVersionOtherContent(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	sim := simfs.NewSim(simfs.Options{})
	d.fsys = sim.FS()
	d.o.Storage = d.fsys
	d.restart()
	d.refresh(nil)
	operations := sim.Ops()
	repo.Publish(tuf.RoleTimestamp)
	d.refresh(nil)
	operations = sim.Ops() - operations // what a newer timestamp costs
	before := d.files()
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTimestamp {
			sum := verify.Sum(verify.SHA512, repo.Files[repo.Name(tuf.RoleSnapshot)])
			signed["meta"].(map[string]any)["snapshot.json"].(map[string]any)["hashes"].(map[string]any)["sha512"] = hex.EncodeToString(sum.Bytes())
		}
	}
	repo.Put(tuf.RoleTimestamp)
	d.refresh(nil)
	if names := changed(before, d.files()); names != nil {
		t.Errorf("%v changed", names)
	}
	repo.Publish(tuf.RoleTimestamp) // now newer, and the snapshot is listed in another way
	repo.Requests = nil
	start := sim.Ops()
	d.refresh(nil)
	if n := sim.Ops() - start; n != operations {
		t.Errorf("%d operations on the medium, %d for the timestamp alone", n, operations)
	}
	if !slices.Contains(repo.Requests, "metadata/1.snapshot.json") {
		t.Errorf("snapshot not compared with its new listing: %v", repo.Requests)
	}
}

// An expired root stops the update before anything else is asked for (section 5.3.10).
func TestTUF_02_ExpiredRootStops(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.refresh(nil)
	before := d.files()
	repo.Expires[tuf.RoleRoot] = repo.Now
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	repo.Requests = nil
	d.refresh(tuf.ErrFreeze)
	if slices.Contains(repo.Requests, "metadata/timestamp.json") {
		t.Errorf("requests %v", repo.Requests)
	}
	for _, name := range changed(before, d.files()) {
		if name != "2.root.json" && !strings.HasPrefix(name, "state.") {
			t.Errorf("%s changed", name)
		}
	}
	delete(repo.Expires, tuf.RoleRoot)
	repo.Publish(tuf.RoleRoot)
	d.refresh(nil)
}

// What a refused file leaves behind: nothing (S9), and the next good refresh works (S5).
func TestTUF_16_RejectedIsForgotten(t *testing.T) {
	stranger := []verify.Signer{testkeys.Ed25519(66)}
	for name, c := range map[string]struct {
		attack func(r *tuftest.Repo)
		want   error
		keeps  []string // what may change: verified files above the refused one
	}{
		"timestamp by a stranger": {func(r *tuftest.Repo) { r.Signers[tuf.RoleTimestamp] = stranger; r.Publish() }, tuf.ErrThreshold, nil},
		"snapshot by a stranger":  {func(r *tuftest.Repo) { r.Signers[tuf.RoleSnapshot] = stranger; r.Publish() }, tuf.ErrThreshold, []string{"timestamp.json"}},
		"targets by a stranger":   {func(r *tuftest.Repo) { r.Signers[tuf.RoleTargets] = stranger; r.Publish() }, tuf.ErrThreshold, []string{"snapshot.json", "timestamp.json"}},
		"root by a stranger":      {func(r *tuftest.Repo) { r.Signers[tuf.RoleRoot] = stranger; r.Publish(tuf.RoleRoot) }, tuf.ErrThreshold, nil},
		"root that skips one": {func(r *tuftest.Repo) {
			r.Version[tuf.RoleRoot] = 3
			r.Files["metadata/2.root.json"] = r.Build(tuf.RoleRoot)
			r.Version[tuf.RoleRoot] = 1
		}, tuf.ErrRollback, nil},
		"expired timestamp": {func(r *tuftest.Repo) { r.Expires[tuf.RoleTimestamp] = r.Now; r.Publish() }, tuf.ErrFreeze, nil},
		"expired snapshot":  {func(r *tuftest.Repo) { r.Expires[tuf.RoleSnapshot] = r.Now; r.Publish() }, tuf.ErrFreeze, []string{"timestamp.json"}},
		"older timestamp":   {func(r *tuftest.Repo) { r.Version[tuf.RoleTimestamp] = 1; r.Put(tuf.RoleTimestamp) }, tuf.ErrRollback, nil},
		"older snapshot":    {func(r *tuftest.Repo) { r.Version[tuf.RoleSnapshot] = 1; r.Version[tuf.RoleTimestamp]++; r.Republish() }, tuf.ErrRollback, nil},
		"older targets": {func(r *tuftest.Repo) {
			r.Version[tuf.RoleTargets] = 1
			r.Version[tuf.RoleSnapshot]++
			r.Version[tuf.RoleTimestamp]++
			r.Republish()
		}, tuf.ErrRollback, []string{"timestamp.json"}},
		"other snapshot":    {func(r *tuftest.Repo) { r.Publish(); r.Files[r.Name(tuf.RoleSnapshot)][0] = ' ' }, tuf.ErrMixAndMatch, []string{"timestamp.json"}},
		"other targets":     {func(r *tuftest.Repo) { r.Publish(); r.Files[r.Name(tuf.RoleTargets)][0] = ' ' }, tuf.ErrMixAndMatch, []string{"snapshot.json", "timestamp.json"}},
		"no timestamp":      {func(r *tuftest.Repo) { delete(r.Files, "metadata/timestamp.json") }, tuf.ErrTransport, nil},
		"no snapshot":       {func(r *tuftest.Repo) { r.Publish(); delete(r.Files, r.Name(tuf.RoleSnapshot)) }, tuf.ErrTransport, []string{"timestamp.json"}},
		"timestamp no json": {func(r *tuftest.Repo) { r.Files["metadata/timestamp.json"] = []byte("<html>") }, tuf.ErrMalformed, nil},
		"timestamp empty":   {func(r *tuftest.Repo) { r.Files["metadata/timestamp.json"] = nil }, tuf.ErrMalformed, nil},
		"root no json":      {func(r *tuftest.Repo) { r.Files["metadata/2.root.json"] = []byte("<html>") }, tuf.ErrMalformed, nil},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restart %v", name, restart), func(t *testing.T) {
				repo := tuftest.New()
				repo.Publish()
				d := newDevice(t, repo)
				d.refresh(nil)
				before := d.files()
				c.attack(repo)
				for range 2 {
					d.refresh(c.want)
					if names := changed(before, d.files()); slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(c.keeps, n) }) {
						t.Errorf("%v changed, at most %v allowed", names, c.keeps)
					}
					if _, err := d.Target(t.Context(), "fw/a.suit"); !errors.Is(err, tuf.ErrTargetUnknown) {
						t.Errorf("target answered after a refused refresh: %v", err)
					}
				}
				if restart {
					d.restart()
				}
				// The repository is honest again: root as it was, and everything published anew.
				delete(repo.Files, "metadata/2.root.json")
				clear(repo.Signers)
				clear(repo.Expires)
				repo.Version = map[tuf.Role]int64{tuf.RoleRoot: 1, tuf.RoleTargets: 10, tuf.RoleSnapshot: 10, tuf.RoleTimestamp: 10}
				repo.Publish()
				d.refresh(nil)
				if _, err := d.Target(t.Context(), "fw/a.suit"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// slow and long are what a transport's errors look like from here.
type transportError struct{ slow, long bool }

func (e transportError) Error() string { return "transport" }
func (e transportError) Timeout() bool { return e.slow }
func (e transportError) TooLong() bool { return e.long }

func TestTUF_07_EndlessData(t *testing.T) {
	for _, file := range []string{"metadata/2.root.json", "metadata/timestamp.json", "metadata/2.snapshot.json", "metadata/2.targets.json"} {
		for name, fault := range map[string]func(max int64) ([]byte, error){
			"remote stops":       func(int64) ([]byte, error) { return nil, transportError{long: true} },
			"remote ignores max": func(max int64) ([]byte, error) { return make([]byte, max+1), nil },
		} {
			repo := tuftest.New()
			d := newDevice(t, repo)
			d.refresh(nil)
			repo.Publish()
			before := d.files()
			d.o.Remote = remoteFunc(func(ctx context.Context, n string, max int64) ([]byte, error) {
				if max > 8<<20 {
					t.Errorf("%s: bound %d", n, max)
				}
				if n == file {
					return fault(max)
				}
				return repo.Get(ctx, n, max)
			})
			d.restart()
			d.refresh(tuf.ErrLength)
			if _, ok := d.files()["2.root.json"]; ok {
				t.Errorf("%s, %s: root kept", file, name)
			}
			_ = before
			d.o.Remote = repo
			d.restart()
			d.refresh(nil)
		}
	}
	// A listed length beyond the limit is not even asked for.
	repo := tuftest.New()
	repo.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleTimestamp {
			signed["meta"].(map[string]any)["snapshot.json"].(map[string]any)["length"] = int64(1) << 40
		}
	}
	repo.Publish()
	d := newDevice(t, repo)
	d.refresh(tuf.ErrLength)
	if slices.Contains(repo.Requests, "metadata/2.snapshot.json") {
		t.Error("asked for a terabyte")
	}
}

func TestTUF_08_SlowRetrieval(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	repo.Fault = func(string, []byte, error) ([]byte, error) {
		return nil, fmt.Errorf("get: %w", transportError{slow: true})
	}
	d.refresh(tuf.ErrSlowRetrieval)
	repo.Fault = func(string, []byte, error) ([]byte, error) { return nil, transportError{} }
	d.refresh(tuf.ErrTransport)
	repo.Fault = nil
	d.refresh(nil)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err := d.Refresh(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, tuf.ErrTransport) || errors.Is(err, tuf.ErrSlowRetrieval) {
		t.Errorf("caller's own deadline: %v", err)
	}
	d.refresh(nil)
}

type remoteFunc func(context.Context, string, int64) ([]byte, error)

func (f remoteFunc) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	return f(ctx, name, max)
}

func TestDirRemote(t *testing.T) {
	repo := tuftest.New()
	tree := fstest.MapFS{}
	for name, data := range repo.Files {
		tree[name] = &fstest.MapFile{Data: data}
	}
	remote := client.DirRemote(tree)
	d := newDevice(t, repo)
	d.o.Remote = remote
	d.restart()
	if data, err := d.Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "one" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := remote.Get(t.Context(), "metadata/timestamp.json", 10); !errors.Is(err, tuf.ErrLength) {
		t.Errorf("bound: %v, want ErrLength", err)
	}
	if data, err := remote.Get(t.Context(), "metadata/timestamp.json", int64(len(repo.Files["metadata/timestamp.json"]))); err != nil || !bytes.Equal(data, repo.Files["metadata/timestamp.json"]) {
		t.Errorf("at the bound: %v", err)
	}
	for _, name := range []string{"metadata/9.root.json", "metadata", "../x", ""} {
		if _, err := remote.Get(t.Context(), name, 10); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestOnRealDirectory(t *testing.T) {
	dir, err := simfs.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.fsys, d.o.Storage = dir, dir
	for range 3 {
		d.restart()
		d.refresh(nil)
		repo.Publish()
	}
	if _, err := os.Stat("lock"); err == nil {
		t.Error("the lock was made in the working directory")
	}
}
