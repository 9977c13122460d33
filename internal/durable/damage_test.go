// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// overwrite makes b the content of a file, behind everybody's back.
func overwrite(t testing.TB, fsys simfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	must(t, f.Close())
}

func slurp(t testing.TB, fsys simfs.FS, name string) []byte {
	t.Helper()
	b, err := durable.ReadFile(fsys, name, 1<<20)
	must(t, err)
	return b
}

// stored is a record in which "one" and then "two" were stored: in copy 1 and in
// copy 0.
func stored(t testing.TB) (simfs.FS, [2][]byte) {
	t.Helper()
	fsys := simfs.NewSim(simfs.Options{}).FS()
	r, err := durable.OpenRecord(fsys, "r")
	must(t, err)
	must(t, r.Store([]byte("one")))
	must(t, r.Store([]byte("two")))
	return fsys, [2][]byte{slurp(t, fsys, "r.0"), slurp(t, fsys, "r.1")}
}

func load(fsys simfs.FS) (string, error) {
	r, err := durable.OpenRecord(fsys, "r")
	if err != nil {
		return "", err
	}
	b, _, err := r.Load()
	return string(b), err
}

func TestSTO_02_RecordTornAtEveryByte(t *testing.T) {
	fsys, copies := stored(t)
	for i, other := range []string{"one", "two"} {
		for n := range copies[i] {
			overwrite(t, fsys, []string{"r.0", "r.1"}[i], copies[i][:n])
			if got, err := load(fsys); err != nil || got != other {
				t.Fatalf("copy %d cut to %d bytes: %q, %v", i, n, got, err)
			}
		}
		overwrite(t, fsys, []string{"r.0", "r.1"}[i], copies[i])
	}
}

func TestSTO_09_RecordWithOneBitFlipped(t *testing.T) {
	fsys, copies := stored(t)
	for i, other := range []string{"one", "two"} {
		for bit := range 8 * len(copies[i]) {
			b := bytes.Clone(copies[i])
			b[bit/8] ^= 1 << (bit % 8)
			overwrite(t, fsys, []string{"r.0", "r.1"}[i], b)
			if got, err := load(fsys); err != nil || got != other {
				t.Fatalf("copy %d, bit %d: %q, %v", i, bit, got, err)
			}
		}
		overwrite(t, fsys, []string{"r.0", "r.1"}[i], copies[i])
	}
}

// Two bad copies are damage, whatever they look like: never a fresh record.
func TestSTO_02_RecordWithBothCopiesBad(t *testing.T) {
	for name, bad := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 64), "ones": bytes.Repeat([]byte{0xff}, 64), "garbage": []byte("garbage that is longer than a header is"),
	} {
		fsys, _ := stored(t)
		overwrite(t, fsys, "r.0", bad)
		overwrite(t, fsys, "r.1", bad)
		r, err := durable.OpenRecord(fsys, "r")
		must(t, err)
		if _, _, err := r.Load(); !errors.Is(err, durable.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: load: %v", name, err)
		}
		if err := r.Store([]byte("new")); !errors.Is(err, durable.ErrCorrupt) {
			t.Errorf("%s: store: %v", name, err)
		}
		must(t, fsys.Remove("r.0"))
		if _, err := load(fsys); !errors.Is(err, durable.ErrCorrupt) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, the other copy missing: %v", name, err)
		}
	}
}

func TestRecordWithACopyMissing(t *testing.T) {
	for i, other := range []string{"one", "two"} {
		fsys, _ := stored(t)
		must(t, fsys.Remove([]string{"r.0", "r.1"}[i]))
		if got, err := load(fsys); err != nil || got != other {
			t.Errorf("without copy %d: %q, %v", i, got, err)
		}
	}
}

// A copy in the other's place has a good checksum for the wrong place.
func TestRecordCopiesSwapped(t *testing.T) {
	fsys, copies := stored(t)
	overwrite(t, fsys, "r.0", copies[1])
	overwrite(t, fsys, "r.1", copies[0])
	if got, err := load(fsys); !errors.Is(err, durable.ErrCorrupt) {
		t.Errorf("loaded %q, %v", got, err)
	}
}

func TestSTO_06_RecordReadErrors(t *testing.T) {
	for reads := range 3 {
		sim := simfs.NewSim(simfs.Options{})
		r, err := durable.OpenRecord(sim.FS(), "r")
		must(t, err)
		must(t, r.Store([]byte("one")))
		sim.FailRead(reads+1, syscall.EIO)
		if b, _, err := r.Load(); err != nil || string(b) != "one" {
			t.Errorf("read %d failed once: %q, %v", reads+1, b, err)
		}
	}
}

