// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs

import (
	"math/rand/v2"
	"slices"
)

// Class is a class of faults, a column of the [Table]. All but the last three are
// ways in which power can fail; each is a choice of what became of the pending
// operations, the one that was under way included. A class whose fault cannot
// happen to what is pending comes down to a milder one, at least to losing
// everything.
type Class string

const (
	Clean      Class = "clean"       // all pending operations persisted
	Lost       Class = "lost"        // none did
	Torn512    Class = "torn512"     // the last data write was cut between sectors
	Torn64     Class = "torn64"      // the last data write was cut between units of 64 bytes
	Reordered  Class = "reordered"   // a later operation persisted, an earlier one did not
	NamesFirst Class = "names-first" // directory entries and sizes did, data did not
	DataFirst  Class = "data-first"  // data and sizes did, directory entries did not
	Subset     Class = "subset"      // some operations, and parts of them, did
	EIO        Class = "eio"         // no power cut: the operation failed once with EIO
	ENOSPC     Class = "enospc"      // no power cut: the operation failed once with ENOSPC
	Killed     Class = "killed"      // no power cut: the process was killed before the operation, and restarted
)

var (
	cutClasses   = []Class{Clean, Lost, Torn512, Torn64, Reordered, NamesFirst, DataFirst, Subset}
	errorClasses = []Class{EIO, ENOSPC, Killed}
	classes      = append(slices.Clone(cutClasses), errorClasses...)
)

// maxExhaustive is how many pending operations get all their subsets.
const maxExhaustive = 6

// plan is one fate for each pending operation.
type plan []fate

// plans returns what may become of the pending operations in a class: at most
// limit plans, chosen by the seed if there are more.
func plans(pending []*op, class Class, o Options, limit int, seed uint64) []plan {
	var all []plan
	switch class {
	case Clean:
		all = []plan{uniform(pending, done)}
	case Lost:
		all = []plan{uniform(pending, lost)}
	case Torn512:
		all = tornPlans(pending, 512, limit)
	case Torn64:
		all = tornPlans(pending, 64, limit)
	case Reordered:
		all = reorderedPlans(pending)
	case NamesFirst:
		all = namesFirstPlans(pending)
	case DataFirst:
		all = dataFirstPlans(pending)
	case Subset:
		all = subsetPlans(pending, limit, seed)
	}
	all = sample(all, limit, seed)
	if o.Profile == Ordered {
		for _, p := range all {
			p.order()
		}
	}
	return all
}

