// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
)

// Image is what is on the medium when power returns.
type Image struct {
	Cut     int   // the operation that was under way, from 1; one more than there are: none
	Kind    Kind  // of that operation, or of the last one
	Class   Class // of the fault
	Variant int   // which of the class

	opt  Options
	tree *tree
	told map[string]any
	next inode
	plan plan
	ops  []*op // that were pending, for printing
}

// Boot returns the machine that starts with this image. Every call returns
// another one; calls may be concurrent.
func (im *Image) Boot() *Sim {
	t := im.tree.clone()
	t.prune()
	return bootSim(im.opt, &machine{durable: t}, im.told, im.next)
}

// Sum identifies the image: all that can be read from it and all that was
// acknowledged before it.
func (im *Image) Sum() [32]byte { return sumOf(im.tree, im.told) }

func sumOf(t *tree, told map[string]any) digest {
	h := sha256.New()
	sum := t.digest()
	h.Write(sum[:])
	for _, key := range slices.Sorted(maps.Keys(told)) {
		hashString(h, key)
		hashString(h, fmt.Sprint(told[key]))
	}
	return digest(h.Sum(nil))
}

// Images enumerates what may be on the medium if power fails while operation
// number cut of the log, from 1, is under way; 1 more than [Sim.Ops] is after
// the last one has returned. Images of different classes may be equal.
func (s *Sim) Images(cut int) iter.Seq[*Image] {
	return func(yield func(*Image) bool) {
		e := newEnumeration(s, s.Ops(), defaultVariants, 1)
		for ; e.cut < cut; e.next() {
		}
		for _, class := range cutClasses {
			for i := range e.plans(class) {
				if !yield(e.image(class, i)) {
					return
				}
			}
		}
	}
}

// enumeration walks along the cuts of a log.
type enumeration struct {
	sim      *Sim
	log      []*op
	at       *machine
	cut      int
	variants int
	seed     uint64
	cache    map[Class][]plan
}

// newEnumeration starts at the first cut of the first n operations of s.
func newEnumeration(s *Sim, n, variants int, seed uint64) *enumeration {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := &enumeration{sim: s, log: s.log[:n:n], at: s.base.clone(), variants: variants, seed: seed}
	e.start()
	return e
}

// start brings the operation of the cut under way: it is pending, or if it is a
// sync it has not yet had its effect.
func (e *enumeration) start() {
	e.cut++
	e.cache = map[Class][]plan{}
	if o := e.current(); o != nil && !o.isSync() {
		e.at.step(o)
	}
}

// next ends the current operation and goes on to the next. It returns false
// after the cut behind the last operation.
func (e *enumeration) next() bool {
	if e.cut > len(e.log) {
		return false
	}
	if o := e.current(); o.isSync() {
		e.at.step(o)
	}
	e.start()
	return true
}

// current returns the operation that is under way, nil behind the last one.
func (e *enumeration) current() *op {
	if e.cut > len(e.log) {
		return nil
	}
	return e.log[e.cut-1]
}

func (e *enumeration) kind() Kind {
	if len(e.log) == 0 {
		return Read
	}
	return e.log[min(e.cut, len(e.log))-1].kind
}

func (e *enumeration) plans(class Class) []plan {
	if p, ok := e.cache[class]; ok {
		return p
	}
	seed := rand.New(rand.NewPCG(e.seed, uint64(e.cut))).Uint64() + uint64(slices.Index(classes, class))
	p := plans(e.at.pending, class, e.sim.opt, e.variants, seed)
	e.cache[class] = p
	return p
}

func (e *enumeration) image(class Class, variant int) *Image {
	p := e.plans(class)[variant]
	e.sim.mu.Lock()
	told := e.sim.acked(e.cut)
	e.sim.mu.Unlock()
	return &Image{
		Cut: e.cut, Kind: e.kind(), Class: class, Variant: variant,
		opt: e.sim.opt, tree: e.at.cut(p), told: told, next: e.sim.next,
		plan: p, ops: e.at.pending,
	}
}
