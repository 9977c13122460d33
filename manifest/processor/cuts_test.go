// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// trip is one program on one shelf with one journal.
type trip struct {
	tb   testing.TB
	v    *manifest.Verified
	deps *processor.Dependencies
	d    *shelf
	l    *log
	jobs int // at once

	event func(processor.Event)
}

var tripSections = []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionPayloadFetch, manifest.SectionInstall, manifest.SectionValidate}

// run switches the power on, and runs the program until it is at its end, or the power lost.
func (r *trip) run() error {
	r.d.dead = false
	o := processor.Options{Platform: r.d, Identity: identity, Journal: wire{r.l, r.d}, Dependencies: r.deps, OnEvent: r.event, Limits: processor.Limits{Parallel: r.jobs}}
	return startWith(r.tb, r.v, o, tripSections...)
}

// cut makes the next run lose its power: at append k of the journal, or, after those, at an effect.
func (r *trip) cut(k, appends int) (what string) {
	r.l.cut, r.d.cut = -1, -1
	if k < 2*appends {
		r.l.cut, r.l.after = k/2, k%2 == 1
		return fmt.Sprintf("append %d, durable %v", r.l.cut, r.l.after)
	}
	k -= 2 * appends
	r.d.cut, r.d.torn = k/int(tears), tear(k%int(tears))
	return fmt.Sprintf("effect %d, tear %d", r.d.cut, r.d.torn)
}

// whole asks whether all has come out as it should.
func (r *trip) whole(p *shelfProgram) error {
	for i, want := range p.holds {
		if got := string(r.d.boxes[componentID(i).String()].content); got != want {
			return fmt.Errorf("component %d holds %q, want %q", i, got, want)
		}
	}
	for name, want := range p.end {
		if got := r.d.boxes[name].content; string(got) != string(want) {
			return fmt.Errorf("dependency %s has %d bytes, want %d", name, len(got), len(want))
		}
	}
	if r.d.wrong != "" {
		return errors.New(r.d.wrong)
	}
	return nil
}

// campaign cuts programs, and counts.
type campaign struct {
	t                       *testing.T
	programs, refused, cuts int
	most                    int
	kinds                   map[string]int
}

// size is how many programs there are where n are usual.
func size(n int) int {
	switch {
	case testing.Short():
		return n * 2 / 5
	case os.Getenv("FIRMAMENT_LARGE") != "":
		return n * 10
	}
	return n
}

// random cuts programs, of n components each, with dependencies or without, so many jobs at a time.
func random(t *testing.T, programs, n, jobs int, dependencies bool) *campaign {
	programs = size(programs)
	c := &campaign{t: t, programs: programs, kinds: map[string]int{}}
	for seed := range programs {
		p := newShelfProgram(t, uint64(seed), n)
		if dependencies {
			p.depend()
		}
		p.sections()
		if p.rnd.IntN(2) == 0 {
			for i, held := range p.holds {
				p.root.m.Validate = append(p.root.m.Validate, p.root.at(i), of(held), imageMatch)
			}
		}
		if p.root.m.Validate == nil {
			p.root.m.Validate = seq{index(0), command(manifest.ConditionVendorID)}
		}
		v, err := registry.OpenBytes(p.root.write(), keySet(t, signer.Public()), one(t))
		if err != nil {
			t.Fatal(p.text, err)
		}
		if jobs == 1 {
			c.program(t, p, v, seed, 1)
			continue
		}
		synctest.Test(t, func(t *testing.T) { c.program(t, p, v, seed, jobs) })
	}
	t.Logf("%d programs, %d of them refused, with effects %v, at most %d at once; %d cuts", programs, c.refused, c.kinds, c.most, c.cuts)
	return c
}