func TestDeviceRecordRegions(t *testing.T) {
	fresh := func(fill byte) simfs.Device {
		d := simfs.NewSim(simfs.Options{}).Device("d", 16384)
		_, err := d.WriteAt(bytes.Repeat([]byte{fill}, 16384), 0)
		must(t, err)
		return d
	}
	for _, c := range [][3]int64{{0, 4096, 4097}, {0, 16384, 4096}, {-1, 4096, 512}, {0, 0, 512}, {0, 4096, 32}, {8192, 12289, 4096}} {
		if _, err := durable.NewDeviceRecord(fresh(0), c[0], c[1], c[2]); !errors.Is(err, simfs.ErrBounds) {
			t.Errorf("regions %v: %v", c, err)
		}
	}
	for fill, want := range map[byte]error{0x00: fs.ErrNotExist, 0xff: fs.ErrNotExist, 0x55: durable.ErrCorrupt} {
		r, err := durable.NewDeviceRecord(fresh(fill), 8192, 4096, 4096)
		must(t, err)
		if _, _, err := r.Load(); !errors.Is(err, want) {
			t.Errorf("device of %#x: load: %v, want %v", fill, err, want)
		}
		if err := r.Store([]byte("x")); (err == nil) != (want == fs.ErrNotExist) {
			t.Errorf("device of %#x: store: %v", fill, err)
		}
	}
	r, err := durable.NewDeviceRecord(fresh(0), 0, 4096, 4096)
	must(t, err)
	must(t, r.Store(make([]byte, 4096-32)))
	if err := r.Store(make([]byte, 4096-31)); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("store more than the region: %v", err)
	}
}

func TestSTO_06_RecordIsPoisonedByAFailedSync(t *testing.T) {
	sim := simfs.NewSim(simfs.Options{})
	r, err := durable.OpenRecord(sim.FS(), "r")
	must(t, err)
	must(t, r.Store([]byte("one")))
	sim.Fail(2, syscall.EIO) // write, sync
	if err := r.Store([]byte("two")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if _, _, err := r.Load(); !errors.Is(err, durable.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
		t.Errorf("load after it: %v", err)
	}
	if err := r.Store([]byte("two")); !errors.Is(err, durable.ErrPoisoned) {
		t.Errorf("store after it: %v", err)
	}
	if got, err := load(sim.FS()); err != nil || got != "one" {
		t.Errorf("opened again: %q, %v", got, err)
	}
}

func TestSTO_05_NoSpaceLeavesTheOldState(t *testing.T) {
	sim := simfs.NewSim(simfs.Options{})
	fsys := sim.FS()
	r, err := durable.OpenRecord(fsys, "r")
	must(t, err)
	l, err := durable.OpenLog(fsys, "l", 1<<16)
	must(t, err)
	must(t, r.Store([]byte("one")))
	must(t, l.Append([]byte("one")))
	must(t, durable.WriteFile(fsys, "f", []byte("one")))
	for what, write := range map[string]func() error{
		"record": func() error { return r.Store([]byte("two")) },
		"log":    func() error { return l.Append([]byte("two")) },
		"file":   func() error { return durable.WriteFile(fsys, "f", []byte("two")) },
	} {
		sim.Fail(map[string]int{"record": 1, "log": 1, "file": 2}[what], syscall.ENOSPC)
		if err := write(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", what, err)
		}
	}
	b, _, err := r.Load()
	recs, lerr := l.Records()
	if err != nil || lerr != nil || string(b) != "one" || len(recs) != 1 || string(slurp(t, fsys, "f")) != "one" {
		t.Errorf("record %q %v, log %q %v", b, err, recs, lerr)
	}
	names, err := fsys.ReadDir(".")
	must(t, err)
	if len(names) != 4 {
		t.Errorf("a temporary file is left: %q", names)
	}
	must(t, r.Store([]byte("three")))
	must(t, l.Append([]byte("three")))
	must(t, durable.WriteFile(fsys, "f", []byte("three")))
}

func TestSTO_03_StaleTemporaries(t *testing.T) {
	fsys := simfs.NewSim(simfs.Options{}).FS()
	for _, name := range []string{"f.0.tmp", "f.1.tmp", "f.x.tmp", "f.tmp", ".tmp", "0.tmp"} {
		overwrite(t, fsys, name, []byte("a stale file, longer than what is written now"))
	}
	must(t, durable.WriteFile(fsys, "f", []byte("now")))
	if got := slurp(t, fsys, "f"); string(got) != "now" {
		t.Errorf("f has %q", got)
	}
	must(t, durable.RemoveTemps(fsys, "."))
	names, err := fsys.ReadDir(".")
	must(t, err)
	want := []string{".tmp", "0.tmp", "f", "f.tmp", "f.x.tmp"}
	if len(names) != len(want) {
		t.Errorf("left are %q, want %q", names, want)
	}
	if err := durable.WriteFile(fsys, "f.7.tmp", nil); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a state file named as a temporary one: %v", err)
	}
}

