// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// refreshed returns a Set that holds what r serves.
func refreshed(t *testing.T, r *tuftest.Repo) *tuf.Set {
	t.Helper()
	s, err := tuf.NewSet(r.Root(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := refresh(s, r); err != nil {
		t.Fatal(err)
	}
	return s
}

// refresh runs the workflow of section 5 with the present files of r.
func refresh(s *tuf.Set, r *tuftest.Repo) error {
	for {
		next := r.Root(int(s.Root().Version()) + 1)
		if next == nil {
			break
		}
		if err := s.UpdateRoot(next); err != nil {
			return err
		}
	}
	if _, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now); err != nil {
		return err
	}
	if !s.SnapshotCurrent() {
		if err := s.UpdateSnapshot(r.Files[r.Name(tuf.RoleSnapshot)], r.Now); err != nil {
			return err
		}
	}
	if !s.TargetsCurrent() {
		if err := s.UpdateTargets(r.Files[r.Name(tuf.RoleTargets)], r.Now); err != nil {
			return err
		}
	}
	return s.Check(r.Now)
}

// refused checks that the update fails with want, that the Set then holds what it held, and that a repaired repository
// is accepted.
func refused(t *testing.T, s *tuf.Set, r *tuftest.Repo, want error, repair func()) {
	t.Helper()
	err := refresh(s, r)
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	var role *tuf.RoleError
	if !errors.As(err, &role) {
		t.Errorf("got %v, want a RoleError", err)
	}
	repair()
	if err := refresh(s, r); err != nil {
		t.Errorf("after repair: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	file, err := s.Targets().Target("fw/a.suit")
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Verify([]byte("one")); err != nil {
		t.Error(err)
	}
	if err := file.Verify([]byte("One")); !errors.Is(err, tuf.ErrHash) {
		t.Errorf("other bytes: %v, want ErrHash", err)
	}
	if err := file.Verify([]byte("one and more")); !errors.Is(err, tuf.ErrLength) {
		t.Errorf("more bytes: %v, want ErrLength", err)
	}
	for _, name := range []string{"", "fw", "fw/a.sui", "fw/a.suit2", "a.suit", "zz"} {
		if _, err := s.Targets().Target(name); !errors.Is(err, tuf.ErrTargetUnknown) {
			t.Errorf("target %q: %v, want ErrTargetUnknown", name, err)
		}
	}
}

func TestTUF_01_SignedByStranger(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
		r := tuftest.New()
		s := refreshed(t, r)
		r.Signers[role] = []verify.Signer{testkeys.Ed25519(99)}
		roles := []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp}
		if role == tuf.RoleRoot {
			roles = []tuf.Role{tuf.RoleRoot}
		}
		r.Publish(roles...)
		refused(t, s, r, tuf.ErrThreshold, func() {
			delete(r.Signers, role)
			if role == tuf.RoleRoot {
				r.Put(role)
				return
			}
			r.Publish()
		})
	}
}

// covers: B16
func TestTUF_02_Freeze(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
		for _, late := range []time.Duration{0, time.Second, 365 * 24 * time.Hour} {
			r := tuftest.New()
			s := refreshed(t, r)
			r.Now = r.Now.Add(time.Hour)
			r.Expires[role] = r.Now.Add(-late)
			r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)
			refused(t, s, r, tuf.ErrFreeze, func() {
				delete(r.Expires, role)
				r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)
			})
		}
	}
}

// The same files for ever: the trusted timestamp must not outlive its expiry because nothing newer comes.
func TestTUF_02_FreezeBySilence(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	r.Now = r.Now.Add(24*time.Hour - time.Second)
	if err := refresh(s, r); err != nil {
		t.Errorf("a second before expiry: %v", err)
	}
	r.Now = r.Now.Add(time.Second)
	refused(t, s, r, tuf.ErrFreeze, func() { r.Publish(tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp) })
}

func TestTUF_02_ExpiredIntermediateRoot(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	r.Expires[tuf.RoleRoot] = r.Now.Add(-time.Hour)
	r.Publish(tuf.RoleRoot)
	delete(r.Expires, tuf.RoleRoot)
	r.Publish(tuf.RoleRoot)
	if err := refresh(s, r); err != nil {
		t.Error(err)
	}
}

