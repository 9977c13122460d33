// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// FuzzManifestRun makes a signed manifest out of any bytes and runs its Update
// Procedure:
//
//   - what Check refuses has no effect, nor has what Run refuses with a budget,
//   - no more commands are run than granted, no other components touched,
//   - after success every component is what an image-match or fetch said last,
//   - a run that is cut at any journal step and then repeated ends as the uncut one,
//     and repeats no fetch whose completion was durable.
func FuzzManifestRun(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 2, 2, 5}, uint8(0))
	f.Add([]byte{1, 0, 6, 3, 1, 4, 5, 8, 1, 1, 1, 5, 9, 2, 5, 5, 1, 3, 2, 4, 1}, uint8(1))
	f.Add([]byte{2, 7, 6, 7, 5, 3, 2, 1, 4, 5, 5, 8, 9, 1, 0, 1, 2, 3, 4, 6, 0, 2, 5}, uint8(3))
	f.Fuzz(func(t *testing.T, program []byte, cut uint8) {
		g := generator{in: program}
		m := release(3, shared(all(), image("v2"), uri("u")), g.section(), g.section())
		m.PayloadFetch.Sequence = g.section()
		v, err := tryOpen(t, m)
		if err != nil {
			return // not every program is a manifest
		}

		const limit = 300
		d, l, commands := v1Device(), &log{cut: -1}, 0
		o := processor.Options{Platform: d, Identity: identity, Journal: l, Limits: processor.Limits{Commands: limit},
			OnEvent: func(processor.Event) { commands++ }}
		p, err := processor.New(t.Context(), v, o)
		if err != nil {
			t.Fatal(err) // the shared sequence is good
		}
		checked := p.Check(t.Context(), update...)
		if d.effects() != nil {
			t.Fatalf("check had effects: %v", d.effects())
		}
		err = p.Run(t.Context(), update...)
		if checked != nil && (err == nil || d.effects() != nil) {
			t.Fatalf("check: %v; run: %v after %v", checked, err, d.effects())
		}
		if commands > limit {
			t.Fatalf("%d commands", commands)
		}
		if err != nil {
			if _, ok := errors.AsType[*processor.Error](err); !ok || errors.Is(err, manifest.ErrBudget) && d.effects() != nil {
				t.Fatalf("got %v after %v", err, d.effects())
			}
			return
		}

		whole, total := contents(d), d.effects()
		overwrites := overwrites(d.requests)
		d, l = v1Device(), &log{cut: int(cut) % (len(l.steps) + 1)}
		o.Platform, o.Journal = d, l
		if err := startWith(t, v, o, update...); err != nil && !errors.Is(err, errCut) {
			t.Fatalf("cut: %v", err)
		}
		l.cut = -1
		before, at := done(t, l), len(d.effects())
		if err := startWith(t, v, o, update...); err != nil {
			t.Fatalf("resumed: %v", err)
		}
		if diff := cmp.Diff(whole, contents(d), sameDigest); diff != "" {
			t.Fatalf("resumed to another state:\n%s", diff)
		}
		if got := d.effects()[at:]; !overwrites && !slices.Equal(got, total[before:]) {
			t.Fatalf("after %d of %v, repeated %v", before, total, got)
		}
	})
}

func overwrites(requests []processor.FetchRequest) bool {
	seen := map[string]bool{}
	for _, r := range requests {
		id := r.Component.String()
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

// generator reads a program: one byte for a command, further ones for its argument.
type generator struct {
	in    []byte
	depth int
}

func (g *generator) next(n int) int {
	if len(g.in) == 0 {
		return 0
	}
	v := int(g.in[0])
	g.in = g.in[1:]
	return v % n
}

func (g *generator) section() seq { return append(seq{index(uint64(g.next(3)))}, g.sequence()...) }

func (g *generator) sequence() seq {
	s := seq{g.command()}
	for range g.next(5) {
		s = append(s, g.command())
	}
	return s
}

func (g *generator) command() manifest.Command {
	images := []string{"v1", "v2", "v3"}
	kind := g.next(12)
	if g.depth > 3 && kind >= 10 {
		kind = 0
	}
	switch kind {
	case 0:
		return index(uint64(g.next(3)))
	case 1:
		return all()
	case 2:
		return indices(uint64(1+g.next(2)), 0)
	case 3:
		return image(images[g.next(3)])
	case 4:
		return slot(uint64(g.next(2)))
	case 5:
		return checkSlot
	case 6:
		return imageMatch
	case 7:
		return fetch
	case 8:
		return override(manifest.Parameters{SoftFailure: new(g.next(2) == 0)})
	case 9:
		return []manifest.Command{checkClass, checkVendor, abort}[g.next(3)]
	case 10:
		g.depth++
		defer func() { g.depth-- }()
		return run(g.sequence()...)
	}
	g.depth++
	defer func() { g.depth-- }()
	c := try(g.sequence(), g.sequence())
	c.Nil = g.next(2) == 0
	return c
}
