// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"syscall"
)

// point is a fault of one level: which operation or read, class and variant.
type point struct {
	cut     int
	kind    Kind
	class   Class
	variant int
}

// job is one image, or one failing operation, of the first level, with all that
// follows from it.
type job struct {
	x     *explorer
	at    point
	image *Image // nil for an error class
	start *Sim   // for an error class, once it is known: after the restart
	only  *point // replay: the only second fault

	counts  map[point]int // second faults by kind and class
	images  [2]int
	skipped int
	seen    map[digest]bool
	states  []digest
	failure *failure
}

// first enumerates the first level. Cases that lead to an image seen before are
// counted and not yielded.
func (x *explorer) first() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		for j := range x.firstCuts() {
			if !yield(j) {
				return
			}
		}
		for j := range x.firstErrors() {
			if !yield(j) {
				return
			}
		}
	}
}

func (x *explorer) firstCuts() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		e := newEnumeration(x.recorded, x.recorded.Ops(), x.o.Variants, x.o.Seed)
		for more := true; more; more = e.next() {
			for _, class := range cutClasses {
				for i := range e.plans(class) {
					at := point{e.cut, e.kind(), class, i}
					x.table.count(0, at)
					im := e.image(class, i)
					sum := im.Sum()
					if x.seen[sum] {
						continue
					}
					x.seen[sum] = true
					if !yield(x.job(at, im)) {
						return
					}
				}
			}
		}
	}
}

func (x *explorer) firstErrors() iter.Seq[*job] {
	return func(yield func(*job) bool) {
		for i, o := range x.recorded.operations() {
			for _, class := range errorClasses {
				at := point{i + 1, o.kind, class, 0}
				x.table.count(0, at)
				if !yield(x.job(at, nil)) {
					return
				}
			}
		}
		reads := x.recorded.reads
		step := max(reads/max(x.o.Reads, 1), 1)
		for n := 1; n <= reads && x.o.Reads > 0; n += step {
			at := point{n, Read, EIO, 0}
			x.table.count(0, at)
			if !yield(x.job(at, nil)) {
				return
			}
		}
	}
}

func (x *explorer) job(at point, im *Image) *job {
	return &job{x: x, at: at, image: im, counts: map[point]int{}, seen: map[digest]bool{}}
}

func (j *job) run() {
	s, err := j.boot()
	if err != nil {
		j.fail(nil, s, nil, err)
		return
	}
	j.images[0]++
	ops, reads, ok := j.recover(s, nil, nil)
	if !ok {
		return
	}
	j.runSecond(s, ops, j.second(s, ops, reads))
}

// runSecond recovers again from each second fault in the first n operations of
// the recovery s. The points are in the order of their cuts.
func (j *job) runSecond(s *Sim, n int, points []point) {
	e := newEnumeration(s, n, min(j.x.o.Variants, defaultVariants), j.seed())
	for _, p := range points {
		again, im, err := j.bootSecond(e, p)
		j.counts[point{kind: p.kind, class: p.class}]++
		switch {
		case err != nil:
			j.fail(&p, s, im, err)
			return
		case again == nil:
			continue
		}
		j.images[1]++
		if _, _, ok := j.recover(again, &p, im); !ok {
			j.failure.during = s
			return
		}
	}
}

// bootSecond returns the machine after a second fault, nil if it is one that was
// examined before.
func (j *job) bootSecond(e *enumeration, p point) (*Sim, *Image, error) {
	if slices.Contains(errorClasses, p.class) {
		s, err := j.boot()
		if err != nil {
			return nil, nil, err
		}
		s, err = restarted(s, p, j.x.w.Recover)
		return s, nil, err
	}
	for e.cut < p.cut && e.next() {
	}
	if p.variant >= len(e.plans(p.class)) {
		return nil, nil, fmt.Errorf("%w: %v", errNoCase, p)
	}
	im := e.image(p.class, p.variant)
	sum := im.Sum()
	if j.only == nil && (j.x.seen[sum] || j.seen[sum]) {
		return nil, nil, nil
	}
	j.seen[sum] = true
	return im.Boot(), im, nil
}