func TestTUF_03_Rollback(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
		for _, delta := range []int64{-1, 0, 1} {
			r := tuftest.New()
			r.Publish()
			r.Publish()
			s := refreshed(t, r)
			before := *s
			r.Version[role] += delta
			for _, up := range []tuf.Role{tuf.RoleSnapshot, tuf.RoleTimestamp} {
				if up != role && (role == tuf.RoleTargets || up == tuf.RoleTimestamp) {
					r.Version[up]++
				}
			}
			r.Republish()
			err := refresh(s, r)
			if delta >= 0 {
				if err != nil {
					t.Errorf("%s %+d: %v", role, delta, err)
				}
				continue
			}
			if !errors.Is(err, tuf.ErrRollback) {
				t.Errorf("%s %+d: %v, want ErrRollback", role, delta, err)
			}
			if s.Snapshot() != before.Snapshot() || s.Targets() != before.Targets() {
				t.Errorf("%s %+d: the trusted metadata changed", role, delta)
			}
			r.Version = map[tuf.Role]int64{tuf.RoleRoot: 1, tuf.RoleTimestamp: 9, tuf.RoleSnapshot: 9, tuf.RoleTargets: 9}
			r.Publish()
			if err := refresh(s, r); err != nil {
				t.Errorf("%s %+d: after repair: %v", role, delta, err)
			}
		}
	}
}

func TestTUF_03_EqualTimestampIsNoChange(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	held := s.Timestamp()
	r.Version[tuf.RoleSnapshot], r.Hashes = 100, false
	r.Put(tuf.RoleTimestamp) // the same version with other content
	newer, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now)
	if newer || err != nil || s.Timestamp() != held {
		t.Errorf("newer %v, %v", newer, err)
	}
}

func TestTUF_03_RootVersion(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	for _, version := range []int64{1, 3} {
		r.Version[tuf.RoleRoot] = version
		if err := s.UpdateRoot(r.Build(tuf.RoleRoot)); !errors.Is(err, tuf.ErrRollback) {
			t.Errorf("root %d after 1: %v, want ErrRollback", version, err)
		}
	}
	if s.Root().Version() != 1 {
		t.Errorf("root version %d trusted", s.Root().Version())
	}
}

func TestTUF_04_RoleRemoved(t *testing.T) {
	r := tuftest.New()
	r.Edit = func(role tuf.Role, signed map[string]any) {
		if role == tuf.RoleSnapshot {
			signed["meta"].(map[string]any)["supplier.json"] = map[string]any{"version": 7}
		}
	}
	r.Publish()
	s := refreshed(t, r)
	edit := r.Edit
	r.Edit = nil
	r.Publish()
	refused(t, s, r, tuf.ErrRollback, func() { r.Edit = edit; r.Publish() })
}

func TestTUF_05_FastForward(t *testing.T) {
	for _, version := range []int64{math.MaxInt32, 1 << 53, 1<<53 + 1, math.MaxInt64} {
		r := tuftest.New()
		for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
			r.Version[role] = version
		}
		r.Republish()
		s := refreshed(t, r)
		if got := s.Timestamp().Version(); got != version {
			t.Errorf("version %d read as %d", version, got)
		}
		// Recovery: new online keys in the next root, and versions begin again.
		ids := []verify.Digest{r.Keys[tuf.RoleTimestamp][0].Public().ID()}
		r.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.Ed25519(20)}
		r.Keys[tuf.RoleSnapshot] = []verify.Signer{testkeys.Ed25519(21)}
		r.Publish(tuf.RoleRoot)
		r.Version = map[tuf.Role]int64{tuf.RoleRoot: 2}
		r.Publish()
		if err := refresh(s, r); err != nil {
			t.Errorf("version %d: after rotation: %v", version, err)
		}
		if !s.Root().Revoked(tuf.RoleTimestamp, ids) || s.Root().Revoked(tuf.RoleRoot, []verify.Digest{r.Keys[tuf.RoleRoot][0].Public().ID()}) {
			t.Error("Revoked does not tell the rotated key from the kept one")
		}
	}
}

func TestTUF_05_VersionOverflow(t *testing.T) {
	for _, version := range []string{"9223372036854775808", "-9223372036854775809", "1e3", "1.0", "0", "-1", `"1"`, "null", "true"} {
		r := tuftest.New()
		s := refreshed(t, r)
		if _, err := s.UpdateTimestamp(rawVersion(r, version), r.Now); !errors.Is(err, tuf.ErrMalformed) {
			t.Errorf("version %s: %v, want ErrMalformed", version, err)
		}
	}
}
