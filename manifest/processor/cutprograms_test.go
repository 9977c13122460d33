// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// shelfProgram makes sections of random commands that run to the end, and follows what the components hold.
type shelfProgram struct {
	tb       testing.TB
	rnd      *rand.Rand
	holds    []string
	digested []bool // an image digest has been set
	parallel bool   // commands may run at the same time
	text     []string
	root     *volume
	letters  map[string][]byte // envelopes, by URI
	start    map[string][]byte // what the shelf holds before
	end      map[string][]byte // the envelopes it holds afterwards
	policies *rand.Rand        // gives them to the commands; nil: none
	late     manifest.Section  // dependencies are fetched in it, and have sections before that nobody runs; 0: none is late
}

// volume is one manifest of a program.
type volume struct {
	p       *shelfProgram
	name    string
	own     []int // its components
	deps    []*volume
	m       manifest.Manifest
	kept    manifest.ComponentID
	carried bool // in the envelope of what depends on it
	twice   bool // its sections are processed more than once
	apart   bool // and beside others: no component may be target and source there
	again   []func()
	encoded []byte
	digest  verify.Digest
	leaves  int // the dependency that it unlinks at the end, if it is not negative
	fetched bool
}

// newShelfProgram makes one for n components.
func newShelfProgram(tb testing.TB, seed uint64, n int) *shelfProgram {
	p := &shelfProgram{tb: tb, rnd: rand.New(rand.NewPCG(seed, 1)), letters: map[string][]byte{}, start: map[string][]byte{}, end: map[string][]byte{}}
	p.root = &volume{p: p, name: "root", leaves: -1}
	for i, content := range []string{"zero", "one", "two", "three", "four"}[:n] {
		p.root.own = append(p.root.own, i)
		p.holds, p.digested = append(p.holds, content), append(p.digested, false)
		p.start[componentID(i).String()] = []byte(content)
	}
	return p
}

// at selects component i of the program.
func (o *volume) at(i int) manifest.Command { return index(uint64(slices.Index(o.own, i))) }

func (o *volume) from(i int) manifest.Command { return from(uint64(slices.Index(o.own, i))) }

// of selects the k-th dependency.
func (o *volume) of(k int) manifest.Command { return index(uint64(len(o.own) + k)) }

// step returns some commands. What is processed twice does what can be done whatever the components hold.
func (o *volume) step() seq {
	p := o.p
	mix := p.rnd.Perm(len(o.own))
	if len(mix) > 3 && p.rnd.IntN(2) == 0 {
		return o.together(mix)
	}
	i, j := o.own[mix[0]], o.own[mix[1]]
	at, with := o.at(i), o.from(j)
	fresh := fmt.Sprint("new", p.rnd.IntN(5))
	note := func(format string, args ...any) {
		p.text = append(p.text, o.name+": "+fmt.Sprintf(format, args...))
	}
	do := func(f func()) {
		f()
		if o.twice {
			o.again = append(o.again, f)
		}
	}
	put := func(to int, what string) { do(func() { p.holds[to] = what }) }
	kind := p.rnd.IntN(12)
	if o.twice {
		kind = []int{0, 1, 2, 5, 8, 9, 10}[p.rnd.IntN(7)]
	}
	if o.apart {
		kind = []int{0, 1, 2, 6, 7, 8, 11}[p.rnd.IntN(7)]
	}
	if len(mix) < 3 && kind == 10 {
		kind = 8
	}
	if kind == 2 && len(p.root.deps) > 0 && p.rnd.IntN(3) > 0 {
		kind = 0 // a rehearsal takes what a custom command makes for anything that is asked for
	}
	switch kind {
	case 0:
		note("write %d %s", i, fresh)
		put(i, fresh)
		return seq{at, con(fresh), write}
	case 1:
		note("fetch %d %s", i, fresh)
		put(i, fresh)
		p.digested[i] = true
		return seq{at, of(fresh), uri(fresh), fetch}
	case 2:
		note("custom %d %s", i, fresh)
		put(i, fresh)
		return seq{at, {Code: -257, Custom: fresh}}
	case 3:
		note("copy %d from %d", i, j)
		p.digested[i] = true
		cmds := seq{at, of(p.holds[j]), with, copyc}
		put(i, p.holds[j])
		return cmds
	case 4:
		cmds := seq{o.at(j), of(p.holds[j]), imageMatch, at}
		note("match %d, copy %d from it", j, i)
		p.digested[j] = true
		if p.digested[i] {
			cmds = append(cmds, of(p.holds[j]))
		}
		put(i, p.holds[j])
		return append(cmds, with, copyc)
	case 5:
		note("swap %d %d", i, j)
		do(func() { p.holds[i], p.holds[j] = p.holds[j], p.holds[i] })
		return seq{at, with, swap}
	case 6:
		note("match %d", i)
		p.digested[i] = true
		return seq{at, of(p.holds[i]), imageMatch}
	case 7:
		note("check %d", i)
		return seq{at, con(p.holds[i]), command(manifest.ConditionCheckContent)}
	case 8:
		guess := []string{p.holds[j], "other"}[p.rnd.IntN(2)]
		note("if %d is %s write %d %s, else %s", j, guess, i, fresh, fresh+"!")
		do(func() {
			if p.holds[j] == guess {
				p.holds[i] = fresh
			} else {
				p.holds[i] = fresh + "!"
			}
		})
		return seq{o.at(j), try(seq{con(guess), command(manifest.ConditionCheckContent), at, con(fresh), write}, seq{at, con(fresh + "!"), write})}
	case 9:
		guess := []string{p.holds[j], "other"}[p.rnd.IntN(2)]
		note("if %d is not %s swap %d %d", j, guess, i, j)
		p.digested[j] = true
		do(func() {
			if p.holds[j] != guess {
				p.holds[i], p.holds[j] = p.holds[j], p.holds[i]
			}
		})
		return seq{o.at(j), of(guess), tryOrNil(seq{command(manifest.ConditionImageNotMatch), at, with, swap}, seq{abort})}
	case 10: // a rehearsal that does not know what is where takes the wrong way
		k := o.own[mix[2]]
		note("swap %d %d, if %d is other write %d %s, else %s, check it", i, j, i, k, fresh, fresh+"!")
		do(func() { p.holds[i], p.holds[j], p.holds[k] = p.holds[j], p.holds[i], fresh+"!" })
		check, other := command(manifest.ConditionCheckContent), o.at(k)
		return seq{at, with, swap, try(seq{con("other"), check, other, con(fresh), write}, seq{other, con(fresh + "!"), write}), other, con(fresh + "!"), check}
	default:
		return o.together(mix)
	}
}

