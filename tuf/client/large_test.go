// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// streaming makes any Remote a Streamer.
type streaming struct{ client.Remote }

func (s streaming) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	data, err := s.Get(ctx, name, 1<<30)
	return io.NopCloser(bytes.NewReader(data)), err
}

// modes are the ways in which a cache keeps targets metadata: in memory or on the medium, and with or without what an earlier process knew.
var modes = map[string]func(o *client.Options){
	"memory":         func(*client.Options) {},
	"medium":         func(o *client.Options) { o.Limits.Memory = 1 },
	"sealed":         func(o *client.Options) { o.Seal = testkeys.Macer(7) },
	"sealed, medium": func(o *client.Options) { o.Seal, o.Limits.Memory = testkeys.Macer(7), 1 },
}

func newModeDevice(t *testing.T, repo *tuftest.Repo, mode string) *device {
	t.Helper()
	d := newDevice(t, repo)
	d.o.Remote = streaming{repo}
	modes[mode](&d.o)
	d.restart()
	return d
}

// big publishes a repository in which targets and the delegated role A each have a few blocks of entries.
func big() *tuftest.Repo {
	repo := tuftest.New()
	repo.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"acme/*"}})
	for i := range 300 {
		repo.Targets[fmt.Sprintf("fw/%04d", i)] = fmt.Append(nil, "one ", i)
		repo.DelegatedTargets["A"][fmt.Sprintf("acme/%04d", i)] = fmt.Append(nil, "A ", i)
	}
	publishAll(repo)
	return repo
}

