// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
)

// rack is a device of several components, each of them made into another if as is set.
type rack struct {
	devices map[string]*device
	as      func(*device) processor.Component
}

func (r *rack) Component(id manifest.ComponentID) (processor.Component, error) {
	if r.as != nil {
		return r.as(r.devices[id.String()]), nil
	}
	return r.devices[id.String()], nil
}

func (r *rack) Slot(context.Context) (uint64, error) { return 0, nil }

// lax is a manifest that fetches three components in any order, each by a run-sequence.
func lax(uris [3]string) manifest.Manifest {
	m := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{0}}, {{1}}, {{2}}}}
	all := manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{All: true}}
	one := func(i int) manifest.Command {
		return manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{One: uint64(i)}}
	}
	record := func(c manifest.Code) manifest.Command {
		return manifest.Command{Code: c, Policy: manifest.RecordOnSuccess | manifest.RecordOnFailure}
	}
	m.Shared = manifest.Sequence{all, override(manifest.Parameters{VendorID: &vendor, ClassID: &class}), record(manifest.ConditionVendorID), record(manifest.ConditionClassID)}
	m.Install.Sequence = manifest.Sequence{one(0), override(manifest.Parameters{StrictOrder: new(false)})}
	for i, uri := range uris {
		m.Install.Sequence = append(m.Install.Sequence, manifest.Command{Code: manifest.DirectiveRunSequence,
			Sequences: []manifest.Sequence{{one(i), image(uri), record(manifest.DirectiveFetch), record(manifest.ConditionImageMatch)}}})
	}
	m.Install.Sequence = append(m.Install.Sequence, override(manifest.Parameters{StrictOrder: new(true)}), record(manifest.ConditionImageMatch))
	m.Validate = manifest.Sequence{all, override(manifest.Parameters{StrictOrder: new(false)}), record(manifest.ConditionImageMatch)}
	return m
}

