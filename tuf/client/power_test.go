// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// served is what a server offers at one time, and the time it is.
type served struct {
	files map[string][]byte
	now   time.Time
}

// Open makes it a Streamer.
func (s served) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	data, err := s.Get(ctx, name, 0)
	return io.NopCloser(bytes.NewReader(data)), err
}

func (s served) Get(_ context.Context, name string, max int64) ([]byte, error) {
	data, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// history is a repository's life: the beginning; versions driven up by a thief of the timestamp key; a new root that
// revokes that key, and versions that begin again. stale is the last state signed so that it expires at the last update's time.
func history() (root []byte, stages []served, stale served) {
	r := tuftest.New()
	stages = append(stages, served{clone(r.Files), r.Now})
	r.Now = r.Now.Add(time.Hour)
	r.Targets["fw/a.suit"] = []byte("two")
	r.Version = map[tuf.Role]int64{tuf.RoleRoot: 1, tuf.RoleTargets: 7, tuf.RoleSnapshot: 1 << 40, tuf.RoleTimestamp: 1 << 40}
	r.Republish()
	stages = append(stages, served{clone(r.Files), r.Now})
	r.Now = r.Now.Add(time.Hour)
	r.Targets["fw/a.suit"] = []byte("three")
	r.Keys[tuf.RoleTimestamp] = []verify.Signer{testkeys.P256(60)}
	r.Publish(tuf.RoleRoot)
	r.Version = map[tuf.Role]int64{tuf.RoleRoot: 2, tuf.RoleTargets: 8, tuf.RoleSnapshot: 1, tuf.RoleTimestamp: 1}
	r.Republish()
	stages = append(stages, served{clone(r.Files), r.Now})
	for _, role := range []tuf.Role{tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp} {
		r.Expires[role] = r.Now
	}
	r.Publish()
	return r.Root(1), stages, served{clone(r.Files), r.Now}
}

func poweredClient(s *simfs.Sim, root []byte, from served, clock time.Time, mode string) (*client.Client, error) {
	o := client.Options{
		Root: root, Remote: from, Storage: s.FS(), Now: func() time.Time { return clock }, BuildTime: tuftest.Start.AddDate(-1, 0, 0),
	}
	modes[mode](&o)
	return client.New(o)
}

// TestTUF_23_PowerCut: power fails at every operation of a device's first refresh, of an update and of the recovery from a
// fast-forward attack, and again during what follows.
//
// covers: B2
func TestTUF_23_PowerCut(t *testing.T) { powerCut(t, "memory", 3000, nil) }

// The same where targets metadata goes to the medium before it is verified, and what was verified is remembered under a seal.
func TestTUF_23_PowerCutSealedMedium(t *testing.T) { powerCut(t, "sealed, medium", 1500, nil) }

// The same where a later version of this package did the first refresh: its record keeps its format and what it alone understands.
func TestTUF_23_PowerCutLaterFormat(t *testing.T) {
	powerCut(t, "memory", 800, func(record []byte) []byte { return later(t, record, func(n uint64) uint64 { return n }) })
}

// powerCut explores the history. What upgrade makes of the record of the first refresh, if it is not nil, is stored in its place.
func powerCut(t *testing.T, mode string, second int, upgrade func(record []byte) []byte) {
	root, stages, stale := history()
	published := map[string]bool{}
	for _, stage := range append(stages, stale) {
		for name, data := range stage.files {
			if strings.HasPrefix(name, "metadata/") {
				published[string(data)] = true
			}
		}
	}
	last := stages[len(stages)-1]
	refresh := func(s *simfs.Sim, from served, clock time.Time) error {
		c, err := poweredClient(s, root, from, clock, mode)
		if err != nil {
			return err
		}
		if err := c.Refresh(context.Background()); err != nil {
			return err
		}
		_, err = c.Target(context.Background(), "fw/a.suit")
		return err
	}
	table := simfs.Explore(t, simfs.Workload{
		Run: func(s *simfs.Sim) error {
			for i, stage := range stages {
				if err := refresh(s, stage, stage.now); err != nil {
					return err
				}
				if i == 0 && upgrade != nil {
					record, _, err := durable.LoadRecord(s.FS(), "state", 0)
					if err == nil {
						err = client.StoreState(s.FS(), upgrade(record))
					}
					if err != nil {
						return err
					}
					s.Ack("upgraded", true)
				}
				s.Ack("stage", i)
			}
			return nil
		},
		Recover: func(s *simfs.Sim) error {
			if err := onlyPublished(s.FS(), published); err != nil {
				return err
			}
			acked, _ := s.Acked("stage").(int)
			if err := keptRest(s); err != nil {
				return err
			}
			for _, older := range stages[:acked] {
				if err := refresh(s, older, last.now); err == nil {
					return simfs.Violated("S4", "a state older than the acknowledged stage %d was accepted", acked)
				}
			}
			if acked == len(stages)-1 { // the stored time counts even if the clock is dead
				if err := refresh(s, stale, time.Unix(0, 0)); !errors.Is(err, tuf.ErrFreeze) && !isFault(err) {
					return simfs.Violated("S4", "metadata that expired before the acknowledged time: %v", err)
				}
			}
			if err := refresh(s, last, last.now); err != nil {
				return err // S5
			}
			if err := keptRest(s); err != nil {
				return err
			}
			s.Ack("stage", len(stages)-1)
			return onlyPublished(s.FS(), published)
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(second), Seed: 23})
	t.Logf("\n%s", table)
	for _, cell := range table.Empty() {
		switch kind, _, _ := strings.Cut(cell, "/"); kind {
		case "create", "write", "sync", "rename", "remove", "sync-dir", "read": // the operations that a cache needs
			t.Errorf("nothing examined for %s", cell)
		}
	}
}

// keptRest: a record that was once of a later format has all that this format alone understands (S2).
func keptRest(s *simfs.Sim) error {
	if s.Acked("upgraded") == nil {
		return nil
	}
	record, _, err := durable.LoadRecord(s.FS(), "state", 0)
	if err == nil && !bytes.HasSuffix(record, []byte(laterRest)) {
		err = simfs.Violated("S2", "the record lost what the later format has of its own: %x", record)
	}
	return err
}

// isFault tells an injected failure of the medium from a verdict on metadata.
func isFault(err error) bool { return errors.Is(err, tuf.ErrCache) }

// onlyPublished: whatever is in the cache is, byte for byte, a file that the repository published (S2, S7).
func onlyPublished(fsys simfs.FS, published map[string]bool) error {
	names, err := fsys.ReadDir(".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		data, err := durable.ReadFile(fsys, name, 1<<20)
		if err != nil {
			return err
		}
		if !published[string(data)] {
			return simfs.Violated("S2", "%s holds %d bytes that nobody published", name, len(data))
		}
	}
	return nil
}
