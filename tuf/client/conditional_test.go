// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// tagged is a Remote with versions: digests of the files, by another name on each server.
type tagged struct {
	*tuftest.Repo
	server  string
	spared  int
	always  bool // says that nothing has changed, whatever is asked
	longTag bool
}

type unchanged struct{}

func (unchanged) Error() string   { return "unchanged" }
func (unchanged) Unchanged() bool { return true }

func (r *tagged) GetUnless(ctx context.Context, name string, max int64, unless string) ([]byte, string, error) {
	data, err := r.Get(ctx, name, max)
	if err != nil {
		return nil, "", err
	}
	version := fmt.Sprintf("%s %v", r.server, verify.Sum(verify.SHA256, data))
	if r.longTag {
		version = strings.Repeat("x", 600)
	}
	if r.always || unless == version {
		r.spared++
		return nil, "", unchanged{}
	}
	return data, version, nil
}

func TestConditionalTimestamp(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	remote := &tagged{Repo: repo, server: "a"}
	d.o.Remote = remote
	d.restart()
	spared := func(what string, want int) {
		t.Helper()
		if remote.spared != want {
			t.Errorf("%s: %d times spared, want %d", what, remote.spared, want)
		}
		remote.spared = 0
	}
	d.refresh(nil)
	spared("first", 0)
	d.refresh(nil)
	spared("nothing new", 1)
	d.restart()
	d.refresh(nil)
	spared("nothing new after a restart", 1)
	repo.Publish()
	d.refresh(nil)
	spared("new", 0)
	d.restart()
	d.refresh(nil)
	spared("nothing new", 1)
	d.put("timestamp.json", "")
	d.restart()
	d.refresh(nil)
	spared("lost", 0)
	// An older file under a version that the record names would be taken for the newer: the record is bound to the bytes.
	older := d.files()["timestamp.json"]
	repo.Publish()
	d.refresh(nil)
	remote.spared = 0
	d.put("timestamp.json", older)
	d.restart()
	d.refresh(nil)
	spared("another file in its place", 0)
	// root revokes the key: what is held is gone, and so is the condition.
	repo.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.Ed25519(90)}
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
	spared("after a revocation", 0)
	remote.longTag = true
	repo.Publish()
	d.refresh(nil)
	d.refresh(nil)
	spared("a version too long to keep", 0)
}

// TestTUF_02: a server that says for ever that nothing has changed freezes the device no longer than the timestamp is valid.
func TestTUF_02_UnchangedForEver(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	remote := &tagged{Repo: repo}
	d.o.Remote = remote
	d.restart()
	remote.always = true
	d.refresh(tuf.ErrTransport) // it was not asked for anything that it could leave out
	remote.always = false
	d.refresh(nil)
	remote.always = true
	repo.Publish()
	d.refresh(nil)
	repo.Now = repo.Now.Add(24 * time.Hour)
	d.refresh(tuf.ErrFreeze)
	d.restart()
	d.refresh(tuf.ErrFreeze)
	remote.always = false
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
}

// What one mirror calls a version says nothing to another, and a mirror that is behind is not taken for current because it has not moved.
func TestTUF_11_ConditionalMirrors(t *testing.T) {
	repo, behind := tuftest.New(), tuftest.New()
	d := newDevice(t, repo)
	a, b := &tagged{Repo: repo, server: "a"}, &tagged{Repo: behind, server: "b"}
	behind.Files = clone(repo.Files)
	d.o.Remote, d.o.Mirrors = a, []client.Remote{b}
	d.restart()
	d.refresh(nil)
	down := func(_ string, _ []byte, _ error) ([]byte, error) { return nil, errors.New("down") }
	repo.Fault = down
	d.refresh(nil)
	d.refresh(nil)
	if b.spared != 1 {
		t.Errorf("the mirror was spared %d times", b.spared)
	}
	repo.Fault = nil
	behind.Fault = down
	repo.Publish()
	d.refresh(nil)
	repo.Fault, behind.Fault = down, nil
	d.refresh(tuf.ErrRollback)
	d.restart()
	d.refresh(tuf.ErrRollback)
}

// A process that was killed has left a newer timestamp than the one that the record speaks of. A server that is still at the older one has not
// "not changed": it is behind.
func TestTUF_03_ConditionAfterAKill(t *testing.T) {
	repo := tuftest.New()
	d := newDevice(t, repo)
	d.o.Remote = &tagged{Repo: repo, server: "a"}
	d.restart()
	d.refresh(nil)
	old := clone(repo.Files)
	repo.Publish()
	d.put("timestamp.json", string(repo.Files["metadata/timestamp.json"]))
	now := repo.Files
	repo.Files = old
	d.restart()
	d.refresh(tuf.ErrRollback)
	repo.Files = now
	d.refresh(nil)
}
