// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// rotated returns a device at root 2 whose online keys are not those of root 1, and the repository before.
func rotated(t *testing.T) (d *device, old map[string][]byte) {
	t.Helper()
	repo := tuftest.New()
	repo.Publish()
	d = newDevice(t, repo)
	d.refresh(nil)
	old = clone(repo.Files)
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(50)}
	repo.Keys[tuf.RoleSnapshot] = []verify.Signer{testkeys.P256(51)}
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
	return d, old
}

func clone(files map[string][]byte) map[string][]byte {
	c := make(map[string][]byte)
	for name, data := range files {
		c[name] = slices.Clone(data)
	}
	return c
}

// TestTUF_22: any file of the cache damaged in any way: the next start fetches it again, and trusts nothing older.
//
// covers: B1
func TestTUF_22_CacheDamage(t *testing.T) {
	damages := map[string]func(string) string{
		"empty": func(string) string { return "" }, "null": func(string) string { return "null" }, "object": func(string) string { return "{}" },
		"half": func(s string) string { return s[:len(s)/2] }, "zeros": func(s string) string { return strings.Repeat("\x00", len(s)) },
		"flipped": func(s string) string { return s[:len(s)/2] + string(s[len(s)/2]^1) + s[len(s)/2+1:] },
		"huge":    func(s string) string { return s + strings.Repeat(" ", 9<<20) },
	}
	for _, file := range []string{"2.root.json", "timestamp.json", "snapshot.json", "targets.json", "state.0", "state.1"} {
		for name, damage := range damages {
			t.Run(file+"/"+name, func(t *testing.T) {
				d, old := rotated(t)
				good := d.files()
				d.put(file, damage(good[file]))
				d.restart()
				now := d.repo.Files
				d.repo.Files = old // first a server from before the rotation
				if err := d.Refresh(t.Context()); err == nil {
					t.Error("older metadata accepted")
				}
				d.repo.Files = now
				d.refresh(nil)
				for _, f := range []string{"2.root.json", "timestamp.json", "snapshot.json", "targets.json"} {
					if d.files()[f] != good[f] {
						t.Errorf("%s is not what it was", f)
					}
				}
			})
		}
	}
}

func TestTUF_22_LostFiles(t *testing.T) {
	files := []string{"2.root.json", "timestamp.json", "snapshot.json", "targets.json"}
	for i := range 1 << len(files) {
		d, old := rotated(t)
		for bit, name := range files {
			if i>>bit&1 != 0 {
				if err := d.fsys.Remove(name); err != nil {
					t.Fatal(err)
				}
			}
		}
		d.restart()
		now := d.repo.Files
		d.repo.Files = old
		want := tuf.ErrThreshold // signed with the revoked timestamp key
		if i&1 != 0 {
			want = tuf.ErrCache // the newest root is lost and not offered
		}
		d.refresh(want)
		d.repo.Files = now
		d.refresh(nil)
	}
}

