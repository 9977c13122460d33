// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// Power fails at every operation of two ceremonies, one for targets and one for the root with a new timestamp key. Clients see the old state or
// the new one, a signature that was taken is not lost, and the ceremony goes on where it was.
func TestCeremonyPowerCut(t *testing.T) {
	ctx, now := context.Background(), start
	rootKeys := []verify.Signer{testkeys.Ed25519(0), testkeys.P256(0)}
	timestamp := keysOf(t, testkeys.Ed25519(3), testkeys.Ed25519(54))
	open := func(s *simfs.Sim) (*repository.Repository, error) {
		o := options(&now)
		delete(o.Signers, tuf.RoleRoot)
		delete(o.Signers, tuf.RoleTargets)
		o.Signers[tuf.RoleTimestamp] = append(o.Signers[tuf.RoleTimestamp], testkeys.Ed25519(54))
		return repository.Open(ctx, repository.NewDir(s.FS()), o)
	}
	sign := func(s *simfs.Sim, r *repository.Repository, role tuf.Role, by verify.Signer, ack string) error {
		payload, err := r.SigningPayload(ctx, role)
		if err != nil {
			return err
		}
		sig, err := by.Sign(ctx, payload)
		if err == nil {
			err = r.Attach(ctx, role, sig)
		}
		if err == nil {
			s.Ack(ack, true)
		}
		return err
	}
	// ceremonies takes every step that is still to be taken.
	ceremonies := func(s *simfs.Sim, r *repository.Repository) error {
		if targets, err := r.Targets(ctx); err != nil {
			return err
		} else if _, err := targets.Target("fw/b"); errors.Is(err, tuf.ErrTargetUnknown) {
			if _, err := r.SigningPayload(ctx, tuf.RoleTargets); errors.Is(err, fs.ErrNotExist) {
				err := r.Stage(ctx, repository.Change{Add: map[string][]byte{"fw/a": []byte("new"), "fw/b": []byte("new")}})
				if err != nil {
					return err
				}
			}
			if err := sign(s, r, tuf.RoleTargets, testkeys.P256(1), "targets"); err != nil {
				return err
			}
			if err := r.Complete(ctx, tuf.RoleTargets); err != nil {
				return err
			}
			s.Ack("new", true)
		}
		if steps, err := r.Reach(ctx, 1, 0); err != nil || steps[1].Role == tuf.RoleRoot { // it is completed
			return err
		}
		if _, err := r.SigningPayload(ctx, tuf.RoleRoot); errors.Is(err, fs.ErrNotExist) {
			if err := r.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: timestamp}, map[tuf.Role]int{tuf.RoleTimestamp: 2}); err != nil {
				return err
			}
		}
		for i, by := range rootKeys {
			if err := sign(s, r, tuf.RoleRoot, by, []string{"root 0", "root 1"}[i]); err != nil {
				return err
			}
		}
		if err := r.Complete(ctx, tuf.RoleRoot); err != nil {
			return err
		}
		s.Ack("rotated", true)
		return nil
	}
	var root []byte
	find := func(s *simfs.Sim) (string, error) {
		c, err := client.New(client.Options{Root: root, Remote: remote{s.FS()}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
		if err != nil {
			return "", err
		}
		data, err := c.Find(ctx, "fw/a")
		return string(data), err
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			_, first, err := create(ctx, repository.NewDir(s.FS()), options(&now), map[string][]byte{"fw/a": []byte("old")})
			root = first
			return err
		},
		Run: func(s *simfs.Sim) error {
			r, err := open(s)
			if err == nil {
				err = ceremonies(s, r)
			}
			return err
		},
		Recover: func(s *simfs.Sim) error {
			got, err := find(s)
			if err != nil {
				return err
			}
			if s.Acked("new") != nil && got != "new" || got != "new" && got != "old" {
				return simfs.Violated("S3", "%q found", got)
			}
			r, err := open(s)
			if err != nil {
				return err
			}
			for role, signed := range map[tuf.Role][]string{tuf.RoleTargets: {"targets"}, tuf.RoleRoot: {"root 0", "root 1"}} {
				missing, err := r.Missing(ctx, role)
				if errors.Is(err, fs.ErrNotExist) {
					continue // completed
				}
				if err != nil {
					return err
				}
				have := 0
				for _, ack := range signed {
					if s.Acked(ack) != nil {
						have++
					}
				}
				for _, m := range missing {
					if m.Have < have {
						return simfs.Violated("S3", "%s: %d signatures were taken, %d are there", role, have, m.Have)
					}
				}
			}
			if err := ceremonies(s, r); err != nil {
				return err
			}
			if got, err = find(s); err == nil && got != "new" {
				return simfs.Violated("S3", "%q found after all", got)
			}
			if _, err := r.Refresh(ctx); err != nil {
				return err
			}
			return err
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(60), Variants: simfs.Sample(1), Seed: 31})
	t.Logf("\n%s", table)
}
