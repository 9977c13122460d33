// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// newWorldWith is newWorld with further signers.
func newWorldWith(t *testing.T, more map[tuf.Role][]verify.Signer) *world {
	t.Helper()
	w := newWorld(t)
	o := options(&w.now)
	for role, signers := range more {
		o.Signers[role] = signers
	}
	var err error
	if w.repo, err = repository.Open(t.Context(), repository.NewDir(w.sim.FS()), o); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) apply(changes ...repository.Change) {
	w.t.Helper()
	if err := w.repo.Apply(w.t.Context(), changes...); err != nil {
		w.t.Fatal(err)
	}
}

// holds checks what a client finds; content "" is nothing.
func (w *world) holds(name, content string) {
	w.t.Helper()
	data, err := w.Find(w.t.Context(), name)
	if string(data) != content || content == "" && !errors.Is(err, tuf.ErrTargetUnknown) || content != "" && err != nil {
		w.t.Errorf("%s: %q, %v, want %q", name, data, err, content)
	}
}

func keysOf(t *testing.T, signers ...verify.Signer) (keys []tuf.Key) {
	t.Helper()
	for _, s := range signers {
		key, err := tuf.KeyOf(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

func TestDelegation(t *testing.T) {
	acme, board := testkeys.Ed25519(100), testkeys.P256(101)
	w := newWorldWith(t, map[tuf.Role][]verify.Signer{"acme": {acme}, "acme-board": {board}})
	w.apply(
		repository.Change{Add: map[string][]byte{"fw/own": []byte("own")}, Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, acme), Paths: []string{"acme/*"}}}},
		repository.Change{Role: "acme", Add: map[string][]byte{"acme/radio": []byte("radio")}, Delegate: []repository.Delegation{
			{Role: "acme-board", Keys: keysOf(t, board), Paths: []string{"acme/board"}, Terminating: true}}},
		repository.Change{Role: "acme-board", Add: map[string][]byte{"acme/board": []byte("board"), "fw/stolen": []byte("not theirs")}},
	)
	w.holds("fw/own", "own")
	w.holds("acme/radio", "radio")
	w.holds("acme/board", "board")
	w.holds("fw/stolen", "")
	w.publish("fw/own", "newer") // the supplier's roles stay as they are
	w.holds("acme/board", "board")
	w.apply(repository.Change{Role: "acme", Remove: []string{"acme/radio"}})
	w.holds("acme/radio", "")
	// another key: old metadata is refused until it is signed anew
	other := testkeys.Ed25519(102)
	if err := w.repo.Apply(t.Context(), repository.Change{Role: "acme", Delegate: []repository.Delegation{{Role: "acme-board", Keys: keysOf(t, other), Paths: []string{"acme/board"}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Find(t.Context(), "acme/board"); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("old key: %v", err)
	}
	w.apply(repository.Change{Revoke: []tuf.Role{"acme"}})
	w.holds("acme/board", "")
	w.holds("fw/own", "newer")
	if err := w.repo.Withdraw(t.Context(), "fw/own"); err != nil {
		t.Fatal(err)
	}
	w.holds("fw/own", "")
	if err := w.repo.Withdraw(t.Context(), "fw/own"); !errors.Is(err, tuf.ErrTargetUnknown) {
		t.Errorf("withdrawn twice: %v", err)
	}
}

func TestDelegationRefused(t *testing.T) {
	key := testkeys.Ed25519(100)
	keys := keysOf(t, key)
	bins := func(bits int) repository.Change {
		return repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: bits, Keys: keys}}
	}
	to := func(role string, paths ...string) repository.Change {
		return repository.Change{Delegate: []repository.Delegation{{Role: tuf.Role(role), Keys: keys, Paths: paths}}}
	}
	for name, c := range map[string]struct {
		changes []repository.Change
		want    error
	}{
		"root": {[]repository.Change{to("root", "*")}, tuf.ErrDelegation}, "path": {[]repository.Change{to("../x", "*")}, tuf.ErrDelegation},
		"dot": {[]repository.Change{to(".x", "*")}, tuf.ErrDelegation}, "space": {[]repository.Change{to("a b", "*")}, tuf.ErrDelegation},
		"no path":       {[]repository.Change{to("a", "b/*", "../*")}, tuf.ErrDelegation},
		"empty pattern": {[]repository.Change{to("a", "")}, tuf.ErrDelegation},
		"prefix":        {[]repository.Change{{Delegate: []repository.Delegation{{Role: "a", Keys: keys, PathHashPrefixes: []string{"0f", "F0"}}}}}, tuf.ErrDelegation},
		"empty prefix":  {[]repository.Change{{Delegate: []repository.Delegation{{Role: "a", Keys: keys, PathHashPrefixes: []string{""}}}}}, tuf.ErrDelegation},
		"empty":         {[]repository.Change{to("", "*")}, tuf.ErrDelegation}, "no paths": {[]repository.Change{to("a")}, tuf.ErrDelegation},
		"case":    {[]repository.Change{to("acme", "a/*"), to("Acme", "b/*")}, tuf.ErrDelegation},
		"no keys": {[]repository.Change{{Delegate: []repository.Delegation{{Role: "a", Paths: []string{"*"}}}}}, repository.ErrIncomplete},
		"0 bits":  {[]repository.Change{bins(0)}, tuf.ErrDelegation}, "17 bits": {[]repository.Change{bins(17)}, tuf.ErrDelegation},
		"unknown role":   {[]repository.Change{{Role: "nobody", Add: map[string][]byte{"a": nil}}}, tuf.ErrDelegation},
		"wrong signers":  {[]repository.Change{{Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, testkeys.P256(5)), Paths: []string{"*"}}}}}, tuf.ErrThreshold},
		"beside bins":    {[]repository.Change{bins(2), to("a", "*")}, tuf.ErrDelegation},
		"path of target": {[]repository.Change{{Add: map[string][]byte{"../a": nil}}}, tuf.ErrPath},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldWith(t, map[tuf.Role][]verify.Signer{"acme": {key}, "Acme": {key}, "bin": {key}})
			if err := w.repo.Apply(t.Context(), c.changes...); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			w.publish("fw/a", "a")
			w.holds("fw/a", "a")
		})
	}
}