// sample keeps limit of the plans, the first one always.
func sample(all []plan, limit int, seed uint64) []plan {
	if len(all) <= limit {
		return all
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	rest := all[1:]
	rnd.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	return all[:limit]
}

// order makes everything before the last operation that had any effect
// complete.
func (p plan) order() {
	last := len(p) - 1
	for last >= 0 && p[last].how == lost {
		last--
	}
	for i := range max(last, 0) {
		p[i] = fate{how: done}
	}
}

func uniform(pending []*op, how outcome) plan {
	p := make(plan, len(pending))
	for i := range p {
		p[i].how = how
	}
	return p
}

// with returns the plan with one fate changed.
func (p plan) with(i int, f fate) plan {
	p = slices.Clone(p)
	p[i] = f
	return p
}

// tornPlans tears the last data write: what came before it arrived, what came
// after it did so or did not. On FAT a rename tears as well. Everything else
// is atomic: torn, it did not happen.
func tornPlans(pending []*op, unit int64, limit int) []plan {
	all := uniform(pending, done)
	var out []plan
	if i := lastIndex(pending, (*op).isData); i >= 0 {
		before := slices.Clone(all)
		clear(before[i+1:])
		for _, f := range tears(pending[i], unit, limit) {
			out = append(out, all.with(i, f))
			if i < len(pending)-1 {
				out = append(out, before.with(i, f))
			}
		}
	}
	if i := lastIndex(pending, canHalve); i >= 0 {
		for half := range 3 {
			out = append(out, all.with(i, fate{how: halved, half: half}))
		}
	}
	if last := len(pending) - 1; len(out) == 0 && last >= 0 {
		return []plan{all.with(last, fate{})}
	}
	if len(out) == 0 {
		return []plan{all}
	}
	return out
}

func canHalve(o *op) bool { return o.fat && o.kind == Rename && len(o.edits) == 2 }

func lastIndex(pending []*op, is func(*op) bool) int {
	for i := len(pending) - 1; i >= 0; i-- {
		if is(pending[i]) {
			return i
		}
	}
	return -1
}

// tears returns the ways in which a write is cut at a multiple of unit: at about
// limit of them, the first and the last included.
func tears(o *op, unit int64, limit int) []fate {
	n := len(o.data)
	var at []int // ends of all units but the last
	for u := range units(o, unit) {
		if u.hi < n {
			at = append(at, u.hi)
		}
	}
	at = spread(at, limit)
	var out []fate
	for _, hi := range at {
		out = append(out, fate{how: torn, hi: hi})
		if o.grows() {
			out = append(out, fate{how: torn, hi: hi, grow: stale}, fate{how: torn, hi: hi, grow: short})
		}
		if o.fat {
			out = append(out, fate{how: torn, hi: hi, scar: true})
		}
	}
	if len(at) > 0 {
		out = append(out, fate{how: torn, lo: at[0], hi: n})
	}
	out = append(out, fate{how: torn})
	if o.grows() {
		out = append(out, fate{how: torn, grow: stale})
	}
	if o.fat {
		out = append(out, fate{how: torn, scar: true})
	}
	return out
}

// spread keeps at most limit, but at least three, of the values, evenly.
func spread(all []int, limit int) []int {
	limit = max(limit, 3)
	if len(all) <= limit {
		return all
	}
	out := make([]int, limit)
	for i := range out {
		out[i] = all[i*(len(all)-1)/(limit-1)]
	}
	return out
}

// reorderedPlans loses one operation and keeps all later ones; one write alone
// loses its first sector.
func reorderedPlans(pending []*op) []plan {
	all := uniform(pending, done)
	var out []plan
	for i := range len(pending) - 1 {
		out = append(out, all.with(i, fate{}))
	}
	if last := len(pending) - 1; last > 0 {
		out = append(out, uniform(pending, lost).with(last, fate{how: done}))
	}
	if i := lastIndex(pending, (*op).isData); i >= 0 {
		for s := range units(pending[i], 512) {
			if s.hi < len(pending[i].data) {
				out = append(out, all.with(i, fate{how: torn, lo: s.hi, hi: len(pending[i].data)}))
			}
			break
		}
	}
	if len(out) == 0 {
		return []plan{uniform(pending, lost)}
	}
	return out
}

func namesFirstPlans(pending []*op) []plan {
	var out []plan
	for _, data := range []fate{{how: torn}, {how: torn, grow: stale}, {}} {
		p := uniform(pending, done)
		for i, o := range pending {
			if !o.isNames() && (o.isData() || data.how == lost) {
				p[i] = data
			}
		}
		out = append(out, p)
	}
	return out
}

func dataFirstPlans(pending []*op) []plan {
	p := uniform(pending, done)
	for i, o := range pending {
		if o.isNames() {
			p[i] = fate{}
		}
	}
	return []plan{p}
}

// minRandom is how many random plans a subset has at the least.
const minRandom = 4

func subsetPlans(pending []*op, limit int, seed uint64) []plan {
	rnd := rand.New(rand.NewPCG(seed, 2))
	n := len(pending)
	var out []plan
	if n <= maxExhaustive {
		out = allSubsets(pending)
	} else {
		out = someSubsets(pending)
	}
	for range max(minRandom, limit-len(out)) {
		p := uniform(pending, done)
		for i, o := range pending {
			p[i] = randomFate(rnd, o)
		}
		out = append(out, p)
	}
	return out
}

func allSubsets(pending []*op) (out []plan) {
	for mask := 1; mask < 1<<len(pending)-1; mask++ {
		p := uniform(pending, lost)
		for i := range p {
			if mask>>i&1 == 1 {
				p[i].how = done
			}
		}
		out = append(out, p)
	}
	return out
}

// someSubsets are all prefixes, all but one, and only one.
func someSubsets(pending []*op) (out []plan) {
	all, none := uniform(pending, done), uniform(pending, lost)
	prefix := none
	for i := range pending {
		out = append(out, all.with(i, fate{}), none.with(i, fate{how: done}))
		prefix = prefix.with(i, fate{how: done})
		out = append(out, prefix)
	}
	return out
}

func randomFate(rnd *rand.Rand, o *op) fate {
	grow := growth(rnd.IntN(3))
	switch n := len(o.data); rnd.IntN(5) {
	case 0:
		return fate{}
	case 1:
		if n > 0 && n <= pageSize { // cut at any byte
			return fate{how: torn, hi: rnd.IntN(n), grow: grow}
		}
	case 2:
		if n > 0 {
			return fate{how: scattered, unit: 512, seed: rnd.Uint64(), grow: grow}
		}
	case 3:
		if n > 0 {
			return fate{how: scattered, unit: 64, seed: rnd.Uint64(), grow: grow}
		}
		if canHalve(o) {
			return fate{how: halved, half: rnd.IntN(3)}
		}
	}
	return fate{how: done}
}
