// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// online returns the repository as a server has it: without the keys of root and targets.
func (w *world) online() *repository.Repository {
	w.t.Helper()
	o := options(&w.now)
	delete(o.Signers, tuf.RoleRoot)
	delete(o.Signers, tuf.RoleTargets)
	r, err := repository.Open(w.t.Context(), repository.NewDir(w.sim.FS()), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// attach signs what is staged with each key, as its owner does elsewhere.
func (w *world) attach(r *repository.Repository, role tuf.Role, signers ...verify.Signer) {
	w.t.Helper()
	payload, err := r.SigningPayload(w.t.Context(), role)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range signers {
		sig, err := s.Sign(w.t.Context(), payload)
		if err == nil {
			err = r.Attach(w.t.Context(), role, sig)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestCeremonyTargets(t *testing.T) {
	w := newWorld(t)
	w.publish("fw/a", "old")
	r := w.online()
	if err := r.Publish(t.Context(), map[string][]byte{"fw/a": nil}); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("published without the key: %v", err)
	}
	if err := r.Complete(t.Context(), tuf.RoleTargets); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing staged: %v", err)
	}
	if err := r.Stage(t.Context(), repository.Change{Add: map[string][]byte{"fw/a": []byte("new")}}); err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(t.Context(), tuf.RoleTargets); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("unsigned: %v", err)
	}
	missing, err := r.Missing(t.Context(), tuf.RoleTargets)
	if err != nil || len(missing) != 1 || missing[0].Have != 0 || missing[0].Need != 1 || len(missing[0].Keys) != 1 || missing[0].Keys[0] != keysOf(t, testkeys.P256(1))[0] {
		t.Errorf("missing %v, %v", missing, err)
	}
	payload, err := r.SigningPayload(t.Context(), tuf.RoleTargets)
	if err != nil {
		t.Fatal(err)
	}
	for _, stranger := range []verify.Signer{testkeys.P256(9), testkeys.Ed25519(3)} {
		sig, err := stranger.Sign(t.Context(), payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Attach(t.Context(), tuf.RoleTargets, sig); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("stranger: %v", err)
		}
	}
	w.holds("fw/a", "old")
	w.attach(r, tuf.RoleTargets, testkeys.P256(1), testkeys.P256(1))
	w.holds("fw/a", "old") // nothing is visible yet
	if err := r.Complete(t.Context(), tuf.RoleTargets); err != nil {
		t.Fatal(err)
	}
	w.holds("fw/a", "new")
	// what others published meanwhile wins
	if err := r.Stage(t.Context(), repository.Change{Remove: []string{"fw/a"}}); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleTargets, testkeys.P256(1))
	w.publish("fw/b", "b")
	if err := r.Complete(t.Context(), tuf.RoleTargets); !errors.Is(err, repository.ErrStale) {
		t.Errorf("overtaken: %v", err)
	}
	w.holds("fw/a", "new")
}

func TestCeremonyRoot(t *testing.T) {
	w := newWorld(t)
	w.publish("fw/a", "a")
	r := w.online()
	next := []verify.Signer{testkeys.P256(0), testkeys.Ed25519(50), testkeys.Ed25519(51)}
	// root: one key stays, two are new, threshold 3; targets: a second key beside the first
	if err := r.StageRoot(t.Context(), map[tuf.Role][]tuf.Key{
		tuf.RoleRoot: keysOf(t, next...), tuf.RoleTargets: keysOf(t, testkeys.P256(1), testkeys.Ed25519(52)),
	}, map[tuf.Role]int{tuf.RoleRoot: 3}); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleRoot, next...)
	missing, err := r.Missing(t.Context(), tuf.RoleRoot)
	if err != nil || len(missing) != 1 || missing[0].By != "root 1" || missing[0].Have != 1 || missing[0].Need != 2 {
		t.Errorf("missing %v, %v", missing, err)
	}
	if err := r.Complete(t.Context(), tuf.RoleRoot); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("without the old root: %v", err)
	}
	w.attach(r, tuf.RoleRoot, testkeys.Ed25519(0))
	if missing, err := r.Missing(t.Context(), tuf.RoleRoot); err != nil || len(missing) != 0 {
		t.Errorf("missing %v, %v", missing, err)
	}
	if err := r.Complete(t.Context(), tuf.RoleRoot); err != nil {
		t.Fatal(err)
	}
	w.holds("fw/a", "a")
	// the new targets key signs, then the old one goes
	if err := r.Stage(t.Context(), repository.Change{Add: map[string][]byte{"fw/a": []byte("by the new key")}}); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleTargets, testkeys.Ed25519(52))
	if err := r.Complete(t.Context(), tuf.RoleTargets); err != nil {
		t.Fatal(err)
	}
	if err := r.StageRoot(t.Context(), map[tuf.Role][]tuf.Key{tuf.RoleTargets: keysOf(t, testkeys.Ed25519(52))}, nil); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleRoot, next...)
	if err := r.Complete(t.Context(), tuf.RoleRoot); err != nil {
		t.Fatal(err)
	}
	w.holds("fw/a", "by the new key")
	// another timestamp key: with the old signer and the new one at hand no client falls between the roots
	if err := r.StageRoot(t.Context(), map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: keysOf(t, testkeys.Ed25519(54))}, nil); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleRoot, next...)
	if err := r.Complete(t.Context(), tuf.RoleRoot); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("without the new timestamp signer: %v", err)
	}
	w.holds("fw/a", "by the new key")
	o := options(&w.now)
	o.Signers = map[tuf.Role][]verify.Signer{tuf.RoleSnapshot: o.Signers[tuf.RoleSnapshot], tuf.RoleTimestamp: {testkeys.Ed25519(3), testkeys.Ed25519(54)}}
	if r, err = repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o); err != nil {
		t.Fatal(err)
	}
	if err := r.Complete(t.Context(), tuf.RoleRoot); err != nil {
		t.Fatal(err)
	}
	w.holds("fw/a", "by the new key")
	if _, err := r.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	// a root that leaves the offline targets without a key is not published
	if err := r.StageRoot(t.Context(), map[tuf.Role][]tuf.Key{tuf.RoleTargets: keysOf(t, testkeys.Ed25519(53))}, nil); err != nil {
		t.Fatal(err)
	}
	w.attach(r, tuf.RoleRoot, next...)
	if err := r.Complete(t.Context(), tuf.RoleRoot); !errors.Is(err, repository.ErrIncomplete) {
		t.Errorf("targets without a key: %v", err)
	}
	w.holds("fw/a", "by the new key")
}
