// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// slotSink writes a simulated slot.
type slotSink struct {
	simfs.Device
	off     int64
	resumed []byte // what the medium held below the offset resumed at
}

func (s *slotSink) Offset() int64 { return s.off }

func (s *slotSink) Write(p []byte) (int, error) {
	n, err := s.WriteAt(p, s.off)
	s.off += int64(n)
	return n, err
}

func (s *slotSink) Resume(offset int64) error {
	b := make([]byte, offset)
	if _, err := s.ReadAt(b, 0); err != nil && offset > 0 {
		return err
	}
	s.off, s.resumed = offset, b
	return nil
}

// TestNET_01_PowerCutAnywhere: whatever a cut at any operation leaves behind, the checkpoint names
// only bytes that are on the medium, and the next call completes the payload.
func TestNET_01_PowerCutAnywhere(t *testing.T) {
	r := newRelease(t, noise(12, 3*step+500))
	download := func(s *simfs.Sim) error {
		f, err := fetch.New(fetch.Options{Source: newServer(r), Storage: s.FS(), CheckpointEvery: step})
		if err != nil {
			return err
		}
		sink := &slotSink{Device: s.Device("slot", 4*step)}
		defer sink.Close()
		if _, err := f.Fetch(context.Background(), r.res, sink); err != nil {
			return err
		}
		if !bytes.Equal(sink.resumed, r.data[:len(sink.resumed)]) {
			return simfs.Violated("S3", "checkpoint at %d names bytes that are not on the medium", len(sink.resumed))
		}
		got := make([]byte, len(r.data))
		if _, err := sink.ReadAt(got, 0); err != nil {
			return err
		}
		if !bytes.Equal(got, r.data) {
			return simfs.Violated("S2", "the medium does not hold the payload")
		}
		return nil
	}
	o := simfs.ExploreOptions{SecondTotal: 2000}
	if testing.Short() {
		o.SecondTotal = 200
	}
	table := simfs.Explore(t, simfs.Workload{Run: download, Recover: download}, o)
	t.Logf("\n%v", table)
}