// The record alone remembers the versions when all metadata files are gone.
func TestTUF_22_RollbackAfterLoss(t *testing.T) {
	repo := tuftest.New()
	repo.Publish()
	before := clone(repo.Files)
	repo.Publish()
	d := newDevice(t, repo)
	d.refresh(nil)
	replaced := d.files()
	for _, lost := range [][]string{{"timestamp.json"}, {"snapshot.json"}, {"timestamp.json", "snapshot.json", "targets.json"}} {
		for _, name := range lost {
			if err := d.fsys.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		d.restart()
		now := repo.Files
		repo.Files = before
		d.refresh(tuf.ErrRollback)
		repo.Files = now
		d.refresh(nil)
		if names := changed(replaced, d.files()); slices.Contains(names, "timestamp.json") {
			t.Errorf("%v changed", names)
		}
	}
	// An older, valid copy in the place of the newer one.
	d.put("timestamp.json", string(before["metadata/timestamp.json"]))
	d.restart()
	now := repo.Files
	repo.Files = before
	d.refresh(tuf.ErrRollback)
	repo.Files = now
	d.refresh(nil)
}

func TestTUF_22_NotAFile(t *testing.T) {
	for _, name := range []string{"timestamp.json", "snapshot.json", "targets.json", "2.root.json"} {
		for kind, put := range map[string]func(path string) error{
			"directory": func(path string) error { return os.Mkdir(path, 0o700) },
			"symlink":   func(path string) error { return os.Symlink("/etc/passwd", path) },
			"loop":      func(path string) error { return os.Symlink(filepath.Base(path), path) },
		} {
			repo := tuftest.New()
			repo.Publish(tuf.RoleRoot)
			path := t.TempDir()
			dir, err := simfs.OpenDir(path)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			d := newDevice(t, repo)
			d.fsys, d.o.Storage = dir, dir
			d.restart()
			d.refresh(nil)
			if err := os.Remove(filepath.Join(path, name)); err != nil {
				t.Fatal(err)
			}
			if err := put(filepath.Join(path, name)); err != nil {
				t.Skipf("needs a file system with symbolic links; set TMPDIR to a folder on one: %v", err)
			}
			d.restart()
			if err := d.Refresh(t.Context()); err != nil {
				t.Errorf("%s is a %s: %v", name, kind, err)
			}
			d.restart()
			repo.Requests = nil
			d.refresh(nil)
			if len(repo.Requests) != 2 {
				t.Errorf("%s was a %s: still not repaired: %v", name, kind, repo.Requests)
			}
		}
	}
}

// Both copies of the record damaged, which no power cut does: the device goes on with what the files say.
func TestTUF_22_RecordLost(t *testing.T) {
	d, old := rotated(t)
	d.put("state.0", "x")
	d.put("state.1", "x")
	d.restart()
	now := d.repo.Files
	d.repo.Files = old
	d.refresh(tuf.ErrThreshold)
	d.repo.Files = now
	d.refresh(nil)
}

func TestTUF_15_RootChain(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	for i := range 20 {
		repo.Keys[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(100 + i)}
		repo.Publish(tuf.RoleRoot)
	}
	d.o.Limits.Roots = 7
	d.restart()
	for _, want := range []int{8, 15, 21} {
		d.refresh(nil)
		if _, ok := d.files()[fmt.Sprintf("%d.root.json", want)]; !ok {
			t.Errorf("root %d not reached", want)
		}
		if _, ok := d.files()[fmt.Sprintf("%d.root.json", want+1)]; ok {
			t.Errorf("root %d fetched beyond the limit", want+1)
		}
	}
	// A bad root after good ones: the good ones stay, the bad one leaves no trace.
	repo.Publish(tuf.RoleRoot)
	repo.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(66)}
	repo.Publish(tuf.RoleRoot)
	d.refresh(tuf.ErrThreshold)
	files := d.files()
	if _, ok := files["22.root.json"]; !ok {
		t.Error("verified root 22 not kept")
	}
	if _, ok := files["23.root.json"]; ok {
		t.Error("unverified root 23 kept")
	}
	delete(repo.Files, "metadata/23.root.json")
	d.refresh(nil)
	// A restart walks the chain from the provisioned root without asking for it again.
	repo.Requests = nil
	d.restart()
	d.refresh(nil)
	if want := []string{"metadata/23.root.json", "metadata/timestamp.json"}; !slices.Equal(repo.Requests, want) {
		t.Errorf("requests %v, want %v", repo.Requests, want)
	}
}

// TestTUF_15_HiddenRoot: root 2 revoked the timestamp key; a thief of that key hides root 2 from a device that knows it.
//
// covers: B4
func TestTUF_15_HiddenRoot(t *testing.T) {
	d, old := rotated(t)
	d.repo.Files = old
	for _, restart := range []bool{false, true} {
		if restart {
			d.restart()
		}
		d.refresh(tuf.ErrThreshold)
	}
}

