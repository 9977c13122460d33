// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"errors"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
)

// The floor stands in for metadata that was lost: each of its versions by itself.
func TestTUF_03_Floor(t *testing.T) {
	for name, c := range map[string]struct {
		floor tuf.Floor
		want  error
	}{
		"none":             {tuf.Floor{}, nil},
		"as served":        {tuf.Floor{Timestamp: 3, Snapshot: 3, Targets: 3}, nil},
		"timestamp higher": {tuf.Floor{Timestamp: 4}, tuf.ErrRollback},
		"snapshot higher":  {tuf.Floor{Snapshot: 4}, tuf.ErrRollback},
		"targets higher":   {tuf.Floor{Targets: 4}, tuf.ErrRollback},
	} {
		r := tuftest.New()
		r.Publish()
		r.Publish()
		s := provisioned(t, r)
		s.SetFloor(c.floor)
		if err := refresh(s, r); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && s.Floor() != (tuf.Floor{Timestamp: 3, Snapshot: 3, Targets: 3}) {
			t.Errorf("%s: floor %+v", name, s.Floor())
		}
	}
}

// An older timestamp that somebody put into the cache is not restored: it would make its own replay look like no change.
func TestTUF_03_RestoreBelowFloor(t *testing.T) {
	r := tuftest.New()
	old := r.Files[r.Name(tuf.RoleTimestamp)]
	s := provisioned(t, r)
	s.SetFloor(tuf.Floor{Timestamp: 2})
	if err := s.RestoreTimestamp(old); !errors.Is(err, tuf.ErrRollback) || s.Timestamp() != nil {
		t.Errorf("restore: %v, want ErrRollback", err)
	}
	if _, err := s.UpdateTimestamp(old, r.Now); !errors.Is(err, tuf.ErrRollback) {
		t.Errorf("update: %v, want ErrRollback", err)
	}
}

// Expired metadata is refused where it arrives, not only at the end, so that it is not kept.
func TestTUF_02_ExpiredIsNotKept(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	held := *s
	r.Expires[tuf.RoleTimestamp] = r.Now
	r.Publish(tuf.RoleTimestamp)
	if _, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now); !errors.Is(err, tuf.ErrFreeze) || s.Timestamp() != held.Timestamp() {
		t.Errorf("newer, expired: %v, want ErrFreeze", err)
	}
	r = tuftest.New()
	if _, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now.Add(24*time.Hour)); !errors.Is(err, tuf.ErrFreeze) {
		t.Errorf("the same, expired meanwhile: %v, want ErrFreeze", err)
	}
}

func TestTUF_02_ExpiredSnapshotAndTargetsAreNotKept(t *testing.T) {
	r := tuftest.New()
	s := refreshed(t, r)
	held := *s
	r.Expires[tuf.RoleSnapshot] = r.Now
	r.Publish()
	if err := refresh(s, r); !errors.Is(err, tuf.ErrFreeze) || s.Snapshot() != held.Snapshot() {
		t.Errorf("snapshot: %v, want ErrFreeze", err)
	}
	delete(r.Expires, tuf.RoleSnapshot)
	r.Expires[tuf.RoleTargets] = r.Now
	r.Publish()
	if err := refresh(s, r); !errors.Is(err, tuf.ErrFreeze) || s.Targets() != held.Targets() {
		t.Errorf("targets: %v, want ErrFreeze", err)
	}
}

// A caller who leaves out a step gets an error, not metadata that nobody listed.
func TestOrder(t *testing.T) {
	r := tuftest.New()
	s := provisioned(t, r)
	if s.Check(r.Now) == nil {
		t.Error("empty set accepted")
	}
	if s.UpdateSnapshot(r.Files[r.Name(tuf.RoleSnapshot)], r.Now) == nil {
		t.Error("snapshot before timestamp accepted")
	}
	if s.UpdateTargets(r.Files[r.Name(tuf.RoleTargets)], r.Now) == nil {
		t.Error("targets before snapshot accepted")
	}
	if _, err := s.UpdateTimestamp(r.Files[r.Name(tuf.RoleTimestamp)], r.Now); err != nil {
		t.Fatal(err)
	}
	if s.UpdateTargets(r.Files[r.Name(tuf.RoleTargets)], r.Now) == nil {
		t.Error("targets before snapshot accepted")
	}
}
