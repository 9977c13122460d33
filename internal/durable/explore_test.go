// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

// The values that the workloads store are version numbers, spread over a few
// sectors so that a mixture of two versions cannot look like either.

const versions = 4

func value(version uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, version)
	for i := range 700 + 300*int(version%3) {
		b = append(b, byte(version)*31+byte(i))
	}
	return b
}

func version(b []byte) (uint64, error) {
	if len(b) < 8 {
		return 0, simfs.Violated("S2", "%d bytes are not a version", len(b))
	}
	v := binary.BigEndian.Uint64(b)
	if !bytes.Equal(b, value(v%(1<<16))) {
		return 0, simfs.Violated("S2", "a mixture that begins like version %d", v)
	}
	return v, nil
}

// store is one of the primitives, holding one version.
type store interface {
	load() (uint64, error) // 0 if there is none
	save(v uint64) error
	tidy() error
	close() error
}

type opener func(s *simfs.Sim) (store, error)

// workload saves a few versions. The recovery must find the last acknowledged
// one or a later one, and be able to go on from there, twice.
func workload(open opener, setup func(*simfs.Sim) error) simfs.Workload {
	return simfs.Workload{
		Setup: setup,
		Run: func(s *simfs.Sim) error {
			st, err := open(s)
			if err != nil {
				return err
			}
			for v := range uint64(versions) {
				if err := st.save(v + 1); err != nil {
					return err
				}
				s.Ack("version", v+1)
			}
			return st.close()
		},
		Recover: func(s *simfs.Sim) error { return recoverVersion(s, open) },
		Cycle: func(s *simfs.Sim) error {
			st, err := open(s)
			if err != nil {
				return err
			}
			if err := st.save(1000); err != nil {
				return err
			}
			if v, err := st.load(); err != nil || v != 1000 {
				return fmt.Errorf("saved 1000, loaded %d: %w", v, err)
			}
			return st.close()
		},
	}
}

func recoverVersion(s *simfs.Sim, open opener) error {
	st, err := open(s)
	if err != nil {
		return err
	}
	v, err := st.load()
	if err != nil {
		return err
	}
	acked, _ := s.Acked("version").(uint64)
	if v < acked {
		return simfs.Violated("S3", "version %d was acknowledged, found %d", acked, v)
	}
	for range 2 {
		v += 2 // not the size that was being saved: nothing of that may show through
		if err := st.save(v); err != nil {
			return err
		}
		s.Ack("version", v)
		if err := st.tidy(); err != nil {
			return err
		}
	}
	got, err := st.load()
	if err != nil {
		return err
	}
	if got != v {
		return simfs.Violated("S3", "saved %d, loaded %d", v, got)
	}
	return st.close()
}

type atomicFile struct {
	fsys simfs.FS
	name string
}

