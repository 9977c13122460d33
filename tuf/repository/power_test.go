// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
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

// TestPowerCut: the publisher is cut off at every operation, and again in the next run. Whatever is in the directory then,
// a device finds the old release or the new one, never neither and never a mixture, and the next publication succeeds.
func TestPowerCut(t *testing.T) {
	now := start
	rotated := options(&now)
	rotated.Signers[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(30)}
	rotated.Signers[tuf.RoleTargets] = []verify.Signer{testkeys.Ed25519(31)}
	change := repository.RootChange{Signers: map[tuf.Role][]verify.Signer{
		tuf.RoleTimestamp: rotated.Signers[tuf.RoleTimestamp], tuf.RoleTargets: rotated.Signers[tuf.RoleTargets],
	}}
	ctx := context.Background()
	release := func(text string) map[string][]byte {
		return map[string][]byte{"fw/v/stable.suit": []byte(text), "fw/v/beta.suit": []byte(text + " beta")}
	}
	var root []byte
	find := func(s *simfs.Sim, name string) (string, error) {
		c, err := client.New(client.Options{Root: root, Remote: remote{s.FS()}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
		if err != nil {
			return "", err
		}
		data, err := c.Find(ctx, name)
		return string(data), err
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			repo, err := repository.Create(ctx, repository.NewDir(s.FS()), options(&now))
			if err != nil {
				return err
			}
			if root, err = repo.Root(ctx); err != nil {
				return err
			}
			return repo.Publish(ctx, release("one"))
		},
		Run: func(s *simfs.Sim) error {
			repo, err := repository.Open(ctx, repository.NewDir(s.FS()), options(&now))
			if err != nil {
				return err
			}
			if err := repo.PutPayload(ctx, "two.bin", bytes.NewReader(make([]byte, 1000))); err != nil {
				return err
			}
			s.Ack("payload", true)
			if err := repo.Publish(ctx, release("two")); err != nil {
				return err
			}
			s.Ack("two", true)
			if err := repo.RotateRoot(ctx, change); err != nil {
				return err
			}
			s.Ack("rotated", true)
			return nil
		},
		Recover: func(s *simfs.Sim) error {
			stable, err := find(s, "fw/v/stable.suit")
			if err != nil {
				return err
			}
			beta, err := find(s, "fw/v/beta.suit")
			if err != nil {
				return err
			}
			if beta != stable+" beta" {
				return simfs.Violated("S2", "%q beside %q", stable, beta)
			}
			if s.Acked("two") != nil && stable == "one" {
				return simfs.Violated("S3", "the release that was published is not there")
			}
			repo, err := repository.Open(ctx, repository.NewDir(s.FS()), options(&now))
			if err != nil {
				return err
			}
			if err := repo.PutPayload(ctx, "two.bin", bytes.NewReader(make([]byte, 1000))); err != nil {
				return err
			}
			if s.Acked("rotated") == nil { // it may have happened all the same: the new keys join in
				both := options(&now)
				for _, role := range []tuf.Role{tuf.RoleTimestamp, tuf.RoleTargets} {
					both.Signers[role] = append(both.Signers[role], rotated.Signers[role]...)
				}
				repo, err = repository.Open(ctx, repository.NewDir(s.FS()), both)
			} else {
				repo, err = repository.Open(ctx, repository.NewDir(s.FS()), rotated)
			}
			if err != nil {
				return err
			}
			if err := repo.Publish(ctx, release("three")); err != nil {
				return err
			}
			s.Ack("two", true)
			stable, err = find(s, "fw/v/stable.suit")
			if err == nil && stable != "three" {
				return simfs.Violated("S3", "%q found after three was published", stable)
			}
			return err
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(400), Seed: 7})
	t.Logf("\n%s", table)
	for _, cell := range table.Empty() {
		switch kind, _, _ := strings.Cut(cell, "/"); kind {
		case "create", "mkdir", "write", "sync", "rename", "sync-dir", "read": // the operations that publishing needs
			t.Errorf("nothing examined for %s", cell)
		}
	}
}
