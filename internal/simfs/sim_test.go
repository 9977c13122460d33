// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, s *simfs.Sim, name string) simfs.File {
	t.Helper()
	f, err := s.FS().OpenFile(name, os.O_RDWR|os.O_CREATE)
	must(t, err)
	return f
}

func put(t *testing.T, f simfs.Device, b string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(b), off)
	must(t, err)
}

// content is a file's bytes, or "absent".
func content(t *testing.T, s *simfs.Sim, name string) string {
	t.Helper()
	f, err := s.FS().OpenFile(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	must(t, err)
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		t.Fatal(err)
	}
	return string(b)
}

// outcomes lists what look sees in all images of the last cut.
func outcomes(s *simfs.Sim, look func(*simfs.Sim) string) []string {
	seen := map[string]bool{}
	for im := range s.Images(s.Ops() + 1) {
		seen[look(im.Boot())] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func wantOutcomes(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("a power cut leaves %q, want %q", got, want)
	}
}

// synced is a machine with the durable file "f" of the given content.
func synced(t *testing.T, o simfs.Options, name, b string) *simfs.Sim {
	t.Helper()
	s := simfs.NewSim(o)
	if dir, _, ok := strings.Cut(name, "/"); ok {
		must(t, s.FS().Mkdir(dir))
	}
	put(t, open(t, s, name), b, 0)
	s.Reset()
	return s
}

func TestModelFileSyncCoversDataNotNames(t *testing.T) {
	s := simfs.NewSim(simfs.Options{})
	f := open(t, s, "f")
	put(t, f, "abc", 0)
	must(t, f.Sync())
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") }), "absent", "abc")
	must(t, s.FS().SyncDir("."))
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") }), "abc")
}

func TestModelSyncDirCoversNamesNotData(t *testing.T) {
	s := simfs.NewSim(simfs.Options{})
	put(t, open(t, s, "f"), "abc", 0)
	must(t, s.FS().SyncDir("."))
	got := outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") })
	for _, want := range []string{"", "\x00\x00\x00", "abc"} {
		if !slices.Contains(got, want) {
			t.Errorf("no image with %q, have %q", want, got)
		}
	}
	if slices.Contains(got, "absent") {
		t.Error("the name is lost after SyncDir")
	}
}

func TestModelDirectoryNeedsItsParent(t *testing.T) {
	s := simfs.NewSim(simfs.Options{})
	must(t, s.FS().Mkdir("d"))
	f := open(t, s, "d/f")
	put(t, f, "abc", 0)
	must(t, f.Sync())
	must(t, s.FS().SyncDir("d"))
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string { return content(t, s, "d/f") }), "absent", "abc")
}

func TestModelRenameIsAtomicAndMayOvertakeData(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "old")
	put(t, open(t, s, "t"), "new", 0)
	must(t, s.FS().Rename("t", "f"))
	got := outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") })
	for _, want := range []string{"old", "new", "", "\x00\x00\x00"} {
		if !slices.Contains(got, want) {
			t.Errorf("no image with %q, have %q", want, got)
		}
	}
	if slices.Contains(got, "absent") {
		t.Error("the replaced name is gone")
	}
}

func TestModelStaleBytesAreTheDeletedFile(t *testing.T) {
	s := synced(t, simfs.Options{}, "secret", "SECRET")
	must(t, s.FS().Remove("secret"))
	put(t, open(t, s, "f"), "public", 0)
	must(t, s.FS().SyncDir("."))
	got := outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") })
	if !slices.Contains(got, "SECRET") {
		t.Errorf("no image shows the old blocks: %q", got)
	}
}

func TestModelEntriesDoNotComeBack(t *testing.T) {
	s := simfs.NewSim(simfs.Options{})
	must(t, s.FS().Mkdir("a"))
	must(t, s.FS().Mkdir("b"))
	s.Reset()
	f := open(t, s, "a/f")
	must(t, s.FS().Rename("a/f", "b/f"))
	must(t, s.FS().SyncDir("b"))
	must(t, f.Close())
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string {
		return content(t, s, "a/f") + "|" + content(t, s, "b/f")
	}), "absent|")
}

