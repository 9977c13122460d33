// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// shelf is a platform that loses power in the middle of its cut-th effect: before anything of it is done, when all of it is, or
// with the content gone.
type shelf struct {
	boxes  map[string]*box
	cut    int // counted down; -1: none
	torn   tear
	log    []string
	halved *exchanging // a swap that is in the middle
	looked bool        // somebody has asked for what is in the middle of a swap
}

type box struct {
	d       *shelf
	name    string
	content []byte // nil: none
	swap    string // the last one
}

type exchanging struct {
	a, b *box
	id   string
}

type tear int

const (
	untouched tear = iota
	complete
	halfDone
	tears
)

func newShelf() *shelf {
	d := &shelf{boxes: map[string]*box{}, cut: -1}
	for i, content := range []string{"zero", "one", "two"} {
		name := componentID(i).String()
		d.boxes[name] = &box{d: d, name: name, content: []byte(content)}
	}
	return d
}

func (d *shelf) Component(id manifest.ComponentID) (processor.Component, error) {
	if b, ok := d.boxes[id.String()]; ok {
		return b, nil
	}
	return nil, manifest.ErrComponent
}

// effect does all of an effect, half of it, or none.
func (d *shelf) effect(name string, do, half func()) error {
	d.log = append(d.log, name)
	if d.cut != 0 {
		d.cut--
		do()
		return nil
	}
	switch d.torn {
	case complete:
		do()
	case halfDone:
		half()
	}
	return errCut
}

// ask is what comes before everything but the same swap: a swap that is in the middle is taken back.
func (b *box) ask() {
	if h := b.d.halved; h != nil && (b == h.a || b == h.b) {
		b.d.halved, b.d.looked = nil, true
	}
}

func (b *box) store(what string, data []byte) error {
	b.ask()
	data = bytes.Clone(data)
	return b.d.effect(what+" "+b.name, func() { b.content, b.swap = data, "" }, func() { b.content, b.swap = nil, "" })
}

func (b *box) Open(context.Context) (io.ReadCloser, int64, error) {
	if b.ask(); b.content == nil {
		return nil, 0, manifest.ErrComponent
	}
	return io.NopCloser(bytes.NewReader(b.content)), int64(len(b.content)), nil
}

func (b *box) Match(_ context.Context, want verify.Digest, size int64) error {
	b.ask()
	if b.content == nil || int64(len(b.content)) != size || verify.Sum(want.Hash(), b.content) != want {
		return manifest.ErrDigest
	}
	return nil
}

func (b *box) Write(_ context.Context, r processor.WriteRequest) error {
	data, err := io.ReadAll(r.Content)
	if err != nil {
		return err
	}
	return b.store("write", data)
}

func (b *box) Fetch(_ context.Context, r processor.FetchRequest) error {
	return b.store("fetch", []byte(r.URI))
}

func (b *box) Commands() []manifest.Code { return []manifest.Code{-257} }

func (b *box) Command(_ context.Context, r processor.CustomRequest) error {
	return b.store("custom", fmt.Append(nil, r.Argument))
}

func (b *box) Swap(_ context.Context, r processor.SwapRequest) error {
	with, d := r.With.(*box), b.d
	if h := d.halved; h != nil && h.id == r.ID {
		d.halved = nil
	} else {
		b.ask()
		with.ask()
	}
	exchange := func() {
		if b.swap != r.ID || with.swap != r.ID {
			b.content, with.content, b.swap, with.swap = with.content, b.content, r.ID, r.ID
		}
	}
	half := func() {
		if b.swap != r.ID || with.swap != r.ID {
			d.halved = &exchanging{b, with, r.ID}
		}
	}
	return d.effect("swap "+b.name+" "+with.name, exchange, half)
}

// shelfProgram makes sections of random commands that run to the end, and follows what the components hold.
type shelfProgram struct {
	rnd      *rand.Rand
	holds    [3]string
	digested [3]bool // an image digest has been set
	parallel bool
	text     []string
}

