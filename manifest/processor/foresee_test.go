// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// A rehearsal knows what the manifest itself will have stored by the time a condition asks for it: it refuses neither what can
// be run, nor learns only after effects what cannot.
func TestForeseen(t *testing.T) {
	const zero, one, two = uint64(0), uint64(1), uint64(2)
	content := func(s string) manifest.Command { return override(manifest.Parameters{Content: []byte(s)}) }
	notMatch, check := command(manifest.ConditionImageNotMatch), command(manifest.ConditionCheckContent)
	// which ends with 'y' in component 2 if the conditions hold, and otherwise with 'n'. The other alternative cannot be run at all.
	yes := func(conditions ...manifest.Command) manifest.Command {
		return try(append(conditions, index(two), content("y"), write), seq{index(two), write})
	}
	no := func(conditions ...manifest.Command) manifest.Command {
		return try(append(conditions, index(two), write), seq{index(two), content("n"), write})
	}
	wide := verify.Sum(verify.SHA512, []byte("new"))
	for _, tt := range []struct {
		name    string
		install seq
		want    error
	}{
		{"written, checked", seq{content("new"), write, yes(content("new"), check)}, nil},
		{"written, other content", seq{content("new"), write, no(content("neW"), check)}, nil},
		{"written, not-match", seq{content("new"), write, yes(of("old"), notMatch)}, nil},
		{"written, not not-match", seq{content("new"), write, no(of("new"), notMatch)}, nil},
		{"written, match", seq{content("new"), write, yes(of("new"), imageMatch)}, nil},
		{"written, match of another", seq{content("new"), write, of("old"), imageMatch}, manifest.ErrDigest},
		{"written, other size", seq{content("new"), write, override(manifest.Parameters{ImageDigest: digest("new"), ImageSize: new(uint64(4))}), imageMatch}, manifest.ErrDigest},
		{"fetched, checked", seq{of("new"), get("new"), yes(content("new"), check)}, nil},
		{"fetched, other content", seq{of("new"), get("new"), no(content("neW"), check)}, nil},
		{"fetched, not-match", seq{of("new"), get("new"), no(notMatch)}, nil},
		{"fetched, other size", seq{of("new"), get("new"), yes(override(manifest.Parameters{ImageSize: new(uint64(4))}), notMatch)}, nil},
		{"fetched, match of another", seq{of("new"), get("new"), of("old"), imageMatch}, manifest.ErrDigest},
		{"integrated", seq{of("payload"), get("#p"), no(notMatch)}, nil},
		{"copied by digest", seq{of("one"), from(one), copyc, no(notMatch)}, nil},
		{"copied from what was written", seq{index(one), content("new"), write, index(zero), of("new"), from(one), copyc, no(content("old"), check)}, nil},
		{"copied from what was there", seq{index(one), of("one"), imageMatch, index(zero), from(one), copyc, no(content("zero"), check)}, nil},
		{"swapped", seq{from(one), swap, no(content("zero"), check)}, nil},
		{"swapped, the other", seq{from(one), swap, index(one), yes(content("zero"), check)}, nil},
		{"swapped back", seq{from(one), swap, swap, yes(content("zero"), check)}, nil},
		{"written again", seq{content("new"), write, of("newer"), get("newer"), yes(notMatch, of("newer"))}, manifest.ErrCommand},
		// What no rehearsal can know is taken to hold.
		{"of another algorithm", seq{of("new"), get("new"), no(override(manifest.Parameters{ImageDigest: &wide}), notMatch)}, manifest.ErrCommand},
		{"of another algorithm, as it is", seq{of("new"), get("new"), yes(override(manifest.Parameters{ImageDigest: &wide}), imageMatch)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two"})
			for _, uri := range []string{"new", "newer"} {
				s.uris[uri] = []byte(uri)
			}
			v := open(t, release(3, shared(), append(seq{index(0)}, tt.install...), nil), manifest.Payload{Key: "#p", Data: []byte("payload")})
			err := startWith(t, v, processor.Options{Platform: s, Identity: identity}, manifest.SectionInstall)
			if tt.want != nil {
				s.refused(t, err, tt.want)
				return
			}
			got := string(s.cells["02"].content)
			if err != nil || (got != "y" && got != "n") {
				t.Errorf("got %v, %q after %v", err, got, s.log)
			}
		})
	}
}