// together returns commands that may run at the same time.
func (o *volume) together(mix []int) seq {
	p := o.p
	p.parallel = true
	cmds := seq{o.at(o.own[mix[0]]), lax(false)}
	jobs := mix[:2+p.rnd.IntN(len(mix)-1)]
	sources := mix[len(jobs):]
	if o.apart {
		sources = nil
	}
	for n, k := range jobs {
		cmds = append(cmds, o.job(o.own[k], sources, fmt.Sprint("job", n)))
	}
	return append(cmds, lax(true))
}

// job is a sequence that changes component i alone, and no other job's.
func (o *volume) job(i int, sources []int, fresh string) manifest.Command {
	p := o.p
	cmds := seq{o.at(i)}
	was := p.holds[i]
	for n := range 1 + p.rnd.IntN(2) {
		fresh := fmt.Sprint(fresh, n)
		check := command(manifest.ConditionCheckContent)
		kind := p.rnd.IntN(6)
		if kind == 5 && len(sources) == 0 {
			kind = 0
		}
		switch kind {
		case 5:
			j := o.own[sources[p.rnd.IntN(len(sources))]]
			cmds = append(cmds, of(p.holds[j]), o.from(j), copyc)
			p.digested[i], p.holds[i] = true, p.holds[j]
		case 0:
			cmds = append(cmds, con(fresh), write)
			p.holds[i] = fresh
		case 1:
			cmds = append(cmds, of(fresh), uri(fresh), fetch, imageMatch)
			p.digested[i], p.holds[i] = true, fresh
		case 2:
			cmds = append(cmds, con(p.holds[i]), check, con(fresh), write)
			p.holds[i] = fresh
		case 3:
			guess := []string{p.holds[i], "other"}[p.rnd.IntN(2)]
			cmds = append(cmds, try(seq{con(guess), check, con(fresh), write}, seq{con(fresh + "!"), write}))
			if p.holds[i] != guess {
				fresh += "!"
			}
			p.holds[i] = fresh
		default:
			cmds = append(cmds, of(p.holds[i]), imageMatch)
			p.digested[i] = true
		}
	}
	p.text = append(p.text, fmt.Sprintf("%s: at once: %d from %s to %s", o.name, i, was, p.holds[i]))
	return run(cmds...)
}