// TestTUF_05: version numbers driven up with stolen online keys, then a root that revokes them. Also when power fails
// between the new root and the forgetting.
func TestTUF_05_FastForwardRecovery(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot} {
		for _, cut := range []bool{false, true} {
			repo := tuftest.New()
			for _, r := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
				repo.Version[r] = 1 << 53
			}
			repo.Republish()
			d := newDevice(t, repo)
			d.refresh(nil)
			repo.Keys[role] = []verify.Signer{testkeys.Ed25519(70)}
			repo.Publish(tuf.RoleRoot)
			repo.Version = map[tuf.Role]int64{tuf.RoleRoot: 2}
			repo.Publish()
			if cut {
				d.put("2.root.json", string(repo.Root(2)))
				d.restart()
			}
			d.refresh(nil)
			d.restart()
			d.refresh(nil)
		}
	}
}

// A key that is added revokes nothing: versions are remembered.
func TestTUF_05_AddedKeyForgetsNothing(t *testing.T) {
	repo := tuftest.New()
	repo.Publish()
	old := clone(repo.Files)
	repo.Publish()
	d := newDevice(t, repo)
	d.refresh(nil)
	repo.Keys[tuf.RoleTimestamp] = append(repo.Keys[tuf.RoleTimestamp], testkeys.Ed25519(71))
	repo.Publish(tuf.RoleRoot)
	old["metadata/2.root.json"] = repo.Root(2)
	repo.Files = old
	d.refresh(tuf.ErrRollback)
}

func TestTUF_24_TwoProcesses(t *testing.T) {
	repo := tuftest.New()
	a := newDevice(t, repo)
	b := newDevice(t, repo)
	b.fsys, b.o.Storage = a.fsys, a.fsys
	b.restart()
	a.refresh(nil)
	old := clone(repo.Files)
	repo.Publish()
	b.refresh(nil)
	// a has older metadata in memory, and is offered just that.
	repo.Files = old
	a.refresh(tuf.ErrRollback)
	repo.Publish()
	repo.Publish()
	a.refresh(nil)

	lock, err := a.fsys.Lock("lock")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		err = a.Refresh(t.Context())
		if !errors.Is(err, tuf.ErrCache) || !errors.Is(err, simfs.ErrBusy) {
			t.Errorf("locked: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err = a.Refresh(ctx); !errors.Is(err, simfs.ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("locked, and the caller in a hurry: %v", err)
		}
	})
	if _, err := a.Target(t.Context(), "fw/a.suit"); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("target answered without a refresh: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	a.refresh(nil)
	// One that is released meanwhile is waited for.
	if lock, err = a.fsys.Lock("lock"); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(10*time.Second, func() {
			if err := lock.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := a.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The other process got no further than a newer timestamp. That is on the medium, so it counts here too.
func TestTUF_24_OtherProcessFailedHalfWay(t *testing.T) {
	repo := tuftest.New()
	a := newDevice(t, repo)
	b := newDevice(t, repo)
	b.fsys, b.o.Storage = a.fsys, a.fsys
	b.restart()
	a.refresh(nil)
	old := clone(repo.Files)
	repo.Publish(tuf.RoleSnapshot, tuf.RoleTimestamp)
	now := clone(repo.Files)
	delete(repo.Files, repo.Name(tuf.RoleSnapshot))
	b.refresh(tuf.ErrTransport)
	repo.Files = old
	a.refresh(tuf.ErrRollback)
	repo.Files = now
	a.refresh(nil)
	b.refresh(nil)
}

func TestTUF_24_Goroutines(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if data, err := d.Find(t.Context(), "fw/a.suit"); err != nil || string(data) != "one" {
				t.Errorf("%q, %v", data, err)
			}
			if _, err := d.Target(t.Context(), "fw/a.suit"); err != nil && !errors.Is(err, tuf.ErrTargetUnknown) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
