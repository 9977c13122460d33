// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
)

// recorder is a TB that keeps what an exploration reports.
type recorder struct {
	name   string
	errors []string
	fatal  string
	logs   []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Name() string              { return r.name }
func (r *recorder) Logf(f string, a ...any)   { r.logs = append(r.logs, fmt.Sprintf(f, a...)) }
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }
func (r *recorder) Fatalf(f string, a ...any) { r.fatal = fmt.Sprintf(f, a...) }

const oldText, newText = "old", "a newer and longer text"

// replace rewrites the file "f", and syncs what sync says: f the file, d the
// directory.
func replace(s *simfs.Sim, sync string) error {
	f, err := s.FS().OpenFile("t", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(newText), 0); err != nil {
		return err
	}
	if strings.Contains(sync, "f") {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := errors.Join(f.Close(), s.FS().Rename("t", "f")); err != nil {
		return err
	}
	if strings.Contains(sync, "d") {
		if err := s.FS().SyncDir("."); err != nil {
			return err
		}
	}
	s.Ack("replaced", true)
	return nil
}

func read(s *simfs.Sim, name string) (string, error) {
	f, err := s.FS().OpenFile(name, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	size, err := f.Size()
	if err != nil {
		return "", err
	}
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	return string(b), errors.Join(err, f.Close())
}

func replacing(sync string) simfs.Workload {
	return simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			f, err := s.FS().OpenFile("f", os.O_RDWR|os.O_CREATE)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte(oldText), 0)
			return err
		},
		Run: func(s *simfs.Sim) error { return replace(s, sync) },
		Recover: func(s *simfs.Sim) error {
			switch got, err := read(s, "f"); {
			case err != nil:
				return err
			case got != oldText && got != newText:
				return simfs.Violated("S2", "read %q", got)
			case got == oldText && s.Acked("replaced") != nil:
				return simfs.Violated("S3", "the acknowledged text is gone")
			}
			return replace(s, sync)
		},
	}
}

func TestExploreFindsWhatIsMissing(t *testing.T) {
	for sync, want := range map[string]string{"fd": "", "d": "S2 violated", "f": "S3 violated"} {
		tb := &recorder{name: "TestX/sub"}
		table := simfs.Explore(tb, replacing(sync), simfs.ExploreOptions{})
		switch {
		case tb.fatal != "":
			t.Errorf("%s: %s", sync, tb.fatal)
		case want == "" && (len(tb.errors) > 0 || table.Images[0] == 0 || table.Images[1] == 0):
			t.Errorf("%s: %d recoveries, %v", sync, table.Images, tb.errors)
		case want != "" && (len(tb.errors) != 1 || !strings.HasPrefix(tb.errors[0], want)):
			t.Errorf("%s: want %s, got %v", sync, want, tb.errors)
		}
	}
}

var replayLine = regexp.MustCompile("FIRMAMENT_REPLAY='(.*)' go test -run '(.*)' ")

func TestExploreReplaysTheCaseItReports(t *testing.T) {
	for _, sync := range []string{"d", "f"} {
		tb := &recorder{name: "TestX/sub"}
		simfs.Explore(tb, replacing(sync), simfs.ExploreOptions{Seed: 7})
		m := replayLine.FindStringSubmatch(tb.errors[0])
		if m == nil || m[2] != "^TestX$/^sub$" {
			t.Fatalf("no line to replay it in:\n%s", tb.errors[0])
		}
		t.Setenv("FIRMAMENT_REPLAY", m[1])
		again := &recorder{name: "TestX/sub"}
		table := simfs.Explore(again, replacing(sync), simfs.ExploreOptions{Seed: 7})
		if len(again.errors) != 1 || again.errors[0] != tb.errors[0] {
			t.Errorf("replayed %v, first was %v", again.errors, tb.errors)
		}
		if n := table.Images[0] + table.Images[1]; n > 2 {
			t.Errorf("the replay ran %d cases", n)
		}
		good := &recorder{name: "TestX/sub"}
		simfs.Explore(good, replacing("fd"), simfs.ExploreOptions{Seed: 7})
		if all := strings.Join(good.errors, "") + good.fatal; all != "" && !strings.Contains(all, "no such case") {
			t.Errorf("the same case with the fault mended: %v %s", good.errors, good.fatal)
		}
		t.Setenv("FIRMAMENT_REPLAY", "")
	}
}

func TestExploreDoesNotDependOnWorkers(t *testing.T) {
	var first string
	for _, workers := range []int{1, 2, 5} {
		tb := &recorder{name: "TestX"}
		got := simfs.Explore(tb, replacing("fd"), simfs.ExploreOptions{Workers: workers, SecondTotal: 2000}).String()
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("with %d workers\n%s\nwith one\n%s", workers, got, first)
		}
	}
}

func TestExploreSharesOutTheSecondLevel(t *testing.T) {
	all := simfs.Explore(&recorder{}, replacing("fd"), simfs.ExploreOptions{})
	some := simfs.Explore(&recorder{}, replacing("fd"), simfs.ExploreOptions{SecondTotal: 200})
	none := simfs.Explore(&recorder{}, replacing("fd"), simfs.ExploreOptions{SecondEach: -1})
	if all.Skipped != 0 || some.Skipped == 0 || some.Images[1] > 200 || none.Images[1] != 0 {
		t.Errorf("all\n%s\nsome\n%s\nnone\n%s", all, some, none)
	}
}