// trip starts p afresh.
func (c *campaign) trip(t *testing.T, p *shelfProgram, v *manifest.Verified, deps *processor.Dependencies, seed, jobs int) *trip {
	r := &trip{tb: t, v: v, deps: deps, d: newShelf(p.start), l: &log{cut: -1}, jobs: jobs}
	r.d.letters = p.letters
	p.link(r.d.boxes, p.root, v.Digest())
	if jobs > 1 {
		r.d.rnd = rand.New(rand.NewPCG(uint64(seed), 2))
		r.d.pace = func(effect string) time.Duration { // now this is faster, now that
			h := fnv.New32()
			fmt.Fprint(h, seed, effect)
			return time.Duration(1+h.Sum32()%1000) * time.Millisecond
		}
	}
	return r
}

func (c *campaign) program(t *testing.T, p *shelfProgram, v *manifest.Verified, seed, jobs int) {
	deps := p.dependencies()
	whole := c.trip(t, p, v, deps, seed, jobs)
	if err := whole.run(); err != nil {
		c.refused++ // a rehearsal takes what a custom command makes for anything that is asked for
		return
	}
	if err := whole.whole(p); err != nil {
		t.Fatalf("%q: %v; effects %q", p.text, err, whole.d.log)
	}
	c.most = max(c.most, whole.d.most)
	appends := len(whole.l.steps)
	places := 2*appends + int(tears)*len(whole.d.log)
	for _, e := range whole.d.log {
		c.kinds[e[:4]]++
	}
	for k := range places {
		for _, second := range []int{-1, p.rnd.IntN(places)} {
			r := c.trip(t, p, v, deps, seed+k, jobs)
			what := []string{r.cut(k, appends)}
			if err := r.run(); !errors.Is(err, errCut) && (err != nil || jobs == 1) { // it depends on what is faster how many choices are journaled
				t.Fatal(p.text, what, err)
			}
			if second >= 0 {
				what = append(what, r.cut(second, appends))
				if err := r.run(); err != nil && !errors.Is(err, errCut) {
					t.Fatalf("M7 violated: %q, cut at %q: %v", p.text, what, err)
				}
			}
			r.l.cut, r.d.cut = -1, -1
			err := r.run()
			c.cuts += len(what)
			if err == nil {
				err = r.whole(p)
			}
			switch {
			case err != nil:
			case len(r.d.log) > len(whole.d.log)+len(what)*r.d.most:
				err = fmt.Errorf("effects repeated: %q", r.d.log)
			case len(r.l.steps) > 2*appends:
				err = fmt.Errorf("%d steps, %d without a cut", len(r.l.steps), appends)
			}
			if err != nil {
				t.Fatalf("M7 violated: %q, cut at %q: %v; effects %q", p.text, what, err, r.d.log)
			}
		}
	}
}

// Whatever random programs do, and wherever the power fails, once or again while they are resumed: they can be
// resumed, the end is that of a run without a cut, no effect is made more often than there were cuts, and nobody asks for what is in the
// middle of a swap.
//
// covers: STO-01
func TestM7_RandomCuts(t *testing.T) {
	c := random(t, 100, 3, 1, false)
	c.enough("writ", "fetc", "cust", "swap")
}

// The same with dependencies: fetched, carried, or there before; one below the other, or shared by two that depend on it.
func TestM7_RandomCutsDependencies(t *testing.T) {
	c := random(t, 15, 3, 1, true)
	c.enough("writ", "fetc", "cust", "swap")
}

// The same with several jobs at once, some of which the power loss finds under way.
func TestM7_RandomCutsParallel(t *testing.T) {
	c := random(t, 30, 5, 3, false)
	c.enough("writ", "fetc", "cust", "swap")
}

// The same with dependencies that are processed at the same time.
func TestM7_RandomCutsParallelDependencies(t *testing.T) {
	c := random(t, 6, 5, 3, true)
	c.enough("writ", "fetc", "swap")
}

func (c *campaign) enough(kinds ...string) {
	c.t.Helper()
	if c.refused > c.programs/5 {
		c.t.Errorf("%d programs of %d refused", c.refused, c.programs)
	}
	for _, kind := range kinds {
		if c.kinds[kind] < c.programs/10 {
			c.t.Errorf("only %d effects %s", c.kinds[kind], kind)
		}
	}
}