// boot returns the machine at the start of the first recovery, each time another one.
func (j *job) boot() (*Sim, error) {
	if j.image != nil {
		return j.image.Boot(), nil
	}
	if j.start == nil {
		s, err := restarted(j.x.recorded.fork(), j.at, j.x.w.Run)
		if err != nil {
			return s, err
		}
		j.start = s
	}
	return j.start.twin(), nil
}

// restarted runs work on s with one failing operation and restarts the process.
// The work may well fail of it, but not find an invariant violated.
func restarted(s *Sim, at point, work func(*Sim) error) (*Sim, error) {
	injected := map[Class]error{EIO: syscall.EIO, ENOSPC: syscall.ENOSPC, Killed: ErrKilled}[at.class]
	if at.kind == Read {
		s.FailRead(at.cut, injected)
	} else {
		s.Fail(at.cut, injected)
	}
	err := guarded(work, s)
	_, violation := errors.AsType[*Violation](err)
	if errors.Is(err, errPanic) || violation && !errors.Is(err, injected) {
		return s, fmt.Errorf("while the operation fails: %w", err)
	}
	return s.Restart(), nil
}

// recover runs Recover and Cycle, and returns how many operations and reads
// Recover made.
func (j *job) recover(s *Sim, second *point, im *Image) (ops, reads int, ok bool) {
	err := guarded(j.x.w.Recover, s)
	ops, reads = s.Ops(), s.reads
	j.states = append(j.states, s.ReadHash())
	if err == nil && j.x.w.Cycle != nil {
		if err = j.x.cycle(s); err != nil {
			err = fmt.Errorf("clean cycle: %w", err)
		}
	}
	if err != nil {
		j.fail(second, s, im, err)
		return 0, 0, false
	}
	return ops, reads, true
}

// second lists the second faults to examine, in the order of their cuts. If
// there are more than the limit, each kind of operation and class gets its turn.
func (j *job) second(s *Sim, ops, reads int) []point {
	if j.only != nil {
		j.only.kind = s.kindAt(*j.only)
		return []point{*j.only}
	}
	if j.x.each < 0 {
		return nil
	}
	var all []point
	e := newEnumeration(s, ops, min(j.x.o.Variants, defaultVariants), j.seed())
	for more := true; more; more = e.next() {
		for _, class := range cutClasses {
			for i := range e.plans(class) {
				all = append(all, point{e.cut, e.kind(), class, i})
			}
		}
		for _, class := range errorClasses {
			if e.current() != nil {
				all = append(all, point{e.cut, e.kind(), class, 0})
			}
		}
	}
	if reads > 0 {
		n := rand.New(rand.NewPCG(j.seed(), 3)).IntN(reads) + 1
		all = append(all, point{n, Read, EIO, 0})
	}
	if limit := j.x.each; limit > 0 && len(all) > limit {
		j.skipped += len(all) - limit
		all = fairSample(all, limit, j.seed())
	}
	return all
}

func (j *job) seed() uint64 {
	return rand.New(rand.NewPCG(j.x.o.Seed, uint64(j.at.cut)<<16|uint64(slices.Index(classes, j.at.class))<<8|uint64(j.at.variant))).Uint64()
}

// fairSample takes points in turn from each (kind, class), at random in each.
func fairSample(all []point, limit int, seed uint64) []point {
	cells := map[point][]point{}
	var order []point
	for _, p := range all {
		cell := point{kind: p.kind, class: p.class}
		if cells[cell] == nil {
			order = append(order, cell)
		}
		cells[cell] = append(cells[cell], p)
	}
	rnd := rand.New(rand.NewPCG(seed, 4))
	rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	taken := make([]point, 0, limit)
	for len(taken) < limit {
		for _, cell := range order {
			left := cells[cell]
			if len(left) == 0 || len(taken) == limit {
				continue
			}
			i := rnd.IntN(len(left))
			taken = append(taken, left[i])
			left[i] = left[len(left)-1]
			cells[cell] = left[:len(left)-1]
		}
	}
	slices.SortFunc(taken, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.cut, b.cut), cmp.Compare(slices.Index(classes, a.class), slices.Index(classes, b.class)), cmp.Compare(a.variant, b.variant))
	})
	return taken
}
