// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// Reach says what a client that holds the root does, step by step.
func TestReach(t *testing.T) {
	w := newWorld(t)
	w.publish("fw/a", "a")
	ctx := t.Context()
	for range 3 {
		if err := w.repo.RotateRoot(ctx, repository.RootChange{}); err != nil {
			t.Fatal(err)
		}
	}
	check := func(from, to int64, want string, wantErr error) {
		t.Helper()
		steps, err := w.repo.Reach(ctx, from, to)
		if err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, s := range steps {
			text = append(text, fmt.Sprint(s.Role, " ", s.Version))
		}
		if got := strings.Join(text, ", "); got != want || !errors.Is(steps[len(steps)-1].Err, wantErr) {
			t.Errorf("from %d to %d: %s, %v; want %s, %v", from, to, got, steps[len(steps)-1].Err, want, wantErr)
		}
	}
	check(1, 0, "root 1, root 2, root 3, root 4, timestamp 2, snapshot 2, targets 2", nil)
	check(4, 4, "root 4, timestamp 2, snapshot 2, targets 2", nil)
	check(1, 3, "root 1, root 2, root 3", nil)
	check(1, 5, "root 1, root 2, root 3, root 4, root 5", fs.ErrNotExist)
	if _, err := w.repo.Reach(ctx, 5, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("from a root that does not exist: %v", err)
	}

	// A ceremony, tried before it is completed: signatures missing, then a timestamp key that did not sign yet, then all well.
	next := []tuf.Key{keysOf(t, testkeys.Ed25519(60))[0]}
	if err := w.repo.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: next}, nil); err != nil {
		t.Fatal(err)
	}
	check(1, 0, "root 1, root 2, root 3, root 4, timestamp 2, snapshot 2, targets 2", nil) // what is staged is not published
	check(3, 5, "root 3, root 4, root 5", tuf.ErrThreshold)
	w.attach(w.repo, tuf.RoleRoot, testkeys.Ed25519(0), testkeys.P256(0))
	check(3, 5, "root 3, root 4, root 5, timestamp 2", tuf.ErrThreshold)
	if err := w.repo.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: append(next, keysOf(t, testkeys.Ed25519(3))...)}, nil); err != nil {
		t.Fatal(err)
	}
	w.attach(w.repo, tuf.RoleRoot, testkeys.Ed25519(0), testkeys.P256(0))
	check(3, 5, "root 3, root 4, root 5, timestamp 2, snapshot 2, targets 2", nil)

	w.now = w.now.Add(3 * 24 * time.Hour)
	check(4, 0, "root 4, timestamp 2", tuf.ErrFreeze)
	w.now = w.now.Add(400 * 24 * time.Hour)
	check(3, 0, "root 3, root 4", tuf.ErrFreeze)

	// a root by strangers in the middle of the chain
	other := newWorld(t)
	o := options(&w.now)
	o.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(70), testkeys.Ed25519(71)}
	if _, err := repository.Open(ctx, repository.NewDir(other.sim.FS()), o); err != nil {
		t.Fatal(err)
	}
	if err := other.repo.RotateRoot(ctx, repository.RootChange{Signers: map[tuf.Role][]verify.Signer{tuf.RoleRoot: o.Signers[tuf.RoleRoot]}}); err != nil {
		t.Fatal(err)
	}
	if err := other.repo.RotateRoot(ctx, repository.RootChange{}); err != nil {
		t.Fatal(err)
	}
	data, err := durable.ReadFile(other.sim.FS(), "metadata/3.root.json", 1<<20)
	if err == nil {
		err = durable.WriteFile(w.sim.FS(), "metadata/3.root.json", data)
	}
	if err != nil {
		t.Fatal(err)
	}
	check(1, 0, "root 1, root 2, root 3", tuf.ErrThreshold)
}