func TestModelFATRenameIsNotAtomic(t *testing.T) {
	s := synced(t, simfs.Options{FAT: []string{"boot"}}, "boot/f", "old")
	f := open(t, s, "boot/t")
	put(t, f, "new", 0)
	must(t, f.Sync())
	must(t, s.FS().SyncDir("boot"))
	must(t, s.FS().Rename("boot/t", "boot/f"))
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string {
		return content(t, s, "boot/t") + "|" + content(t, s, "boot/f")
	}), "new|old", "absent|new", "new|new", "absent|old", "new|absent")
}

func TestModelFATTearDamagesItsNeighbours(t *testing.T) {
	const size = 3 * 4096
	s := synced(t, simfs.Options{FAT: []string{"boot"}}, "boot/f", strings.Repeat("o", size))
	put(t, open(t, s, "boot/f"), strings.Repeat("n", 1024), 4096)
	damaged := 0
	for im := range s.Images(s.Ops() + 1) {
		b := content(t, im.Boot(), "boot/f")
		if b[:4096] != strings.Repeat("o", 4096) || b[8192:] != strings.Repeat("o", 4096) {
			t.Fatalf("%v %v: the damage is larger than 4 KiB", im.Class, im.Variant)
		}
		if b[8191] != 'o' {
			damaged++
		}
	}
	if damaged == 0 {
		t.Error("no image in which a byte that was not written is damaged")
	}
}

func TestModelSectorsOfADeviceAreIndependent(t *testing.T) {
	s := simfs.NewSim(simfs.Options{})
	d := s.Device("d", 8192)
	s.Reset()
	put(t, d, strings.Repeat("x", 1024), 512)
	see := outcomes(s, func(s *simfs.Sim) string {
		b := make([]byte, 2048)
		_, err := s.Device("d", 0).ReadAt(b, 0)
		must(t, err)
		return string([]byte{b[0], b[512], b[1023], b[1024], b[1535], b[1536]})
	})
	for _, want := range []string{"\x00xx\x00\x00\x00", "\x00\x00\x00xx\x00", "\x00xxxx\x00", "\x00\x00\x00\x00\x00\x00"} {
		if !slices.Contains(see, want) {
			t.Errorf("no image with %q, have %q", want, see)
		}
	}
	must(t, d.Sync())
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string {
		b := make([]byte, 1)
		_, err := s.Device("d", 0).ReadAt(b, 512)
		must(t, err)
		return string(b)
	}), "x")
}

func TestModelOrderedLosesOnlyATail(t *testing.T) {
	s := simfs.NewSim(simfs.Options{Profile: simfs.Ordered})
	open(t, s, "1")
	open(t, s, "2")
	open(t, s, "3")
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string {
		names, err := s.FS().ReadDir(".")
		must(t, err)
		return strings.Join(names, "")
	}), "", "1", "12", "123")
}

// STO-06: fsync reports an error once, and the next one lies.
func TestModelFailedSyncDropsData(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "old")
	f := open(t, s, "f")
	put(t, f, "new", 0)
	s.Fail(1, syscall.EIO)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("sync: %v", err)
	}
	must(t, f.Sync())
	if got := content(t, s, "f"); got != "new" {
		t.Errorf("a process sees %q, want new", got)
	}
	wantOutcomes(t, outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") }), "old")
}

func TestModelFullMediumTakesHalf(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "")
	f := open(t, s, "f")
	s.Fail(1, syscall.ENOSPC)
	n, err := f.WriteAt([]byte("abcdef"), 0)
	if n != 3 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if got := content(t, s, "f"); got != "abc" {
		t.Errorf("file has %q", got)
	}
}

func TestCutAfter(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "old")
	f := open(t, s, "f")
	s.CutAfter(2)
	put(t, f, "new", 0)
	if err := f.Sync(); !errors.Is(err, simfs.ErrPowerLost) {
		t.Fatalf("sync: %v", err)
	}
	if _, err := s.FS().ReadDir("."); !errors.Is(err, simfs.ErrPowerLost) {
		t.Fatalf("after the cut: %v", err)
	}
	seen := map[string]bool{}
	for im := range s.Images(2) {
		seen[content(t, im.Boot(), "f")] = true
	}
	if !seen["old"] || !seen["new"] {
		t.Errorf("a cut during the sync leaves %v", seen)
	}
}