func newLog(t testing.TB, recs ...string) (simfs.FS, []byte) {
	t.Helper()
	fsys := simfs.NewSim(simfs.Options{}).FS()
	l, err := durable.OpenLog(fsys, "l", 1<<16)
	must(t, err)
	for _, rec := range recs {
		must(t, l.Append([]byte(rec)))
	}
	must(t, l.Close())
	return fsys, slurp(t, fsys, "l")
}

func replay(fsys simfs.FS) ([][]byte, error) {
	l, err := durable.OpenLog(fsys, "l", 1<<16)
	if err != nil {
		return nil, err
	}
	recs, err := l.Records()
	return recs, errors.Join(err, l.Close())
}

func TestSTO_02_LogTornAtEveryByte(t *testing.T) {
	fsys, whole := newLog(t, "one", "", "three")
	ends := []int{32, 32 + 35, 32 + 35 + 32, 32 + 35 + 32 + 37}
	for n := range len(whole) + 1 {
		overwrite(t, fsys, "l", whole[:n])
		recs, err := replay(fsys)
		if n < ends[0] {
			if !errors.Is(err, durable.ErrCorrupt) {
				t.Fatalf("half a header: %q, %v", recs, err)
			}
			continue
		}
		want := 0
		for want+1 < len(ends) && n >= ends[want+1] {
			want++
		}
		if err != nil || len(recs) != want {
			t.Fatalf("cut to %d bytes: %d records, %v, want %d", n, len(recs), err, want)
		}
		if got := len(slurp(t, fsys, "l")); got != ends[want] {
			t.Fatalf("cut to %d bytes: the tail is kept, %d bytes", n, got)
		}
	}
}

func TestSTO_09_LogWithOneBitFlipped(t *testing.T) {
	fsys, whole := newLog(t, "one", "two", "three")
	last := len(whole) - 37
	for bit := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[bit/8] ^= 1 << (bit % 8)
		overwrite(t, fsys, "l", b)
		switch recs, err := replay(fsys); {
		case bit/8 < last && !errors.Is(err, durable.ErrCorrupt):
			t.Fatalf("bit %d, before the last record: %q, %v", bit, recs, err)
		case bit/8 >= last && (err != nil || len(recs) != 2):
			t.Fatalf("bit %d, in the last record: %q, %v", bit, recs, err)
		}
		if bit/8 < last && !bytes.Equal(slurp(t, fsys, "l"), b) {
			t.Fatal("a damaged log was changed")
		}
	}
}

func TestLogBound(t *testing.T) {
	fsys := simfs.NewSim(simfs.Options{}).FS()
	l, err := durable.OpenLog(fsys, "l", 32+2*40)
	must(t, err)
	must(t, l.Append(make([]byte, 8)))
	must(t, l.Append(make([]byte, 8)))
	if err := l.Append(nil); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("append to a full log: %v", err)
	}
	if err := l.Rewrite([][]byte{nil, nil, make([]byte, 17)}); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("rewrite too much: %v", err)
	}
	must(t, l.Rewrite([][]byte{make([]byte, 8)}))
	must(t, l.Append(make([]byte, 8)))
	must(t, l.Close())
	if err := l.Append(nil); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
	if _, err := durable.OpenLog(fsys, "l", 100); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("open a log that is larger than allowed: %v", err)
	}
}

