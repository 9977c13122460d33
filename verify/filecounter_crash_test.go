// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// The numbers that the workload raises the counter to, in order.
var raises = []uint64{3, 4, 900}

// STO-01, for the counter: after a cut or a failing operation anywhere, the creation and the recovery
// included, it is at least what was acknowledged, is one of the numbers asked for, and goes on.
func TestSTO_01_FileCounter(t *testing.T) {
	ctx := context.Background()
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(*simfs.Sim) error { return nil },
		Run: func(s *simfs.Sim) error {
			c, err := verify.NewCounter(s.FS(), "counter")
			if err != nil {
				return err
			}
			for _, to := range raises {
				if err := c.Raise(ctx, to); err != nil {
					return err
				}
				s.Ack("counter", to)
			}
			return nil
		},
		Recover: func(s *simfs.Sim) error {
			c, err := verify.NewCounter(s.FS(), "counter")
			if err != nil {
				return err
			}
			got, err := c.Value(ctx)
			if err != nil {
				return err
			}
			acked, _ := s.Acked("counter").(uint64)
			if got < acked {
				return simfs.Violated("S4", "counter %d after %d was acknowledged", got, acked)
			}
			if got != 0 && got != 3 && got != 4 && got != 900 && got != 1000 {
				return simfs.Violated("S2", "counter %d was never asked for", got)
			}
			if err := c.Raise(ctx, 1000); err != nil {
				return err
			}
			s.Ack("counter", uint64(1000))
			return nil
		},
		Cycle: func(s *simfs.Sim) error {
			c, err := verify.NewCounter(s.FS(), "counter")
			if err != nil {
				return err
			}
			if got, err := c.Value(ctx); err != nil || got != 1000 {
				return errors.Join(simfs.Violated("S5", "counter %d, want 1000", got), err)
			}
			return nil
		},
	}, simfs.ExploreOptions{Seed: 1})
	t.Logf("\n%v", table)
}
