// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
)

// Workload is what [Explore] subjects to power cuts. The functions get all
// storage through the Sim, keep no state between calls, and are called from
// several goroutines with different Sims, unless Workers is 1. What they do must
// depend on nothing but the Sim: the same Sim, the same operations.
type Workload struct {
	// Setup makes the state before; it is made durable afterwards.
	Setup func(*Sim) error

	// Run is the work during which power fails at every operation. It calls
	// [Sim.Ack] for what it was told is durable.
	Run func(*Sim) error

	// Recover is what runs after power returned: it brings the machine into a
	// good state and checks it, against [Sim.Acked] too. It returns a
	// [*Violation] that names the invariant; any other error is a violation of
	// S5, live. It is itself subject to power cuts and errors, after which it
	// runs again.
	Recover func(*Sim) error

	// Cycle, if not nil, runs after each Recover: a full clean cycle that must
	// succeed (S5), not itself subject to faults. From equal states it runs once.
	Cycle func(*Sim) error
}

// Violation is an invariant that does not hold: S1 to S9.
type Violation struct {
	Invariant string
	Err       error
}

// Violated returns a *Violation with a formatted cause; %w wraps.
func Violated(invariant, format string, args ...any) error {
	return &Violation{invariant, fmt.Errorf(format, args...)}
}

func (v *Violation) Error() string { return v.Invariant + " violated: " + v.Err.Error() }
func (v *Violation) Unwrap() error { return v.Err }

// ExploreOptions bound an exploration. The zero value explores everything, but
// for the variants of one class at one cut.
type ExploreOptions struct {
	Sim         Options
	Seed        uint64 // of the sampling, the subsets and the scattered writes
	Variants    int    // of one class at one cut, 12 by default; a second fault has at most 12
	SecondEach  int    // second faults during one recovery, 0 for all, -1 for none
	SecondTotal int    // second faults in all, 0 for all; shared out evenly
	Reads       int    // reads of Run that fail once, evenly spread, 64 by default
	Workers     int    // GOMAXPROCS by default
}

const (
	defaultVariants = 12
	defaultReads    = 64
	batchSize       = 64 // a fixed one: what is explored does not depend on Workers
)

// Sample is how many second faults, or variants, a test examines that has time
// for n: all of them if the environment variable FIRMAMENT_EXPLORE is "all", and
// f times as many if it is a number f.
func Sample(n int) int {
	value := os.Getenv("FIRMAMENT_EXPLORE")
	if value == "all" {
		return 0
	}
	if f, err := strconv.Atoi(value); err == nil && f > 0 {
		return n * f
	}
	return n
}

// TB is the part of testing.TB that [Explore] needs.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Explore runs the workload once, then recovers from every image that a power
// cut at any operation may have left, in every [Class], and from every failure
// of a single operation and from a kill before it; and then again from every image and failure during
// each of those recoveries. Equal images are recovered from once. It stops at
// the first violation and reports it with the operations, what became of them,
// and the line that replays it.
//
// With FIRMAMENT_REPLAY in the environment as that line says, only that case
// runs.
func Explore(tb TB, w Workload, o ExploreOptions) *Table {
	tb.Helper()
	o.setDefaults()
	x := &explorer{tb: tb, pkg: testedPackage(), w: w, o: o, table: newTable(), seen: map[digest]bool{}, states: map[digest]bool{}}
	ready, err := x.prepare()
	if err != nil {
		tb.Fatalf("explore: %v", err)
		return x.table
	}
	x.recorded = ready
	if c, ok := replayOf(tb); ok {
		x.replay(c)
		return x.table
	}
	x.countFirst()
	x.explore()
	return x.table
}

func (o *ExploreOptions) setDefaults() {
	if o.Variants <= 0 {
		o.Variants = defaultVariants
	}
	if o.Reads == 0 {
		o.Reads = defaultReads
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
}

// testedPackage returns the import path of the package whose test binary this is.
func testedPackage() string {
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasSuffix(info.Path, ".test") {
		return strings.TrimSuffix(info.Path, ".test")
	}
	return "."
}

type explorer struct {
	tb       TB
	pkg      string // for the replay line
	w        Workload
	o        ExploreOptions
	recorded *Sim
	each     int // second faults during one recovery
	table    *Table
	seen     map[digest]bool // images
	states   map[digest]bool // what recoveries saw
	cycled   sync.Map        // digest of a state: Cycle succeeds from there
}

// prepare runs Setup and, recorded, Run.
func (x *explorer) prepare() (*Sim, error) {
	s := NewSim(x.o.Sim)
	if x.w.Setup != nil {
		if err := guarded(x.w.Setup, s); err != nil {
			return nil, fmt.Errorf("setup: %w", err)
		}
	}
	s.Reset()
	if err := guarded(x.w.Run, s); err != nil {
		return nil, fmt.Errorf("run without a fault: %w", err)
	}
	return s, nil
}

// errPanic marks a panic of the workload, which is a failure but no violation.
var errPanic = errors.New("panic")

func guarded(f func(*Sim) error, s *Sim) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return f(s)
}

// cycle runs Cycle, unless it has succeeded from the state that s is in. What a
// clean cycle does depends on nothing else: what is pending matters to cuts.
func (x *explorer) cycle(s *Sim) error {
	state, settled := s.state()
	if settled {
		if _, ok := x.cycled.Load(state); ok {
			return nil
		}
	}
	err := guarded(x.w.Cycle, s)
	if err == nil && settled {
		x.cycled.Store(state, true)
	}
	return err
}

// countFirst walks the first level once, only to share out the second.
func (x *explorer) countFirst() {
	x.each = x.o.SecondEach
	if x.o.SecondTotal <= 0 || x.each < 0 {
		return
	}
	n := 0
	for range x.first() {
		n++
	}
	clear(x.seen)
	x.table = newTable()
	share := max(x.o.SecondTotal/max(n, 1), 1)
	if x.each == 0 || share < x.each {
		x.each = share
	}
}

// explore works through the first level in batches. What one job explores
// depends on the batches before it only, so the result is the same with any
// number of workers.
func (x *explorer) explore() {
	var batch []*job
	flush := func() bool {
		x.run(batch)
		ok := x.merge(batch)
		batch = batch[:0]
		return ok
	}
	for j := range x.first() {
		if batch = append(batch, j); len(batch) == batchSize && !flush() {
			return
		}
	}
	flush()
}

func (x *explorer) run(batch []*job) {
	var wg sync.WaitGroup
	jobs := make(chan *job)
	for range x.o.Workers {
		wg.Go(func() {
			for j := range jobs {
				j.run()
			}
		})
	}
	for _, j := range batch {
		jobs <- j
	}
	close(jobs)
	wg.Wait()
}

// merge adds the results of a batch in order. It returns false after a failure.
func (x *explorer) merge(batch []*job) bool {
	for _, j := range batch {
		x.table.add(j)
		for sum := range j.seen {
			x.seen[sum] = true
		}
		for _, sum := range j.states {
			x.states[sum] = true
		}
		x.table.Distinct = len(x.states)
		if j.failure != nil {
			x.tb.Errorf("%s", j.failure.report(x))
			return false
		}
	}
	return true
}