// step returns some commands.
func (p *shelfProgram) step() seq {
	i := p.rnd.IntN(3)
	j := (i + 1 + p.rnd.IntN(2)) % 3
	at, with := index(uint64(i)), from(uint64(j))
	fresh := fmt.Sprint("new", p.rnd.IntN(5))
	note := func(format string, args ...any) { p.text = append(p.text, fmt.Sprintf(format, args...)) }
	put := func(to int, what string) { p.holds[to] = what }
	switch p.rnd.IntN(12) {
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
		put(i, p.holds[j])
		p.digested[i] = true
		return seq{at, of(p.holds[j]), with, copyc}
	case 4:
		cmds := seq{index(uint64(j)), of(p.holds[j]), imageMatch, at}
		note("match %d, copy %d from it", j, i)
		put(i, p.holds[j])
		p.digested[j] = true
		if p.digested[i] {
			cmds = append(cmds, of(p.holds[j]))
		}
		return append(cmds, with, copyc)
	case 5:
		note("swap %d %d", i, j)
		p.holds[i], p.holds[j] = p.holds[j], p.holds[i]
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
		cmds := seq{index(uint64(j)), try(seq{con(guess), command(manifest.ConditionCheckContent), at, con(fresh), write}, seq{at, con(fresh + "!"), write})}
		if put(i, fresh); guess == "other" {
			put(i, fresh+"!")
		}
		return cmds
	case 9:
		guess := []string{p.holds[j], "other"}[p.rnd.IntN(2)]
		note("if %d is not %s swap %d %d", j, guess, i, j)
		cmds := seq{index(uint64(j)), of(guess), tryOrNil(seq{command(manifest.ConditionImageNotMatch), at, with, swap}, seq{abort})}
		if p.digested[j] = true; guess == "other" {
			p.holds[i], p.holds[j] = p.holds[j], p.holds[i]
		}
		return cmds
	case 10: // a rehearsal that does not know what is where takes the wrong way
		k := 3 - i - j
		note("swap %d %d, if %d is other write %d %s, else %s, check it", i, j, i, k, fresh, fresh+"!")
		p.holds[i], p.holds[j], p.holds[k] = p.holds[j], p.holds[i], fresh+"!"
		check, other := command(manifest.ConditionCheckContent), index(uint64(k))
		return seq{at, with, swap, try(seq{con("other"), check, other, con(fresh), write}, seq{other, con(fresh + "!"), write}), other, con(fresh + "!"), check}
	default:
		note("at once: write %d %s, check and write %d %s", i, fresh, j, fresh+"?")
		cmds := seq{at, lax(false), run(at, con(fresh), write),
			run(index(uint64(j)), con(p.holds[j]), command(manifest.ConditionCheckContent), con(fresh+"?"), write), lax(true)}
		put(i, fresh)
		put(j, fresh+"?")
		p.parallel = true
		return cmds
	}
}

// trip is one program on one shelf with one journal.
type trip struct {
	tb testing.TB
	v  *manifest.Verified
	d  *shelf
	l  *log
}

func (r *trip) run() error {
	o := processor.Options{Platform: r.d, Identity: identity, Journal: r.l, Limits: processor.Limits{Parallel: 1}}
	return startWith(r.tb, r.v, o, manifest.SectionPayloadFetch, manifest.SectionInstall)
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

// Whatever random programs do, and wherever the power fails, once or again while they are resumed: they can be
// resumed, the end is that of a run without a cut, no effect is made more often than there were cuts, and nobody asks for what is in the
// middle of a swap.
//
// covers: STO-01
func TestM7_RandomCuts(t *testing.T) {
	programs := 100
	if testing.Short() {
		programs = 40
	}
	cuts, refused, kinds := 0, 0, map[string]int{}
	for seed := range programs {
		p := &shelfProgram{rnd: rand.New(rand.NewPCG(uint64(seed), 1)), holds: [3]string{"zero", "one", "two"}}
		m := release(3, shared(), nil, nil)
		for _, s := range []*manifest.Sequence{&m.PayloadFetch.Sequence, &m.Install.Sequence} {
			*s = seq{index(0)}
			for range 1 + p.rnd.IntN(4) {
				*s = append(*s, p.step()...)
			}
		}
		v, err := openWith(t, registry, m)
		if err != nil {
			t.Fatal(p.text, err)
		}
		whole := &trip{t, v, newShelf(), &log{cut: -1}}
		if whole.run() != nil {
			refused++ // a rehearsal takes what a custom command makes for anything that is asked for
			continue
		}
		appends := len(whole.l.steps)
		places := 2*appends + int(tears)*len(whole.d.log)
		for _, e := range whole.d.log {
			kinds[e[:4]]++
		}
		for k := range places {
			for _, second := range []int{-1, p.rnd.IntN(places)} {
				r := &trip{t, v, newShelf(), &log{}}
				what := []string{r.cut(k, appends)}
				if err := r.run(); !errors.Is(err, errCut) {
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
				cuts += len(what)
				for i, want := range p.holds {
					if got := string(r.d.boxes[componentID(i).String()].content); err == nil && got != want {
						err = fmt.Errorf("component %d holds %q, want %q", i, got, want)
					}
				}
				switch {
				case err != nil:
				case !p.parallel && len(r.d.log) > len(whole.d.log)+len(what):
					err = fmt.Errorf("effects repeated: %q", r.d.log)
				case r.d.looked:
					err = errors.New("a content was asked for while a swap was in its middle")
				case len(r.l.steps) > 2*appends:
					err = fmt.Errorf("%d steps, %d without a cut", len(r.l.steps), appends)
				}
				if err != nil {
					t.Fatalf("M7 violated: %q, cut at %q: %v; effects %q", p.text, what, err, r.d.log)
				}
			}
		}
	}
	t.Logf("%d programs, %d of them refused, with effects %v, %d cuts", programs, refused, kinds, cuts)
	if refused > programs/20 {
		t.Errorf("%d programs of %d refused", refused, programs)
	}
	for _, kind := range []string{"writ", "fetc", "cust", "swap"} {
		if kinds[kind] < programs/4 {
			t.Errorf("only %d effects %s", kinds[kind], kind)
		}
	}
}