// depend gives the program dependencies: one, one below the other, two, or two that share one.
func (p *shelfProgram) depend() {
	shape := p.rnd.IntN(4)
	add := func(to *volume, name string, own []int) *volume {
		o := &volume{p: p, leaves: -1, name: name, own: own, kept: manifest.ComponentID{[]byte(name)}, carried: p.rnd.IntN(3) == 0}
		to.deps = append(to.deps, o)
		return o
	}
	if shape%2 == 0 && p.rnd.IntN(2) == 0 {
		p.late = []manifest.Section{manifest.SectionPayloadFetch, manifest.SectionInstall}[p.rnd.IntN(2)]
	}
	p.text = append(p.text, fmt.Sprint("shape ", shape, ", late: ", p.late))
	if len(p.root.own) > 3 {
		p.apart(add)
		return
	}
	a := add(p.root, "A", []int{2, 0, 1})
	if shape == 1 || shape == 3 {
		add(a, "C", []int{1, 2})
	}
	if shape >= 2 {
		b := add(p.root, "B", []int{1, 2})
		if shape == 3 {
			c := a.deps[0]
			b.deps, c.twice, c.carried = a.deps, true, false
		}
	}
}

// apart gives the program two dependencies that have nothing in common, and so may be processed at the same time; one of
// them may have another.
func (p *shelfProgram) apart(add func(to *volume, name string, own []int) *volume) {
	a := add(p.root, "A", []int{0, 2})
	add(p.root, "B", []int{4, 1, 3}).apart = true
	if a.apart = true; p.late == 0 && p.rnd.IntN(2) == 0 {
		add(a, "C", []int{2, 0}).apart = true
	}
}

// sections fills all sections of all manifests, in the order in which they are run.
func (p *shelfProgram) sections() {
	if p.root.m.DependencyResolution.Sequence = (seq{index(0)}); p.late == 0 {
		p.resolve(p.root, &p.root.m.DependencyResolution.Sequence)
	}
	fill := map[*volume]bool{}
	for _, s := range []manifest.Section{manifest.SectionPayloadFetch, manifest.SectionInstall} {
		clear(fill)
		p.section(p.root, s, fill)
	}
}

// resolve adds to the section dependency-resolution: each dependency is fetched, unless it is there and somebody looks first.
func (p *shelfProgram) resolve(o *volume, to *manifest.Sequence) {
	var all []uint64
	for k := range o.deps {
		all = append(all, uint64(len(o.own)+k))
	}
	atOnce := len(all) > 1 && p.rnd.IntN(2) == 0
	if atOnce && len(o.own) > 3 { // beside something else
		*to = append(*to, index(0), lax(false))
		for k := range o.deps {
			*to = append(*to, run(o.of(k), fetch))
		}
		*to = append(*to, o.job(3, nil, "job"), o.job(1, nil, "too"), lax(true))
		p.parallel = true
	} else if atOnce {
		*to = append(*to, indices(all...), lax(false), fetch, lax(true))
		p.parallel = true
	}
	for k, d := range o.deps {
		*to = append(*to, o.of(k))
		switch {
		case atOnce:
		case p.rnd.IntN(3) == 0:
			*to = append(*to, try(seq{imageMatch}, seq{fetch, imageMatch}))
		default:
			*to = append(*to, fetch)
		}
		*to = append(*to, integrity)
		if len(d.deps) > 0 {
			if !d.fetched {
				p.resolve(d, &d.m.DependencyResolution.Sequence)
			}
			*to = append(*to, process)
		}
		d.fetched = true
	}
}

// section fills section s of o, and those of what it depends on.
func (p *shelfProgram) section(o *volume, s manifest.Section, filled map[*volume]bool) {
	if filled[o] {
		for _, f := range o.again {
			f()
		}
		return
	}
	filled[o], o.again = true, nil
	to := map[manifest.Section]*manifest.Sequence{manifest.SectionPayloadFetch: &o.m.PayloadFetch.Sequence, manifest.SectionInstall: &o.m.Install.Sequence}[s]
	*to = seq{o.at(o.own[0])}
	deps := o.deps
	switch never := (seq{index(0), con("never"), write}); {
	case o != p.root || p.late == 0:
	case p.late == s:
		for range p.rnd.IntN(2) {
			*to = append(*to, o.step()...)
		}
		p.resolve(o, to)
	case s == manifest.SectionPayloadFetch:
		for _, d := range deps {
			d.m.DependencyResolution.Sequence, d.m.PayloadFetch.Sequence = never, never
		}
		deps = nil
	}
	if len(deps) > 1 && len(p.holds) > 3 && p.rnd.IntN(3) > 0 {
		*to = append(*to, o.processAll(s, filled)...)
		deps = nil
	}
	for k, d := range deps {
		for range p.rnd.IntN(2) {
			*to = append(*to, o.step()...)
		}
		p.section(d, s, filled)
		switch p.rnd.IntN(4) {
		case 0:
			*to = append(*to, o.of(k), run(process))
		case 1:
			*to = append(*to, o.at(o.own[0]), try(seq{con("nothing like it"), command(manifest.ConditionCheckContent), o.of(k), process}, seq{o.of(k), process}))
		default:
			*to = append(*to, o.of(k), process)
		}
	}
	if s == manifest.SectionPayloadFetch && p.late == s {
		for _, d := range deps {
			d.m.DependencyResolution.Sequence = seq{index(0), con("never"), write}
		}
	}
	if s == manifest.SectionInstall && len(o.deps) > 0 && !o.apart && p.rnd.IntN(3) == 0 {
		*to = append(*to, o.leave(p.rnd.IntN(len(o.deps)))...)
	}
	for range 1 + p.rnd.IntN(4-min(len(o.deps), 3)) {
		*to = append(*to, o.step()...)
	}
}