// Bins of both kinds: a release changes its bin, snapshot and timestamp, and no other file.
func TestPublishToBins(t *testing.T) {
	key := testkeys.Ed25519(100)
	for _, classic := range []bool{false, true} {
		for _, bits := range []int{1, 3, 4, 6} {
			t.Run(fmt.Sprintf("%d/%t", bits, classic), func(t *testing.T) {
				w := newWorldWith(t, map[tuf.Role][]verify.Signer{"bin": {key}})
				w.apply(repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: bits, Keys: keysOf(t, key), Classic: classic}})
				all := map[string][]byte{}
				for i := range 30 {
					all[fmt.Sprintf("fw/%d", i)] = fmt.Append(nil, i)
				}
				if err := w.repo.Publish(t.Context(), all); err != nil {
					t.Fatal(err)
				}
				if top, err := w.repo.Targets(t.Context()); err != nil || top.Len() != 0 {
					t.Errorf("the top-level role lists targets: %v", err)
				}
				for name, data := range all {
					w.holds(name, string(data))
				}
				w.holds("fw/none", "")
				before, err := w.sim.FS().ReadDir("metadata")
				if err != nil {
					t.Fatal(err)
				}
				w.publish("fw/7", "newer")
				after, err := w.sim.FS().ReadDir("metadata")
				if err != nil {
					t.Fatal(err)
				}
				if n := len(after) - len(before); n != 3 { // the bin, the snapshot, and the timestamp that was replaced
					t.Errorf("%d new files", n)
				}
				w.holds("fw/7", "newer")
				if err := w.repo.Withdraw(t.Context(), "fw/7", "fw/8"); err != nil {
					t.Fatal(err)
				}
				w.holds("fw/7", "")
				w.holds("fw/9", "9")
			})
		}
	}
}

func TestExpiries(t *testing.T) {
	acme := testkeys.Ed25519(100)
	w := newWorldWith(t, map[tuf.Role][]verify.Signer{"acme": {acme}})
	w.apply(repository.Change{Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, acme), Paths: []string{"acme/*"}}}},
		repository.Change{Role: "acme", Add: map[string][]byte{"acme/a": []byte("a")}})
	list, err := w.repo.Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, e := range list {
		order = append(order, fmt.Sprint(e.Role, " ", int(e.Expires.Sub(w.now).Hours()/24), " ", e.Signable))
	}
	if got := strings.Join(order, ", "); got != "timestamp 2 true, snapshot 14 true, acme 90 true, targets 90 true, root 365 false" {
		t.Error(got)
	}
	// the refresh job renews what has less than half its time left, the delegated role among it
	for range 80 {
		w.now = w.now.Add(36 * time.Hour)
		if _, err := w.repo.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.holds("acme/a", "a")
	}
	list, err = w.repo.Expiries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(e repository.Expiry) bool { return e.Role == "acme" })
	if list[i].Version < 3 || list[i].Version > 5 {
		t.Errorf("acme has version %d after 120 days", list[i].Version)
	}
}

// Power fails at every operation of a change that touches a supplier and its delegator: clients see all of it or none.
func TestDelegationPowerCut(t *testing.T) {
	key := testkeys.Ed25519(100)
	keys := keysOf(t, key)
	now := start
	o := options(&now)
	o.Signers["acme"] = []verify.Signer{key}
	ctx := context.Background()
	var root []byte
	open := func(s *simfs.Sim) (*repository.Repository, error) {
		return repository.Open(ctx, repository.NewDir(s.FS()), o)
	}
	change := func(r *repository.Repository) error {
		return r.Apply(ctx, repository.Change{Remove: []string{"fw/a"}, Delegate: []repository.Delegation{{Role: "acme", Keys: keys, Paths: []string{"fw/*"}}}},
			repository.Change{Role: "acme", Add: map[string][]byte{"fw/a": []byte("new")}})
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			_, first, err := create(ctx, repository.NewDir(s.FS()), o, map[string][]byte{"fw/a": []byte("old")})
			root = first
			return err
		},
		Run: func(s *simfs.Sim) error {
			r, err := open(s)
			if err == nil {
				err = change(r)
			}
			if err == nil {
				s.Ack("changed", true)
			}
			return err
		},
		Recover: func(s *simfs.Sim) error {
			find := func() (string, error) {
				c, err := client.New(client.Options{Root: root, Remote: remote{s.FS()}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
				if err != nil {
					return "", err
				}
				data, err := c.Find(ctx, "fw/a")
				return string(data), err
			}
			got, err := find()
			if err != nil {
				return err
			}
			if acked, _ := s.Acked("changed").(bool); got != "new" && (acked || got != "old") {
				return simfs.Violated("S3", "%q found", got)
			}
			r, err := open(s)
			if err != nil {
				return err
			}
			if got == "old" {
				if err := change(r); err != nil {
					return err
				}
				s.Ack("changed", true)
			}
			if got, err = find(); err == nil && got != "new" {
				return simfs.Violated("S3", "%q after the change was made again", got)
			}
			return err
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(200), Seed: 17})
	t.Logf("\n%s", table)
}