// runTogether runs v on three components, so many jobs at a time, and returns the report.
func runTogether(t *testing.T, v *manifest.Verified, as func(*device) processor.Component, parallel int) *report.Report {
	t.Helper()
	var recorder report.Recorder
	p, err := processor.New(t.Context(), v, processor.Options{Platform: &rack{map[string]*device{"00": {}, "01": {}, "02": {}}, as},
		Identity: processor.Identity{VendorID: vendor, ClassID: class}, OnEvent: recorder.Event, Limits: processor.Limits{Parallel: parallel}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := recorder.Report(v, p.Run(t.Context(), sections...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What ran at the same time reports in any order, and is told the same.
func TestReconstructTogether(t *testing.T) {
	for _, uris := range [][3]string{{"a", "b", "c"}, {"a", "broken", "c"}, {"broken", "b", "c"}} {
		t.Run(strings.Join(uris[:], " "), func(t *testing.T) {
			_, v := signed(t, lax(uris))
			r := runTogether(t, v, nil, 1)
			want, err := report.Reconstruct(v, r, sections...)
			if err != nil {
				t.Fatal(err)
			}
			if ended := want[len(want)-1].Outcome == report.Ended; ended == r.Result.OK() {
				t.Fatalf("reason %v, last step %+v", r.Result.Reason, want[len(want)-1])
			}
			rnd := rand.New(rand.NewPCG(1, 1))
			for range 50 {
				mixed := *r
				mixed.Records = mix(rnd, r.Records)
				got, err := report.Reconstruct(v, &mixed, sections...)
				if diff := cmp.Diff(want, got, sameSums); diff != "" || err != nil {
					t.Fatal(err, diff)
				}
			}
			for i, e := range r.Records { // each record is asked for
				less := *r
				less.Records = slices.Delete(slices.Clone(r.Records), i, i+1)
				if _, err := report.Reconstruct(v, &less, sections...); r.Result.OK() && !errors.Is(err, report.ErrMismatch) {
					t.Errorf("without the record of byte %d: %v, want %v", e.Record.Offset, err, report.ErrMismatch)
				}
			}
			twice := *r
			twice.Records = append(slices.Clone(r.Records), r.Records[len(r.Records)-1])
			if _, err := report.Reconstruct(v, &twice, sections...); !errors.Is(err, report.ErrMismatch) {
				t.Errorf("one record twice: %v, want %v", err, report.ErrMismatch)
			}
		})
	}
}

// A job that is cancelled, or that has never begun, is told as far as its records go.
func TestReconstructCancelled(t *testing.T) {
	for _, parallel := range []int{2, 3} {
		_, v := signed(t, lax([3]string{"a", "waits", "broken"}))
		if parallel == 2 { // the last never begins
			_, v = signed(t, lax([3]string{"waits", "broken", "c"}))
		}
		here := make(chan struct{})
		slow := func(d *device) processor.Component { return &waiting{d, here} }
		r := runTogether(t, v, slow, parallel)
		want, err := report.Reconstruct(v, r, sections...)
		if err != nil {
			t.Fatal(err)
		}
		ended := slices.IndexFunc(want, func(s report.Step) bool { return s.Outcome == report.Ended })
		if ended < 0 || want[ended].Command != manifest.DirectiveFetch || want[ended].Component != parallel-1 {
			t.Errorf("%d at a time: ended at %+v", parallel, want)
		}
		waits := parallel - 2
		for _, s := range want {
			if s.Component == waits && s.Command == manifest.ConditionImageMatch || s.Component > parallel-1 && !s.Shared {
				t.Errorf("%d at a time: told as run: %+v", parallel, s)
			}
		}
		rnd := rand.New(rand.NewPCG(1, 1))
		for range 20 {
			mixed := *r
			mixed.Records = mix(rnd, r.Records)
			got, err := report.Reconstruct(v, &mixed, sections...)
			if diff := cmp.Diff(want, got, sameSums); diff != "" || err != nil {
				t.Fatal(err, diff)
			}
		}
	}
}

// Jobs that process dependencies, several of them the same, are told each with what the dependency has done for it.
func TestReconstructJobsOfDependencies(t *testing.T) {
	child := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{9}}}}
	child.Install.Sequence = manifest.Sequence{do(manifest.ConditionComponentSlot), with(manifest.RecordOnSuccess, manifest.ConditionComponentSlot)}
	envelope, dependency := signed(t, child)
	d := dependency.Digest()
	process := with(manifest.RecordOnFailure, manifest.DirectiveProcessDependency)
	parallel := override(manifest.Parameters{StrictOrder: new(false)})
	for name, jobs := range map[string]manifest.Sequence{
		"the same":          {sequence(index(1), process), sequence(index(1), process)},
		"one each":          {sequence(index(1), process), sequence(index(2), process)},
		"in an alternative": {sequence(index(3), try(manifest.Sequence{index(1), process}, manifest.Sequence{index(2), process})), sequence(index(2), process)},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifest.Manifest{Components: []manifest.ComponentID{{{0}}, {{1}}, {{2}}, {{9}}}, Dependencies: []manifest.Dependency{{Index: 1}, {Index: 2}}}
			depends := override(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(envelope)))})
			m.Install.Sequence = slices.Concat(manifest.Sequence{index(3), slot(0), index(1), depends, do(manifest.ConditionDependencyIntegrity),
				index(2), depends, do(manifest.ConditionDependencyIntegrity), index(0), parallel}, jobs, manifest.Sequence{index(2), process, index(1), process})
			h := house{content: map[string][]byte{"01": envelope, "02": envelope}}
			v, events, r, err := h.run(t, m, manifest.SectionInstall)
			if err != nil {
				t.Fatal(err)
			}
			list, err := report.ReconstructWith(v, func([]int) *manifest.Verified { return dependency }, r, manifest.SectionInstall)
			got := steps(list)
			slices.Sort(events)
			slices.Sort(got)
			if diff := cmp.Diff(events, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

// waiting is a component where the fetch of "waits" is under way until it is cancelled, and that of "broken" breaks after it has begun.
type waiting struct {
	*device
	here chan struct{}
}

func (w *waiting) Fetch(ctx context.Context, r processor.FetchRequest) error {
	switch r.URI {
	case "waits":
		close(w.here)
		<-ctx.Done()
		return context.Cause(ctx)
	case "broken":
		<-w.here
	}
	return w.device.Fetch(ctx, r)
}

// mix changes the order of records that are of different jobs: of what is in the run-sequences of install, and of validate.
func mix(rnd *rand.Rand, in []report.Entry) []report.Entry {
	out := slices.Clone(in)
	job := func(e report.Entry) int {
		switch {
		case e.Record == nil || e.Record.Section == manifest.SectionShared || e.Record.Section == manifest.SectionInstall && len(e.Record.Path) == 0:
			return -1
		case e.Record.Section == manifest.SectionInstall:
			return e.Record.Offset
		}
		return 1000 + e.Record.Component
	}
	for range 4 * len(out) {
		i := rnd.IntN(len(out) - 1)
		x, y := job(out[i]), job(out[i+1])
		if x >= 0 && y >= 0 && x != y && (x < 1000) == (y < 1000) {
			out[i], out[i+1] = out[i+1], out[i]
		}
	}
	return out
}