// A copy that cannot come out right is found before the first effect.
//
// covers: CMD-09
func TestCopyForeseen(t *testing.T) {
	first := func(cmds ...manifest.Command) seq { return append(seq{index(2), con("first"), write}, cmds...) }
	sized := params(manifest.Parameters{ImageDigest: digest("aa"), ImageSize: new(uint64(3))})
	custom := manifest.Command{Code: -257, Custom: "x"}
	for _, tt := range []struct {
		name    string
		install seq
		limits  processor.Limits
		want    error
	}{
		{"written", seq{index(1), con("aa"), write, index(0), of("other"), from(1), copyc}, processor.Limits{}, manifest.ErrDigest},
		{"written, another size", seq{index(1), con("aa"), write, index(0), sized, from(1), copyc}, processor.Limits{}, manifest.ErrDigest},
		{"fetched", seq{index(1), of("pay"), uri("u"), fetch, index(0), of("xyz"), from(1), copyc}, processor.Limits{}, manifest.ErrDigest},
		{"swapped", seq{index(1), con("aa"), write, index(0), from(1), swap, index(1), of("other"), from(0), copyc}, processor.Limits{}, manifest.ErrDigest},
		{"matched", first(index(1), of("one"), imageMatch, index(0), of("two"), from(1), copyc), processor.Limits{}, manifest.ErrDigest},
		{"there, another size", first(index(0), of("more"), from(1), copyc), processor.Limits{}, manifest.ErrDigest},
		{"nothing there", first(index(0), of("one"), from(3), copyc), processor.Limits{}, manifest.ErrComponent},
		{"matched, too much", first(index(1), of("one"), imageMatch, index(0), from(1), copyc), processor.Limits{Bytes: 10}, manifest.ErrBudget},
		{"of any digest, too much", first(index(0), from(1), copyc), processor.Limits{Bytes: 7}, manifest.ErrBudget},
		{"what is not there yet may be there after a custom directive", first(custom, index(0), of("one"), from(3), copyc), processor.Limits{}, nil},
		{"where nobody may come", seq{try(seq{params(manifest.Parameters{UpdatePriority: new(int64(1))}), command(manifest.ConditionUpdateAuthorized)},
			seq{of("other"), from(1), copyc})}, processor.Limits{}, nil},
		{"as it should be", seq{index(1), con("aa"), write, index(0), of("aa"), from(1), copyc}, processor.Limits{}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two", "03": ""})
			s.uris["u"] = []byte("pay")
			v, err := openWith(t, registry, release(4, shared(), append(seq{index(0)}, tt.install...), nil))
			if err != nil {
				t.Fatal(err)
			}
			p, err := processor.New(t.Context(), v, processor.Options{Platform: s, Identity: identity, Limits: tt.limits, Compat: processor.CompatNoDigest})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(t.Context(), manifest.SectionInstall); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// After an interruption a rehearsal looks for what was stored before it where it is now.
func TestForeseenAfterInterruption(t *testing.T) {
	content := func(s string) manifest.Command { return override(manifest.Parameters{Content: []byte(s)}) }
	check := command(manifest.ConditionCheckContent)
	last := seq{index(2), content("x"), write}
	for _, tt := range []struct {
		name string
		then seq
	}{
		{"swapped here", seq{content("one"), check}},
		{"swapped away", seq{index(1), content("zero"), check}},
		{"not swapped here", seq{content("zero"), check, index(2), override(manifest.Parameters{SourceComponent: new(uint64(2))}), copyc}},
		{"copied", seq{index(3), content("zero"), check}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(map[string]string{"00": "zero", "01": "one", "02": "two", "03": "three"})
			install := slices.Concat(seq{of("zero"), imageMatch, index(3), from(0), copyc, index(0), from(1), swap}, last,
				seq{index(0), try(tt.then, seq{content("zero"), command(manifest.ConditionImageNotMatch), abort, index(2), copyc})})
			if tt.name == "not swapped here" {
				install[len(install)-1] = try(tt.then, seq{slot(0), checkSlot})
			}
			v := open(t, release(4, shared(), append(seq{index(0)}, install...), nil))
			o := processor.Options{Platform: s, Identity: identity, Journal: &log{cut: -1}}
			s.fail = "write 02"
			if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
				t.Error(err)
			}
		})
	}
}

// A swap is made once for each time that the manifest is run from the start, and never twice while it is resumed.
func TestSwapIsOfItsRun(t *testing.T) {
	install := seq{index(0), try(seq{slot(0), checkSlot, uri("a")}, seq{slot(1), checkSlot, uri("b")}),
		image("new"), fetch, params(manifest.Parameters{SourceComponent: new(uint64(1))}), swap, index(2), image("last"), get("c")}
	v := open(t, release(3, shared(), install, nil))
	for _, tt := range []struct {
		name  string
		again func(d *swappable, o *processor.Options)
		want  []string
	}{
		{"resumed", func(*swappable, *processor.Options) {}, []string{"fetch 00", "swap", "fetch 02"}},
		{"journal voided", func(d *swappable, _ *processor.Options) { d.slot = 1 }, []string{"fetch 00", "swap", "fetch 00", "swap", "fetch 02"}},
		{"steps removed", func(_ *swappable, o *processor.Options) { o.Journal = &log{cut: -1} }, []string{"fetch 00", "swap", "fetch 00", "swap", "fetch 02"}},
		{"no journal", func(_ *swappable, o *processor.Options) { o.Journal = nil }, []string{"fetch 00", "swap", "fetch 00", "swap", "fetch 02"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newSwappable()
			o := processor.Options{Platform: d, Identity: identity, Journal: &log{cut: -1}}
			d.fail = true
			if err := startWith(t, v, o, manifest.SectionInstall); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			tt.again(d, &o)
			if err := startWith(t, v, o, manifest.SectionInstall); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d.done); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// swappable is a device that remembers the last exchange, as its contract asks for.
type swappable struct {
	*store
	slot uint64
	last string
	done []string
	fail bool // the fetch into component 2, once
}

func newSwappable() *swappable {
	return &swappable{store: newStore(map[string]string{"00": "zero", "01": "one", "02": "two"})}
}

func (d *swappable) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := d.store.Component(id)
	return exchanged{c.(*cell), d}, err
}

type exchanged struct {
	*cell
	d *swappable
}

func (c exchanged) Slot(context.Context) (uint64, error) { return c.d.slot, nil }

func (c exchanged) Fetch(_ context.Context, r processor.FetchRequest) error {
	if c.name == "02" && c.d.fail {
		c.d.fail = false
		return errCut
	}
	c.d.done = append(c.d.done, "fetch "+c.name)
	c.content = []byte(r.URI)
	return nil
}

func (c exchanged) Swap(_ context.Context, r processor.SwapRequest) error {
	if r.ID != c.d.last {
		c.d.last, c.d.done = r.ID, append(c.d.done, "swap")
	}
	return nil
}

// Match takes every content for the right one: it is not what these tests are about.
func (c exchanged) Match(context.Context, verify.Digest, int64) error { return nil }