func TestRestartKeepsWhatWasPending(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "old")
	f := open(t, s, "f")
	lock, err := s.FS().Lock("f")
	must(t, err)
	if _, err := s.FS().Lock("f"); !errors.Is(err, simfs.ErrBusy) {
		t.Fatalf("locked twice: %v", err)
	}
	s.KillAfter(2)
	put(t, f, "new", 0)
	if err := f.Sync(); !errors.Is(err, simfs.ErrKilled) {
		t.Fatal(err)
	}
	s = s.Restart()
	must(t, lock.Close()) // of the old process: frees nothing in the new one
	if got := content(t, s, "f"); got != "new" {
		t.Errorf("after the restart the file has %q", got)
	}
	if _, err := s.FS().Lock("f"); err != nil {
		t.Errorf("the lock of a dead process: %v", err)
	}
	got := outcomes(s, func(s *simfs.Sim) string { return content(t, s, "f") })
	if !slices.Contains(got, "old") || !slices.Contains(got, "new") {
		t.Errorf("a power cut after the kill leaves %q", got)
	}
}

func TestAckedBeforeTheCut(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", "")
	f := open(t, s, "f")
	s.Ack("n", 1)
	put(t, f, "a", 0) // 1
	s.Ack("n", 2)
	put(t, f, "b", 0) // 2
	for cut, want := range map[int]any{1: 1, 2: 2, 3: 2} {
		for im := range s.Images(cut) {
			if got := im.Boot().Acked("n"); got != want {
				t.Errorf("cut %d: acked %v, want %v", cut, got, want)
			}
			break
		}
	}
}

func TestReadHashIsWhatWasSeen(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", strings.Repeat("x", 10000))
	put(t, open(t, s, "other"), "y", 0)
	s.Reset()
	hash := func(look func(*simfs.Sim)) [32]byte {
		for im := range s.Images(1) {
			b := im.Boot()
			look(b)
			return b.ReadHash()
		}
		panic("no image")
	}
	nothing := hash(func(*simfs.Sim) {})
	f := hash(func(s *simfs.Sim) { content(t, s, "f") })
	absent := hash(func(s *simfs.Sim) { content(t, s, "absent") })
	if f == nothing || absent == nothing || f == absent {
		t.Error("different observations have one hash")
	}
	if f != hash(func(s *simfs.Sim) { content(t, s, "f") }) {
		t.Error("one observation has two hashes")
	}
}

func TestImagesDoNotShareChanges(t *testing.T) {
	s := synced(t, simfs.Options{}, "f", strings.Repeat("x", 8192))
	put(t, open(t, s, "f"), "y", 4096)
	for im := range s.Images(1) {
		before := im.Sum()
		a, b := im.Boot(), im.Boot()
		put(t, open(t, a, "f"), "zzz", 0)
		must(t, a.FS().Mkdir("d"))
		if strings.HasPrefix(content(t, b, "f"), "z") || content(t, b, "d") != "absent" {
			t.Fatal("a write to one machine shows in another")
		}
		if im.Sum() != before {
			t.Fatal("a write to a machine changed its image")
		}
	}
	if got := content(t, s, "f"); got[0] != 'x' {
		t.Error("a write to a booted machine shows in the recorded one")
	}
}

func TestDeviceBounds(t *testing.T) {
	d := simfs.NewSim(simfs.Options{}).Device("d", 100)
	for _, off := range []int64{-1, 98, 100, 1 << 62} {
		if _, err := d.WriteAt([]byte("abc"), off); !errors.Is(err, simfs.ErrBounds) && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("write at %d: %v", off, err)
		}
	}
	b := make([]byte, 100)
	_, err := d.ReadAt(b, 0)
	must(t, err)
	if !bytes.Equal(b, make([]byte, 100)) {
		t.Error("a refused write left bytes")
	}
}