func findBoth(t *testing.T, d *device) {
	t.Helper()
	for name, want := range map[string]string{"fw/0150": "one 150", "acme/0150": "A 150"} {
		if data, err := d.Find(t.Context(), name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}

// Whatever happens to a file of the cache, a start finds the right bytes and repairs it, in every mode.
func TestTUF_22_DamageInEveryMode(t *testing.T) {
	for mode := range modes {
		repo := big()
		d := newModeDevice(t, repo, mode)
		findBoth(t, d)
		d.restart()
		findBoth(t, d)
		good := d.files()
		if got := slices.ContainsFunc(names(good), func(n string) bool { return strings.HasSuffix(n, ".index") }); got != strings.Contains(mode, "sealed") {
			t.Errorf("%s: indexes: %v", mode, names(good))
		}
		for name, text := range good {
			if name == "lock" || strings.HasPrefix(name, "state") {
				continue
			}
			for i, damaged := range []string{"", "null", text[:len(text)/2], text + "x", strings.Repeat("\x00", len(text)), flipAll(text), flip(text, len(text)/2), flip(text, 40)} {
				for _, running := range []bool{false, true} {
					d.put(name, damaged)
					if !running {
						d.restart()
					}
					findBoth(t, d)
					if !running {
						findBoth(t, d)
					}
					d.restart()
					findBoth(t, d)
					if now := d.files(); !strings.HasSuffix(name, ".index") && now[name] != text && !(running && strings.HasPrefix(name, "role-")) {
						// what lies unread beside what is needed may stay damaged as long as it is not read
						if i < 6 || mode != "sealed, medium" {
							t.Errorf("%s: %s, damage %d, running %v: not repaired", mode, name, i, running)
						}
					}
					d.put(name, text)
					d.restart()
				}
			}
		}
	}
}

func names(files map[string]string) (list []string) {
	for name := range files {
		list = append(list, name)
	}
	return list
}

func flip(s string, at int) string { return s[:at] + string(s[at]^1) + s[at+1:] }

func flipAll(s string) string {
	b := []byte(s)
	for i := 0; i < len(b); i += 1000 {
		b[i] ^= 1
	}
	return string(b)
}

// A start with a seal reads of the targets metadata what a look-up needs; one without verifies all of it.
func TestWarmStart(t *testing.T) {
	repo := big()
	for _, sealed := range []bool{true, false} {
		d := newModeDevice(t, repo, "sealed, medium")
		findBoth(t, d)
		if !sealed {
			d.o.Seal = nil
		}
		spy := &spyFS{FS: d.fsys, read: map[string]int{}}
		d.o.Storage = spy
		d.restart()
		d.refresh(nil)
		size := len(d.files()["targets.json"])
		atStart := spy.read["targets.json"]
		if sealed && atStart != 0 || !sealed && atStart != size {
			t.Errorf("sealed %v: %d bytes of %d read at the start", sealed, atStart, size)
		}
		if _, err := d.Target(t.Context(), "fw/0299"); err != nil {
			t.Error(err)
		}
		if n := spy.read["targets.json"] - atStart; n == 0 || n > 3*16<<10 {
			t.Errorf("sealed %v: %d bytes read for a look-up", sealed, n)
		}
	}
}

// spyFS counts how much is read of each file.
type spyFS struct {
	simfs.FS
	read map[string]int
}

func (s *spyFS) OpenFile(name string, flag int) (simfs.File, error) {
	f, err := s.FS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return spyFile{f, s, name}, nil
}

type spyFile struct {
	simfs.File
	spy  *spyFS
	name string
}

func (f spyFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.spy.read[f.name] += n
	return n, err
}

// Somebody who can write the cache, but does not have the device's key, puts targets metadata of his own there: with an index under another
// key, with none, with the device's index for another file, and with what the device itself wrote earlier.
func TestTUF_22_SealedCacheTampered(t *testing.T) {
	for _, mode := range []string{"sealed", "sealed, medium"} {
		repo := big()
		d := newModeDevice(t, repo, mode)
		findBoth(t, d)
		older := d.files()
		repo.Targets["fw/0150"] = []byte("one 150")
		repo.Targets["fw/new"] = []byte("new")
		repo.Publish()
		findBoth(t, d)
		good := d.files()

		thief := big()
		thief.Version[tuf.RoleTargets] = repo.Version[tuf.RoleTargets] - 1
		thief.Keys[tuf.RoleTargets] = []verify.Signer{testkeys.Ed25519(66)}
		thief.Targets["fw/0150"] = []byte("bad")
		thief.Publish(tuf.RoleRoot)
		thief.Publish()
		thief.Files["metadata/1.root.json"] = thief.Root(2)
		robbed := newModeDevice(t, thief, mode)
		robbed.o.Root, robbed.o.Seal = thief.Root(2), testkeys.Macer(66)
		robbed.restart()
		if data, err := robbed.Find(t.Context(), "fw/0150"); err != nil || string(data) != "bad" {
			t.Fatalf("the thief's own device: %q, %v", data, err)
		}
		bad := robbed.files()
		for what, files := range map[string]map[string]string{
			"his index":        {"targets.json": bad["targets.json"], "targets.index": bad["targets.index"]},
			"no index":         {"targets.json": bad["targets.json"], "targets.index": ""},
			"the index stays":  {"targets.json": bad["targets.json"], "targets.index": good["targets.index"]},
			"index of another": {"targets.json": bad["targets.json"], "targets.index": good[roleIndex(good)]},
			"older, both":      {"targets.json": older["targets.json"], "targets.index": older["targets.index"]},
			"older, file":      {"targets.json": older["targets.json"]},
			"older, index":     {"targets.index": older["targets.index"]},
		} {
			for name, text := range files {
				d.put(name, text)
			}
			d.restart()
			findBoth(t, d)
			if data, err := d.Find(t.Context(), "fw/new"); err != nil || string(data) != "new" {
				t.Errorf("%s: %s: %q, %v", mode, what, data, err)
			}
			for name, text := range good {
				d.put(name, text)
			}
		}
	}
}

func roleIndex(files map[string]string) string {
	list := names(files)
	return list[slices.IndexFunc(list, func(n string) bool { return strings.HasPrefix(n, "role-") && strings.HasSuffix(n, ".index") })]
}

// Another process replaced the file that this one reads from: that is noticed, and the next refresh is enough.
func TestTUF_24_LargeFileReplaced(t *testing.T) {
	for _, mode := range []string{"medium", "sealed, medium"} {
		repo := big()
		a := newModeDevice(t, repo, mode)
		a.refresh(nil)
		b := newModeDevice(t, repo, mode)
		b.fsys, b.o.Storage = a.fsys, a.fsys
		b.restart()
		repo.Targets["fw/0150"] = []byte("two")
		repo.Publish()
		b.refresh(nil)
		if _, err := a.Target(t.Context(), "fw/0150"); !errors.Is(err, tuf.ErrCache) {
			t.Errorf("%s: got %v, want ErrCache", mode, err)
		}
		if _, err := a.Target(t.Context(), "fw/0150"); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("%s: not refreshed: %v", mode, err)
		}
		a.refresh(nil)
		if file, err := a.Target(t.Context(), "fw/0150"); err != nil || file.Verify([]byte("two")) != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

// endless never stops; it counts what is taken.
type endless struct {
	streaming
	name string
	read *int
}

func (e endless) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if strings.HasSuffix(name, e.name) {
		return io.NopCloser(e), nil
	}
	return e.streaming.Open(ctx, name)
}

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	*e.read += len(p)
	return len(p), nil
}

// TestTUF_07: endless metadata that is written to the medium stops at the limit, and leaves nothing there.
func TestTUF_07_EndlessStream(t *testing.T) {
	for _, file := range []string{".targets.json", ".A.json"} {
		repo := big()
		repo.Hashes = false
		publishAll(repo)
		d := newModeDevice(t, repo, "medium")
		read := 0
		d.o.Remote = endless{streaming{repo}, file, &read}
		d.restart()
		before := d.files()
		if _, err := d.Find(t.Context(), "acme/0001"); !errors.Is(err, tuf.ErrLength) {
			t.Errorf("%s: got %v, want ErrLength", file, err)
		}
		if read > 8<<20+64<<10 {
			t.Errorf("%s: %d bytes read", file, read)
		}
		for _, name := range changed(before, d.files()) {
			if strings.HasSuffix(name, ".tmp") || file == "."+name {
				t.Errorf("%s: %s is left", file, name)
			}
		}
		d.o.Remote = streaming{repo}
		d.restart()
		findBoth(t, d)
	}
}

// A key that changed makes an index worthless, though the file be the same.
func TestTUF_18_IndexOfOtherKeys(t *testing.T) {
	for mode := range modes {
		repo := twoDelegators()
		d := newModeDevice(t, repo, mode)
		for range 2 {
			if data, err := d.Find(t.Context(), "a/x"); err != nil || string(data) != "a" {
				t.Errorf("%s: a/x: %q, %v", mode, data, err)
			}
			d.restart()
			if _, err := d.Find(t.Context(), "b/x"); !errors.Is(err, tuf.ErrThreshold) {
				t.Errorf("%s: b/x: %v, want ErrThreshold", mode, err)
			}
		}
		// The same for the top level: root revokes the targets key, and the targets metadata stays as it is.
		repo.Keys[tuf.RoleTargets] = []verify.Signer{testkeys.Ed25519(78)}
		repo.Publish(tuf.RoleRoot)
		d.restart()
		d.refresh(tuf.ErrThreshold)
		publishAll(repo)
		d.refresh(nil)
	}
}

// An index that fits in everything, for a file in which one digest is another: all that keeps it out is the MAC.
func TestTUF_22_ForgedIndex(t *testing.T) {
	for _, mode := range []string{"sealed", "sealed, medium"} {
		repo := big()
		d := newModeDevice(t, repo, mode)
		findBoth(t, d)
		good := d.files()
		name := func(data string) string { return fmt.Sprintf("%x", verify.Sum(verify.SHA256, []byte(data)).Bytes()) }
		bad := strings.Replace(good["targets.json"], name("one 150"), name("bad 150"), 1)
		index := good["targets.index"]
		for at := 0; at < len(bad); at += 16 << 10 {
			end := min(at+16<<10, len(bad))
			was, is := verify.Sum(verify.SHA256, []byte(good["targets.json"][at:end])), verify.Sum(verify.SHA256, []byte(bad[at:end]))
			index = strings.Replace(index, string(was.Bytes()), string(is.Bytes()), 1)
		}
		if index == good["targets.index"] || bad == good["targets.json"] {
			t.Fatal("nothing was forged")
		}
		repo.Files["targets/fw/"+name("bad 150")+".0150"] = []byte("bad 150")
		d.put("targets.json", bad)
		d.put("targets.index", index)
		d.restart()
		findBoth(t, d)
	}
}
