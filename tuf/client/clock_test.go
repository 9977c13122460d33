// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// clocked returns a device whose clock is separate from the repository's.
func clocked(t *testing.T, repo *tuftest.Repo, clock *time.Time, build time.Time) *device {
	t.Helper()
	d := newDevice(t, repo)
	d.o.Now = func() time.Time { return *clock }
	d.o.BuildTime = build
	d.restart()
	return d
}

func TestSTO_12_Clock(t *testing.T) {
	start := tuftest.Start
	for name, c := range map[string]struct {
		wrong time.Time // what the clock shows in between
		want  error
	}{
		"1970":        {time.Unix(0, 0), nil},
		"year 1":      {time.Time{}, nil},
		"hour back":   {start.Add(-time.Hour), nil},
		"hour ahead":  {start.Add(time.Hour), nil},
		"2038":        {time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC), tuf.ErrFreeze},
		"2106":        {time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC), tuf.ErrFreeze},
		"ten years":   {start.AddDate(10, 0, 0), tuf.ErrFreeze},
		"end of days": {time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), tuf.ErrFreeze},
	} {
		repo := tuftest.New()
		clock := start
		d := clocked(t, repo, &clock, start.AddDate(0, -1, 0))
		d.refresh(nil)
		before := d.files()
		clock = c.wrong
		repo.Publish()
		d.refresh(c.want)
		if c.want != nil && len(changed(before, d.files())) != 0 {
			t.Errorf("%s: %v changed", name, changed(before, d.files()))
		}
		clock = start.Add(2 * time.Minute) // set right
		for _, restart := range []bool{false, true} {
			if restart {
				d.restart()
			}
			if err := d.Refresh(t.Context()); err != nil {
				t.Errorf("%s, then right: %v", name, err)
			}
		}
	}
}

// TestTUF_02_ClockFloor: the clock is set back so that expired metadata looks fresh. The stored time stands against it.
//
// covers: B22
func TestTUF_02_ClockFloor(t *testing.T) {
	repo := tuftest.New()
	clock := tuftest.Start
	d := clocked(t, repo, &clock, tuftest.Start.AddDate(0, -1, 0))
	d.refresh(nil)
	old := clone(repo.Files)
	clock = clock.Add(23 * time.Hour)
	repo.Now = clock
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
	clock = clock.Add(23 * time.Hour)
	repo.Now = clock
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil) // the stored time is now beyond the expiry of the first files
	clock = tuftest.Start
	d.put("timestamp.json", "")
	d.restart()
	for name, data := range old {
		repo.Files[name] = data
	}
	if err := d.Refresh(t.Context()); !errors.Is(err, tuf.ErrRollback) && !errors.Is(err, tuf.ErrFreeze) {
		t.Errorf("replay with the clock set back: %v", err)
	}
	repo.Now = tuftest.Start.Add(12 * time.Hour) // signed in time, expired by the stored time
	repo.Publish()
	d.refresh(tuf.ErrFreeze)
	repo.Now = tuftest.Start.Add(46 * time.Hour)
	repo.Publish()
	d.refresh(nil)
}

func TestTUF_02_BuildTimeFloor(t *testing.T) {
	repo := tuftest.New()
	clock := time.Unix(0, 0)
	d := clocked(t, repo, &clock, tuftest.Start.Add(24*time.Hour))
	d.refresh(tuf.ErrFreeze)
	repo.Now = tuftest.Start.Add(24 * time.Hour)
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.refresh(nil)
}

// TestSTO_13: no clock at all, two years in a drawer, everything on the server newer.
func TestSTO_13_NoClockOfflineForYears(t *testing.T) {
	repo := tuftest.New()
	clock := time.Unix(0, 0)
	d := clocked(t, repo, &clock, tuftest.Start)
	d.refresh(nil)
	repo.Now = tuftest.Start.AddDate(2, 0, 0)
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	d.restart()
	d.refresh(nil)
}

func TestNoClockIsAnError(t *testing.T) {
	o := newDevice(t, tuftest.New()).o
	o.Now = nil
	if _, err := client.New(o); !errors.Is(err, verify.ErrClock) {
		t.Errorf("no clock: %v, want ErrClock", err)
	}
}

// The stored time follows the clock at most once a day if nothing else changes.
func TestSTO_11_ClockIsNotWrittenOnEveryPoll(t *testing.T) {
	repo := tuftest.New()
	for _, role := range []tuf.Role{tuf.RoleRoot, tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		repo.Expires[role] = tuftest.Start.AddDate(1, 0, 0)
	}
	repo.Publish(tuf.RoleRoot)
	repo.Publish()
	clock := tuftest.Start
	d := clocked(t, repo, &clock, tuftest.Start)
	d.refresh(nil)
	writes := 0
	for range 10 * 24 {
		before := d.files()
		clock = clock.Add(time.Hour)
		d.refresh(nil)
		if len(changed(before, d.files())) > 0 {
			writes++
		}
	}
	if writes != 10 {
		t.Errorf("%d writes in ten days of hourly polls, want 10", writes)
	}
}