func (f atomicFile) load() (uint64, error) {
	b, err := durable.ReadFile(f.fsys, f.name, 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return version(b)
}

func (f atomicFile) save(v uint64) error { return durable.WriteFile(f.fsys, f.name, value(v)) }
func (f atomicFile) tidy() error         { return durable.RemoveTemps(f.fsys, "dir") }
func (f atomicFile) close() error        { return nil }

func openAtomicFile(s *simfs.Sim) (store, error) {
	return atomicFile{s.FS(), "dir/state"}, durable.MkdirAll(s.FS(), "dir")
}

// pendingFile is an atomic file whose content arrives in pieces, and is looked at before it is kept.
type pendingFile struct{ atomicFile }

func (f pendingFile) save(v uint64) error {
	p, err := durable.Create(f.fsys, f.name)
	if err != nil {
		return err
	}
	data := value(v)
	seen := make([]byte, len(data))
	_, err1 := p.Write(data[:500])
	_, err2 := p.Write(data[500:])
	_, err3 := p.ReadAt(seen, 0)
	if err := errors.Join(err1, err2, err3); err != nil || !bytes.Equal(seen, data) {
		return errors.Join(err, p.Discard())
	}
	return p.Commit()
}

func openPendingFile(s *simfs.Sim) (store, error) {
	return pendingFile{atomicFile{s.FS(), "dir/state"}}, durable.MkdirAll(s.FS(), "dir")
}

type record struct{ *durable.Record }

func (r record) load() (uint64, error) {
	b, _, err := r.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return version(b)
}

func (r record) save(v uint64) error { return r.Store(value(v)) }
func (r record) tidy() error         { return nil }
func (r record) close() error        { return nil }

func openRecord(s *simfs.Sim) (store, error) {
	if err := durable.MkdirAll(s.FS(), "dir"); err != nil {
		return nil, err
	}
	r, err := durable.OpenRecord(s.FS(), "dir/record")
	return record{r}, err
}

const eraseBlock = 4096

func openDeviceRecord(s *simfs.Sim) (store, error) {
	r, err := durable.NewDeviceRecord(s.Device("boot", 4*eraseBlock), eraseBlock, 2*eraseBlock, eraseBlock)
	return record{r}, err
}

// journal keeps versions in a log: each appended, all but the last two dropped
// by a rewrite now and then.
type journal struct{ *durable.Log }

func (j journal) load() (uint64, error) {
	recs, err := j.Records()
	if err != nil {
		return 0, err
	}
	last := uint64(0)
	for i, rec := range recs {
		v, err := version(rec)
		if err != nil {
			return 0, err
		}
		if i > 0 && v <= last {
			return 0, simfs.Violated("S2", "version %d follows %d in the log", v, last)
		}
		last = v
	}
	return last, nil
}

func (j journal) save(v uint64) error {
	if v%3 == 0 {
		return j.Rewrite([][]byte{value(v - 1), value(v)})
	}
	return j.Append(value(v))
}

func (j journal) tidy() error  { return nil }
func (j journal) close() error { return j.Close() }

func openLog(s *simfs.Sim) (store, error) {
	if err := durable.MkdirAll(s.FS(), "dir"); err != nil {
		return nil, err
	}
	l, err := durable.OpenLog(s.FS(), "dir/log", 1<<16)
	return journal{l}, err
}

func explore(t *testing.T, w simfs.Workload, o simfs.ExploreOptions) {
	t.Helper()
	o.Seed = 1
	table := simfs.Explore(t, w, o)
	t.Logf("\n%s", table)
}

func TestSTO_01_AtomicFile(t *testing.T) {
	explore(t, workload(openAtomicFile, nil), simfs.ExploreOptions{})
}

func TestSTO_01_PendingFile(t *testing.T) {
	explore(t, workload(openPendingFile, nil), simfs.ExploreOptions{})
}

func TestSTO_01_Record(t *testing.T) {
	explore(t, workload(openRecord, nil), simfs.ExploreOptions{})
}

func TestSTO_01_DeviceRecord(t *testing.T) {
	explore(t, workload(openDeviceRecord, nil), simfs.ExploreOptions{})
}

func TestSTO_01_Log(t *testing.T) {
	explore(t, workload(openLog, nil), simfs.ExploreOptions{})
}

// TestSTO_01_LogStaleBlocks rewrites a log and appends where, on the blocks that
// the old file left, another record lay with the same number.
func TestSTO_01_LogStaleBlocks(t *testing.T) {
	open := func(s *simfs.Sim) (*durable.Log, error) { return durable.OpenLog(s.FS(), "log", 1<<16) }
	rec := func(i byte) []byte { return bytes.Repeat([]byte{i}, 1000) }
	explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			l, err := open(s)
			if err != nil {
				return err
			}
			return errors.Join(l.Append(rec(1)), l.Append(rec(2)), l.Append(rec(3)), l.Close())
		},
		Run: func(s *simfs.Sim) error {
			l, err := open(s)
			if err != nil {
				return err
			}
			if err := l.Rewrite([][]byte{rec(1)}); err != nil {
				return err
			}
			s.Ack("rewritten", true)
			if err := l.Append(rec(9)); err != nil {
				return err
			}
			return l.Close()
		},
		Recover: func(s *simfs.Sim) error {
			l, err := open(s)
			if err != nil {
				return err
			}
			recs, err := l.Records()
			if err != nil {
				return err
			}
			if len(recs) > 1 && recs[1][0] == 2 && s.Acked("rewritten") != nil {
				return simfs.Violated("S2", "a record came back that the rewrite had dropped")
			}
			return l.Close()
		},
	}, simfs.ExploreOptions{})
}

// A record in files must hold on a FAT boot partition too.
func TestSTO_01_RecordOnFAT(t *testing.T) {
	explore(t, workload(openRecord, nil), simfs.ExploreOptions{Sim: simfs.Options{FAT: []string{"dir"}}})
}

func TestSTO_01_Ordered(t *testing.T) {
	for name, open := range map[string]opener{"file": openAtomicFile, "record": openRecord, "log": openLog} {
		t.Run(name, func(t *testing.T) {
			explore(t, workload(open, nil), simfs.ExploreOptions{
				Sim: simfs.Options{Profile: simfs.Ordered}, SecondTotal: 2000,
			})
		})
	}
}
