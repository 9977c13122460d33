// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// get fetches into the current component from u. What was fetched, in which order, is
// the trace by which these tests see the way that was taken.
func get(u string) manifest.Command { return run(uri(u), fetch) }

// TestControl runs install sequences on a device with slot 0, three components,
// and "old" in all of them. Every component has its digest and size set.
func TestControl(t *testing.T) {
	slot0, slot1 := seq{slot(0), checkSlot}, seq{slot(1), checkSlot}
	then := func(s seq, more ...manifest.Command) seq { return append(s[:len(s):len(s)], more...) }
	tests := []struct {
		name    string
		install seq
		want    []string // uris fetched, by component
		err     error
	}{
		{"first alternative that holds ends the try-each",
			seq{index(0), try(slot0, then(slot0, get("b")), then(slot0, get("c"))), get("end")},
			[]string{"00 end"}, nil},
		{"second alternative after a soft failure",
			seq{index(0), try(then(slot1, get("a")), then(slot0, get("b")))},
			[]string{"00 b"}, nil},
		{"no alternative holds",
			seq{index(0), try(slot1, slot1), get("end")},
			nil, manifest.ErrCondition},
		{"no alternative holds, nil",
			seq{index(0), tryOrNil(slot1, seq{abort}), get("end")},
			[]string{"00 end"}, nil},
		{"soft-failure false in an alternative aborts",
			seq{index(0), try(then(seq{hardly}, slot1...), slot0)},
			nil, manifest.ErrCondition},
		{"soft-failure is not inherited by run-sequence, whose failure is handed on",
			seq{index(0), try(seq{run(slot1...), get("a")}, seq{get("b")})},
			[]string{"00 b"}, nil},
		{"soft-failure is not inherited by try-each",
			seq{index(0), run(hardly, try(slot1, slot0), get("a"))},
			[]string{"00 a"}, nil},
		{"soft-failure ends with its sequence",
			seq{index(0), try(seq{hardly, run(softly, abort), slot(1), checkSlot}, seq{get("b")})},
			nil, manifest.ErrCondition},
		{"a nested try-each without an alternative is a failed directive",
			seq{index(0), try(seq{try(slot1, slot1)}, seq{get("b")})},
			nil, manifest.ErrCondition},
		{"soft-failure false in a nested try-each aborts the outer one too",
			seq{index(0), try(seq{try(seq{hardly, abort}, slot0)}, seq{get("b")})},
			nil, manifest.ErrCondition},
		{"image-match after a fetch, in an alternative",
			seq{index(0), get("a"), try(seq{imageMatch, get("b")}, seq{abort})},
			[]string{"00 a", "00 b"}, nil},
		{"run-sequence fails with its condition",
			seq{index(0), run(abort), get("end")},
			nil, manifest.ErrCondition},
		{"run-sequence under soft-failure only ends",
			seq{index(0), run(softly, abort, get("no")), get("end")},
			[]string{"00 end"}, nil},
		{"what a failed alternative has set stays set",
			seq{index(0), uri("old"), try(seq{uri("a"), abort}, slot0), fetch},
			[]string{"00 a"}, nil},
		{"top level is never soft",
			seq{index(0), get("a"), abort},
			nil, manifest.ErrCondition},

		{"list keeps its order",
			seq{indices(2, 0), get("a")},
			[]string{"02 a", "00 a"}, nil},
		{"true is all components in order",
			seq{all(), uri("a"), fetch},
			[]string{"00 a", "01 a", "02 a"}, nil},
		{"parameters belong to a component",
			seq{all(), uri("x"), index(1), uri("a"), all(), fetch},
			[]string{"00 x", "01 a", "02 x"}, nil},
		{"run-sequence under a list runs whole for each",
			seq{indices(1, 0), run(get("a"), get("b"))},
			[]string{"01 a", "01 b", "00 a", "00 b"}, nil},
		{"try-each under true chooses for each",
			seq{index(1), image("old"), all(), try(seq{imageMatch, get("same")}, seq{get("differs")})},
			[]string{"00 differs", "01 same", "02 differs"}, nil},
		{"an index set inside ends with its sequence",
			seq{index(0), run(index(1), get("in")), try(seq{index(2), get("in")}, seq{abort}), get("out")},
			[]string{"01 in", "02 in", "00 out"}, nil},
		{"an index set inside does not touch the loop outside",
			seq{indices(0, 1), run(get("a"), index(2), get("b"))},
			[]string{"00 a", "02 b", "01 a", "02 b"}, nil},

		{"strict-order false: run-sequence begins with an index",
			seq{index(0), override(manifest.Parameters{StrictOrder: new(false)}), run(uri("a"))},
			nil, manifest.ErrCommand},
		{"strict-order false: one index in a run-sequence",
			seq{index(0), override(manifest.Parameters{StrictOrder: new(false)}), run(index(1), get("a"))},
			[]string{"01 a"}, nil},
		{"strict-order false: a second index",
			seq{index(0), override(manifest.Parameters{StrictOrder: new(false)}), run(index(1), index(2))},
			nil, manifest.ErrCommand},
		{"strict-order false: no index under a list",
			seq{indices(0, 1), override(manifest.Parameters{StrictOrder: new(false)}), run(index(2))},
			nil, manifest.ErrCommand},
		{"strict-order true again",
			seq{index(0), override(manifest.Parameters{StrictOrder: new(false)}),
				override(manifest.Parameters{StrictOrder: new(true)}), run(get("a"))},
			[]string{"00 a"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(3)
			for _, c := range d.components {
				c.content = *digest("old")
			}
			m := release(3, shared(all(), image("new")), tt.install, nil)
			err := start(t, open(t, m), d, manifest.SectionInstall)
			if !errors.Is(err, tt.err) || (tt.err == nil) != (err == nil) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			var got []string
			for _, r := range d.requests {
				got = append(got, r.Component.String()+" "+r.URI)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The shared sequence runs before each section; what a section sets lasts into the
// next unless the shared sequence sets it again.
func TestSharedBeforeEachSection(t *testing.T) {
	d := newDevice(1)
	m := release(1, shared(image("new"), uri("shared")),
		seq{index(0), fetch, uri("b"), image("newer"), fetch},
		seq{index(0), imageMatch})
	m.PayloadFetch.Sequence = seq{index(0), uri("a"), fetch}
	err := start(t, open(t, m), d, update...)
	if !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("got %v: validate must see the digest of the shared sequence", err)
	}
	m.Validate = seq{index(0), image("newer"), imageMatch}
	if err := start(t, open(t, m), d, update...); err != nil {
		t.Error(err)
	}
	want := []string{"fetch 00 a", "fetch 00 shared", "fetch 00 b", "match 00"}
	if diff := cmp.Diff(want, d.log); diff != "" {
		t.Error(diff)
	}
}

// The same place in the shared sequence and in a section, or in two sections, is
// not the same command.
func TestSamePlaceTwice(t *testing.T) {
	first, second := try(seq{slot(0), checkSlot}, seq{abort}), try(seq{abort}, seq{slot(0), checkSlot})
	m := release(1, append(seq{index(0), first}, shared(image("new"), uri("u"))...), seq{index(0), second, fetch}, nil)
	m.PayloadFetch.Sequence = seq{index(0), first, fetch}
	d := newDevice(1)
	o := processor.Options{Platform: d, Identity: identity, Journal: &log{cut: -1}}
	for range 2 {
		if err := startWith(t, open(t, m), o, manifest.SectionPayloadFetch, manifest.SectionInstall); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.effects(); len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

// A platform that cannot answer is not a failed condition.
func TestPlatformErrorsAreNeverSoft(t *testing.T) {
	errIO := errors.New("i/o error")
	errTricky := errors.Join(errIO, manifest.ErrCondition)
	m := release(1, shared(image("new"), uri("u")),
		seq{index(0), tryOrNil(seq{slot(1), checkSlot}, seq{imageMatch}), fetch}, nil)
	for _, tt := range []struct {
		name string
		set  func(*device)
		want error
	}{
		{"slot", func(d *device) { d.slotErr = errIO }, errIO},
		{"slot, as a condition", func(d *device) { d.slotErr = errTricky }, nil},
		{"match", func(d *device) { d.matchErr = errIO }, errIO},
		{"match, as a condition", func(d *device) { d.matchErr = errTricky }, nil},
		{"fetch", func(d *device) { d.fetchErr = errIO }, errIO},
		{"fetch, as a condition", func(d *device) { d.fetchErr = errTricky }, errIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			tt.set(d)
			err := start(t, open(t, m), d, manifest.SectionInstall)
			if err == nil || (tt.want != nil && !errors.Is(err, tt.want)) {
				t.Errorf("got %v", err)
			}
			if d.components["00"].content == *digest("new") {
				t.Error("fetched nevertheless")
			}
		})
	}

	t.Run("directive in an alternative", func(t *testing.T) {
		d := newDevice(1)
		d.fetchErr = errTricky
		m := release(1, shared(image("new")), seq{index(0), try(seq{get("a")}, seq{get("b")})}, nil)
		err := start(t, open(t, m), d, manifest.SectionInstall)
		if !errors.Is(err, errIO) || len(d.requests) != 1 {
			t.Errorf("got %v after %v", err, d.log)
		}
	})
}

func TestEvents(t *testing.T) {
	d := newDevice(1)
	d.slot = 1
	first := seq{slot(0), {Code: manifest.ConditionComponentSlot, Policy: manifest.RecordOnFailure}}
	m := release(1, shared(image("new")), seq{index(0), try(first, seq{slot(1), checkSlot}), get("u")}, nil)
	var failed, commands int
	o := processor.Options{Platform: d, Identity: identity, OnEvent: func(e processor.Event) {
		commands++
		if e.Err == nil {
			return
		}
		failed++
		if e.Policy != manifest.RecordOnFailure || e.Component != 0 || !errors.Is(e.Err, manifest.ErrCondition) {
			t.Errorf("got %+v", e)
		}
	}}
	if err := startWith(t, open(t, m), o, manifest.SectionInstall); err != nil {
		t.Fatal(err)
	}
	// 5 shared, then index, override, slot, override, slot, try-each, override, fetch, run-sequence.
	if failed != 1 || commands != 5+9 {
		t.Errorf("%d events, %d failures", commands, failed)
	}
}

// Errors name the place.
func TestErrorPlace(t *testing.T) {
	d := newDevice(2)
	m := release(2, shared(all(), image("new")),
		seq{index(0), get("u"), index(1), try(seq{slot(0), checkSlot, hardly, abort}, seq{abort})}, nil)
	v := open(t, m)
	err := start(t, v, d, manifest.SectionInstall)
	e, ok := errors.AsType[*processor.Error](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	install, _ := v.Section(manifest.SectionInstall)
	each := install[3]
	last := each.Sequences[0][3]
	want := []int{each.Offset, 1, 0, last.Offset, 1}
	if e.Section != manifest.SectionInstall || e.Shared || e.Component != 1 || !e.ID.Equal(componentID(1)) ||
		e.Command != manifest.ConditionAbort || e.Offset() != each.Offset || !cmp.Equal(e.Path, want) {
		t.Errorf("got %+v", e)
	}
	t.Log(e)
}