// leave unlinks the k-th dependency, which is uninstalled first.
func (o *volume) leave(k int) seq {
	d, p := o.deps[k], o.p
	if d.twice {
		return nil
	}
	o.leaves = k
	for range p.rnd.IntN(2) {
		d.m.Uninstall = append(d.m.Uninstall, d.step()...)
	}
	i := d.own[0]
	d.m.Uninstall = append(d.m.Uninstall, d.at(i), of("gone"), uri("gone"), fetch) // one that a report can tell of
	p.holds[i], p.digested[i] = "gone", true
	p.text = append(p.text, o.name+": unlink "+d.name)
	return seq{o.of(k), command(manifest.DirectiveUnlink)}
}

// processAll returns commands that process what o depends on at the same time.
func (o *volume) processAll(s manifest.Section, filled map[*volume]bool) seq {
	p := o.p
	p.parallel = true
	cmds := seq{index(0), lax(false)}
	switch p.rnd.IntN(3) {
	case 0:
		cmds = seq{all(), lax(false), process}
	case 1:
		cmds = seq{indices(uint64(len(o.own)+1), uint64(len(o.own))), lax(false), process}
	default:
		for k := range o.deps {
			cmds = append(cmds, run(o.of(k), process))
		}
	}
	for _, d := range o.deps {
		p.section(d, s, filled)
	}
	p.text = append(p.text, o.name+": all that at once")
	return append(cmds, lax(true))
}

// write encodes o, after what it depends on, and returns the envelope.
func (o *volume) write() []byte {
	p := o.p
	if o.encoded != nil {
		return o.encoded
	}
	m := release(0, nil, o.m.Install.Sequence, o.m.Validate)
	m.DependencyResolution, m.PayloadFetch, m.Uninstall = o.m.DependencyResolution, o.m.PayloadFetch, o.m.Uninstall
	for _, i := range o.own {
		m.Components = append(m.Components, componentID(i))
	}
	m.Shared = seq{index(0)}
	if o == p.root {
		m.Shared = shared()
	}
	var payloads []manifest.Payload
	for k, d := range o.deps {
		envelope := d.write()
		u, err := registry.InspectBytes(envelope)
		if err != nil {
			p.tb.Fatal(err)
		}
		d.digest = u.Digest()
		digest, name := d.digest, "net/"+d.name
		if d.carried {
			name = "#" + d.name
			payloads = append(payloads, manifest.Payload{Key: name, Data: envelope})
		}
		p.letters[name] = envelope
		if id := d.kept.String(); p.end[id] == nil {
			p.start[id] = [][]byte{nil, []byte("an old one"), envelope}[p.rnd.IntN(3)]
			if p.late != 0 {
				p.start[id] = nil
			}
			p.end[id] = envelope
		}
		m.Components = append(m.Components, d.kept)
		m.Dependencies = append(m.Dependencies, manifest.Dependency{Index: uint64(len(o.own) + k)})
		m.Shared = append(m.Shared, o.of(k), override(manifest.Parameters{ImageDigest: &digest, ImageSize: new(uint64(len(envelope))), URI: &name}))
	}
	if p.policies != nil {
		policies(p.policies, &m)
	}
	b, err := sign(p.tb, registry, m, payloads...)
	if err != nil {
		p.tb.Fatal(p.text, err)
	}
	o.encoded = b
	return b
}

// link has boxes used by those who unlink them.
func (p *shelfProgram) link(boxes map[string]*box, o *volume, digest verify.Digest) {
	for k, d := range o.deps {
		if box := boxes[d.kept.String()]; k == o.leaves {
			box.users = map[verify.Digest]bool{digest: true}
		}
		p.link(boxes, d, d.digest)
	}
}

// dependencies opens envelopes; one that was opened before is not verified again.
func (p *shelfProgram) dependencies() *processor.Dependencies {
	known := map[string]*manifest.Verified{}
	return &processor.Dependencies{Floor: noFloor, Open: func(b []byte) (*manifest.Verified, error) {
		if v := known[string(b)]; v != nil {
			return v, nil
		}
		v, err := registry.OpenBytes(b, keySet(p.tb, signer.Public()), one(p.tb))
		if err == nil {
			known[string(b)] = v
		}
		return v, err
	}}
}