func TestSTO_06_LogIsPoisonedByAFailedSync(t *testing.T) {
	sim := simfs.NewSim(simfs.Options{})
	l, err := durable.OpenLog(sim.FS(), "l", 1<<16)
	must(t, err)
	must(t, l.Append([]byte("one")))
	sim.Fail(2, syscall.EIO)
	if err := l.Append([]byte("two")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if err := l.Append([]byte("two")); !errors.Is(err, durable.ErrPoisoned) {
		t.Errorf("append after it: %v", err)
	}
	if recs, err := replay(sim.FS()); err != nil || len(recs) != 1 {
		t.Errorf("opened again: %q, %v", recs, err)
	}
}

// FuzzStateRecord: whatever the two files hold, a record loads as a value that
// is in one of them, or not at all; and if it loads it stores.
func FuzzStateRecord(f *testing.F) {
	_, copies := stored(f)
	f.Add(copies[0], copies[1])
	f.Add(copies[1], copies[0])
	f.Add([]byte(nil), copies[1])
	f.Add(copies[0][:20], bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		fsys := simfs.NewSim(simfs.Options{}).FS()
		overwrite(t, fsys, "r.0", a)
		overwrite(t, fsys, "r.1", b)
		r, err := durable.OpenRecord(fsys, "r")
		if err != nil {
			t.Fatal(err)
		}
		data, seq, err := r.Load()
		if err == nil && !bytes.Contains(a, data) && !bytes.Contains(b, data) {
			t.Fatalf("loaded %x from nowhere", data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, durable.ErrCorrupt) {
			t.Fatal(err)
		}
		if errors.Is(err, durable.ErrCorrupt) || seq == 1<<64-1 {
			return
		}
		must(t, r.Store([]byte("next")))
		if data, next, err := r.Load(); err != nil || string(data) != "next" || next != seq+1 {
			t.Fatalf("stored after %d, loaded %d %q, %v", seq, next, data, err)
		}
	})
}

// FuzzLog: whatever the file holds, a log opens and takes a record after those
// it has, or is damaged and stays as it is.
func FuzzLog(f *testing.F) {
	_, whole := newLog(f, "one", "", "three")
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(whole[:32])
	f.Add(append(bytes.Clone(whole[:60]), whole...))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := simfs.NewSim(simfs.Options{}).FS()
		overwrite(t, fsys, "l", b)
		l, err := durable.OpenLog(fsys, "l", 1<<20)
		if err != nil {
			if !bytes.Equal(slurp(t, fsys, "l"), b) {
				t.Fatal("a log that does not open was changed")
			}
			return
		}
		before, err := l.Records()
		must(t, err)
		must(t, l.Append([]byte("next")))
		must(t, l.Close())
		l, err = durable.OpenLog(fsys, "l", 1<<20)
		must(t, err)
		after, err := l.Records()
		must(t, err)
		if len(after) != len(before)+1 || string(after[len(before)]) != "next" {
			t.Fatalf("%d records, appended one, %d records", len(before), len(after))
		}
	})
}

func TestPendingDiscard(t *testing.T) {
	fsys := simfs.NewSim(simfs.Options{}).FS()
	if err := durable.WriteFile(fsys, "state", []byte("old")); err != nil {
		t.Fatal(err)
	}
	p, err := durable.Create(fsys, "state")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("new")); err != nil || p.Size() != 3 {
		t.Fatal(err, p.Size())
	}
	if err := p.Discard(); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.ReadDir(".")
	if err != nil || len(names) != 1 {
		t.Errorf("left over: %v, %v", names, err)
	}
	if data, err := durable.ReadFile(fsys, "state", 10); err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := durable.Create(fsys, "state.1.tmp"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("temporary name: %v", err)
	}
}

func TestLoadRecord(t *testing.T) {
	sim := simfs.NewSim(simfs.Options{})
	fsys := sim.FS()
	if _, _, err := durable.LoadRecord(fsys, "r", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
	r, err := durable.OpenRecord(fsys, "r")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := durable.LoadRecord(fsys, "r", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("never stored: %v", err)
	}
	if err := r.Store([]byte("one")); err != nil {
		t.Fatal(err)
	}
	for known, want := range map[uint64]int{0: 1, 1: 0} {
		before := sim.Ops()
		if data, seq, err := durable.LoadRecord(fsys, "r", known); err != nil || string(data) != "one" || seq != 1 {
			t.Errorf("%q, %d, %v", data, seq, err)
		}
		if got := sim.Ops() - before; got != want {
			t.Errorf("known %d: %d operations, want %d", known, got, want)
		}
	}
	for _, name := range []string{"r.0", "r.1"} {
		if err := durable.WriteFile(fsys, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := durable.LoadRecord(fsys, "r", 0); !errors.Is(err, durable.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
}