func TestExploreTellsPanicFromViolation(t *testing.T) {
	w := replacing("fd")
	w.Recover = func(*simfs.Sim) error { panic("broken") }
	tb := &recorder{}
	simfs.Explore(tb, w, simfs.ExploreOptions{})
	if len(tb.errors) != 1 || !strings.HasPrefix(tb.errors[0], "panic: broken") || strings.Contains(tb.errors[0], "violated") {
		t.Errorf("got %v", tb.errors)
	}
}

func TestExploreCallsAnyOtherErrorS5(t *testing.T) {
	w := replacing("fd")
	cause := errors.New("cannot go on")
	w.Cycle = func(*simfs.Sim) error { return cause }
	tb := &recorder{}
	simfs.Explore(tb, w, simfs.ExploreOptions{})
	if len(tb.errors) != 1 || !strings.HasPrefix(tb.errors[0], "S5 violated: clean cycle: cannot go on") {
		t.Errorf("got %v", tb.errors)
	}
}

func TestTableNamesEmptyCells(t *testing.T) {
	table := simfs.Explore(&recorder{}, replacing("fd"), simfs.ExploreOptions{})
	for _, cell := range table.Empty() {
		kind, _, _ := strings.Cut(cell, "/")
		if kind == "write" || kind == "rename" || kind == "sync" {
			t.Errorf("empty: %s", cell)
		}
	}
	if first, second := table.Cases(simfs.Rename, simfs.Torn512); first == 0 || second == 0 {
		t.Errorf("torn renames: %d and %d", first, second)
	}
	if got := len(table.Empty()); got == 0 {
		t.Error("nothing is empty, but no device was written")
	}
}

func ExampleExplore() {
	w := simfs.Workload{
		Run: func(s *simfs.Sim) error {
			// Creates the file "f" and makes neither it nor its name durable.
			f, err := s.FS().OpenFile("f", os.O_RDWR|os.O_CREATE)
			if err != nil {
				return err
			}
			s.Ack("made", true)
			return f.Close()
		},
		Recover: func(s *simfs.Sim) error {
			if _, err := s.FS().OpenFile("f", os.O_RDONLY); err != nil && s.Acked("made") != nil {
				return simfs.Violated("S3", "acknowledged, but: %w", err)
			}
			return nil
		},
	}
	tb := &recorder{name: "TestMade"}
	simfs.Explore(tb, w, simfs.ExploreOptions{})
	fmt.Println(tb.errors[0])
	// Output:
	// S3 violated: acknowledged, but: open f: file does not exist
	//
	// case 2.lost.0, seed 0; replay it with
	//   FIRMAMENT_REPLAY='TestMade@2.lost.0' go test -run '^TestMade$' github.com/firmament-dev/firmament/internal/simfs
	//
	// first fault: power cut during operation 2, class lost, variant 0
	//      1 create       f                                               lost
	//   after the last operation
}

// BenchmarkImages enumerates, hashes and boots the images of a machine with a
// device of 256 KiB.
func BenchmarkImages(b *testing.B) {
	s := simfs.NewSim(simfs.Options{})
	d := s.Device("slot", 256<<10)
	for i := range int64(64) {
		if _, err := d.WriteAt([]byte{1}, i*4096); err != nil {
			b.Fatal(err)
		}
	}
	s.Reset()
	for i := range int64(16) {
		if _, err := d.WriteAt(make([]byte, 16<<10), i*(16<<10)); err != nil {
			b.Fatal(err)
		}
		if i%4 == 3 {
			if err := d.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for cut := range s.Ops() + 1 {
			for im := range s.Images(cut + 1) {
				im.Sum()
				im.Boot()
				n++
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
}

// The clean cycle runs from each state that a recovery ended in, and once: what one of them finds out, another would.
func TestExploreCyclesFromEachState(t *testing.T) {
	var mu sync.Mutex
	ends, begins := map[string]int{}, map[string]int{}
	count := func(m map[string]int, s *simfs.Sim) error {
		old, err := read(s, "f")
		if err != nil {
			return err
		}
		temp, err := read(s, "t")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		m[fmt.Sprintf("%q %q %v %v", old, temp, err, s.Acked("replaced"))]++
		return nil
	}
	w := replacing("fd")
	w.Recover = func(s *simfs.Sim) error { return count(ends, s) } // leaves what it finds
	w.Cycle = func(s *simfs.Sim) error { return count(begins, s) }
	tb := &recorder{name: "TestX"}
	table := simfs.Explore(tb, w, simfs.ExploreOptions{Workers: 1})
	for state, n := range begins {
		if n != 1 {
			t.Errorf("%d cycles from %s", n, state)
		}
	}
	if len(begins) != len(ends) || len(begins) < 3 || table.Images[0]+table.Images[1] <= len(begins) || len(tb.errors) > 0 || tb.fatal != "" {
		t.Errorf("%d recoveries ended in %d states, cycles began in %d: %v %s", table.Images, len(ends), len(begins), tb.errors, tb.fatal)
	}

	// One bad state among good ones is found.
	w.Cycle = func(s *simfs.Sim) error {
		if got, _ := read(s, "f"); got == newText && s.Acked("replaced") == nil {
			return errors.New("stuck")
		}
		return nil
	}
	tb = &recorder{name: "TestX"}
	if simfs.Explore(tb, w, simfs.ExploreOptions{}); len(tb.errors) != 1 || !strings.HasPrefix(tb.errors[0], "S5 violated: clean cycle: stuck") {
		t.Errorf("want the cycle's failure, got %v", tb.errors)
	}
}
