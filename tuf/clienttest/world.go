// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

const (
	root      = tuf.RoleRoot
	timestamp = tuf.RoleTimestamp
	snapshot  = tuf.RoleSnapshot
	targets   = tuf.RoleTargets
)

const day = 24 * time.Hour

// world is a repository and a client that has been given its first root.
type world struct {
	tb
	*tuftest.Repo
	t     testing.TB
	setup Setup
	c     Client
}

// tb is what the cases use of testing.TB. All of it would hide methods of the repository.
type tb interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// newWorld begins with version 1 of each role, valid for thirty days, without hashes in timestamp and snapshot.
func newWorld(t testing.TB, setup Setup) *world {
	w := &world{tb: t, t: t, Repo: tuftest.New(), setup: setup}
	w.Hashes = false
	for _, role := range []tuf.Role{root, targets, snapshot, timestamp} {
		w.Expires[role] = w.Now.Add(30 * day)
		w.Put(role)
	}
	return w
}

// begin makes the client. Everything else that has to do with it does so, too.
func (w *world) begin() {
	w.Helper()
	if w.c != nil {
		return
	}
	var err error
	if w.c, err = w.setup(w.t, w.Root(1), w.Repo); err != nil {
		w.Fatalf("the first root is refused: %v", err)
	}
}

// publishAll publishes every role, as an honest repository does.
func (w *world) publishAll() { w.Publish(root, targets, snapshot, timestamp) }

func (w *world) refresh() error {
	w.begin()
	w.Requests = nil
	return w.c.Refresh(w.Context())
}

func (w *world) download(targets ...string) error {
	w.begin()
	w.Requests = nil
	return w.c.Download(w.Context(), targets...)
}

func (w *world) accepts() {
	w.Helper()
	if err := w.refresh(); err != nil {
		w.Fatalf("refresh: %v", err)
	}
}

func (w *world) refuses() {
	w.Helper()
	if err := w.refresh(); err == nil {
		w.Fatal("refresh succeeded")
	}
}

func (w *world) downloads(names ...string) {
	w.Helper()
	if err := w.download(names...); err != nil {
		w.Fatalf("download %q: %v", names, err)
	}
}

func (w *world) doesNotDownload(names ...string) {
	w.Helper()
	if err := w.download(names...); err == nil {
		w.Fatalf("download %q succeeded", names)
	}
}

// trusts compares the versions of all trusted metadata, written as "root 1, snapshot 2".
func (w *world) trusts(want string) {
	w.Helper()
	var list []string
	for _, role := range slices.Sorted(maps.Keys(w.c.Trusted())) {
		list = append(list, fmt.Sprintf("%s %s", role, w.version(tuf.Role(role))))
	}
	if got := strings.Join(list, ", "); got != want {
		w.Fatalf("trusts %q, want %q", got, want)
	}
}

// trustsVersion compares that of one role; "" is that none is trusted.
func (w *world) trustsVersion(role tuf.Role, want string) {
	w.Helper()
	if got := w.version(role); got != want {
		w.Fatalf("trusts %s version %q, want %q", role, got, want)
	}
}

func (w *world) version(role tuf.Role) string {
	data := w.c.Trusted()[string(role)]
	if data == nil {
		return ""
	}
	signed, _ := tuftest.Open(data)
	return fmt.Sprint(signed["version"])
}

// trustsServed compares a role's trusted metadata with what the repository has, byte for byte.
func (w *world) trustsServed(roles ...tuf.Role) {
	w.Helper()
	for _, role := range roles {
		if want := w.Files[w.Name(role)]; !bytes.Equal(w.c.Trusted()[string(role)], want) {
			w.Fatalf("trusted %s is not what is served", role)
		}
	}
}

// asked compares the requests for metadata since the last command, written as "2.root timestamp".
func (w *world) asked(want string) {
	w.Helper()
	if got := w.metadataRequests(); got != want {
		w.Fatalf("asked for %q, want %q", got, want)
	}
}

func (w *world) metadataRequests() string {
	var list []string
	for _, name := range w.Requests {
		if name, ok := strings.CutPrefix(name, "metadata/"); ok {
			list = append(list, strings.TrimSuffix(name, ".json"))
		}
	}
	return strings.Join(list, " ")
}

// askedLast compares the last of them.
func (w *world) askedLast(want string) {
	w.Helper()
	if got := w.metadataRequests(); got != want && !strings.HasSuffix(got, " "+want) {
		w.Fatalf("asked for %q, want %q as the last", got, want)
	}
}

// targetRequests is how many targets were asked for since the last command.
func (w *world) targetRequests() (n int) {
	for _, name := range w.Requests {
		if strings.HasPrefix(name, "targets/") {
			n++
		}
	}
	return n
}

// has compares the downloaded targets, in any order.
func (w *world) has(want ...string) {
	w.Helper()
	var got []string
	for _, data := range w.c.Targets() {
		got = append(got, string(data))
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		w.Fatalf("has targets %q, want %q", got, want)
	}
}

// lists changes what a role's metadata lists for another file.
func (w *world) lists(in, of tuf.Role, change func(meta map[string]any)) {
	w.edit(in, func(signed map[string]any) { change(signed["meta"].(map[string]any)[of.Filename()].(map[string]any)) })
}

// edit changes the signed part of a role, from the next Publish or Put on until edit is called again.
func (w *world) edit(role tuf.Role, change func(signed map[string]any)) {
	w.Edit = func(published tuf.Role, signed map[string]any) {
		if published == role {
			change(signed)
		}
	}
}

// restart begins a role's versions again.
func (w *world) restart(role tuf.Role, version int64) { w.Version[role] = version - 1 }
