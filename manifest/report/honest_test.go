// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
)

// house is a device with a content for each component, in slot 0. What "00" fetches comes after what "01" does, if that is told.
type house struct {
	content map[string][]byte
	late    []byte // the envelope of a dependency that it can fetch
	after   chan struct{}
	broken  string // this component cannot fetch
	on      func(processor.Event)
}

type room struct {
	h  *house
	id string
}

func (h *house) Component(id manifest.ComponentID) (processor.Component, error) {
	return &room{h, id.String()}, nil
}

func (r *room) Fetch(ctx context.Context, q processor.FetchRequest) error {
	if r.id == r.h.broken {
		return errors.New("no route")
	}
	if q.Dependency {
		r.h.content = map[string][]byte{r.id: r.h.late}
	}
	if r.h.after != nil && r.id == "01" {
		close(r.h.after)
	}
	if r.h.after == nil || r.id != "00" {
		return nil
	}
	<-r.h.after
	return ctx.Err()
}

func (r *room) Open(context.Context) (io.ReadCloser, int64, error) {
	b, ok := r.h.content[r.id]
	if !ok {
		return nil, 0, manifest.ErrComponent
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

func (r *room) Match(_ context.Context, want verify.Digest, size int64) error {
	if seen := verify.Sum(verify.SHA256, r.h.content[r.id]); seen != want {
		return &processor.Mismatch{Want: want, Seen: seen, Size: size}
	}
	return nil
}

func (r *room) Slot(context.Context) (uint64, error) { return 0, nil }
func (r *room) References(context.Context, verify.Digest) (others uint64, used bool, err error) {
	return 0, true, nil
}
func (r *room) Unlink(context.Context, verify.Digest) error         { return nil }
func (r *room) Invoke(context.Context, []byte) error                { return nil }
func (r *room) Write(context.Context, processor.WriteRequest) error { return nil }

// told is a command and how it ended, in words.
func told(walk []int, s manifest.Section, shared bool, path []int, c int, code manifest.Code, outcome string) string {
	if shared {
		s = manifest.SectionShared
	}
	return fmt.Sprint(walk, " ", s, " ", path, " ", c, " ", code, " ", outcome)
}

// run runs m on h, and returns what it has told its OnEvent, the report and the run's error.
func (h *house) run(t *testing.T, m manifest.Manifest, sections ...manifest.Section) (v *manifest.Verified, events []string, r *report.Report, failure error) {
	t.Helper()
	m.SequenceNumber = 1
	_, v = signed(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var recorder report.Recorder
	var failed []*processor.Error
	keys, policy := trust(t, 1)
	o := processor.Options{Platform: h, Compat: processor.CompatUnidentified, Dependencies: &processor.Dependencies{
		Open:  func(b []byte) (*manifest.Verified, error) { return manifest.OpenBytes(b, keys, policy) },
		Floor: func(context.Context, manifest.ComponentID) (uint64, error) { return 0, nil }}}
	o.OnEvent = func(e processor.Event) {
		recorder.Event(e)
		if h.on != nil && e.Command == manifest.DirectiveFetch {
			cancel()
		}
		placed, ok := errors.AsType[*processor.Error](e.Err)
		if ok && slices.Equal(placed.Path, e.Path) && slices.Equal(placed.Manifest, e.Manifest) {
			failed = append(failed, placed)
		} else if ok && !slices.Contains(failed, placed) {
			return // it was not done, as another command is going to fail
		}
		if e.Command == manifest.DirectiveTryEach || e.Command == manifest.DirectiveRunSequence {
			return
		}
		path := e.Path
		if e.Component >= 0 && len(path)%3 == 2 {
			path = path[:len(path)-1]
		}
		events = append(events, told(e.Manifest, e.Section, e.Shared, path, e.Component, e.Command, map[bool]string{true: "ok", false: "not"}[e.Err == nil]))
	}
	p, err := processor.New(t.Context(), v, o)
	if err == nil {
		err = p.Run(ctx, sections...)
	}
	r, wrong := recorder.Report(v, err)
	if wrong != nil {
		t.Fatal(wrong)
	}
	b, wrong := r.Encode()
	if wrong == nil {
		r, wrong = report.Decode(b)
	}
	if wrong != nil {
		t.Fatal(wrong)
	}
	return v, events, r, err
}

func steps(list []report.Step) (out []string) {
	for _, s := range list {
		word := map[report.Outcome]string{report.Succeeded: "ok", report.Failed: "not", report.Ended: "not", report.Foreseen: "foreseen"}[s.Outcome]
		out = append(out, told(s.Manifest, s.Section, s.Shared, s.Path, s.Component, s.Command, word))
	}
	return out
}

func ids(n int) (out []manifest.ComponentID) {
	for i := range n {
		out = append(out, manifest.ComponentID{{byte(i)}})
	}
	return out
}

func with(policy manifest.ReportingPolicy, c manifest.Code) manifest.Command {
	return manifest.Command{Code: c, Policy: policy}
}

func try(alternatives ...manifest.Sequence) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveTryEach, Sequences: alternatives}
}

func sequence(seq ...manifest.Command) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveRunSequence, Sequences: []manifest.Sequence{seq}}
}

var all = manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{All: true}}

// Whatever a Processor does and then reports, is told as it was, and never as what cannot have been.
func TestHonestReports(t *testing.T) {
	child := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{9}}}}
	child.Install.Sequence = manifest.Sequence{image("x"), do(manifest.ConditionImageMatch)}
	child.Uninstall = manifest.Sequence{slot(0), with(manifest.RecordOnSuccess, manifest.ConditionComponentSlot)}
	envelope, dependency := signed(t, child)
	d := dependency.Digest()
	child.Install.Sequence = manifest.Sequence{slot(1), do(manifest.ConditionComponentSlot)}
	lateEnvelope, late := signed(t, child)
	depends := override(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(envelope)))})
	soft := image("u").Parameters
	soft.SoftFailure, soft.Slot = new(true), new(uint64(1))
	parallel := override(manifest.Parameters{StrictOrder: new(false)})
	fetch := with(manifest.RecordOnSuccess|manifest.RecordOnFailure, manifest.DirectiveFetch)
	install := []manifest.Section{manifest.SectionInstall}
	for _, tt := range []struct {
		name      string
		house     house
		install   manifest.Sequence
		other     func(m *manifest.Manifest)
		sections  []manifest.Section
		reason    report.Reason
		unordered bool
		foreseen  string // the step after what was run
	}{
		{name: "parallel, in another order", house: house{after: make(chan struct{})}, unordered: true,
			install: manifest.Sequence{all, image("u"), parallel, fetch}},
		{name: "parallel sequences, in another order", house: house{after: make(chan struct{})}, unordered: true,
			install: manifest.Sequence{all, image("u"), index(0), parallel, sequence(index(0), do(manifest.ConditionComponentSlot), fetch), sequence(index(1), fetch)},
			other:   func(m *manifest.Manifest) { m.Shared = manifest.Sequence{all, slot(0)} }},
		{name: "parallel, one fails and the other is given up", house: house{after: make(chan struct{}), broken: "02"}, unordered: true, reason: report.ReasonOperationFailed,
			install: manifest.Sequence{all, image("u"), parallel, fetch, index(0), fetch},
			other:   func(m *manifest.Manifest) { m.Components = ids(3) }},
		{name: "the uninstall section of what is unlinked", sections: []manifest.Section{manifest.SectionUninstall},
			other: func(m *manifest.Manifest) {
				m.Uninstall = manifest.Sequence{index(1), depends, with(0, manifest.DirectiveUnlink)}
			}},
		{name: "a dependency fails, and so does what processes it", reason: report.ReasonConditionFailed,
			install: manifest.Sequence{index(1), depends, do(manifest.ConditionDependencyIntegrity), do(manifest.DirectiveProcessDependency)}},
		{name: "cancelled at a selection", house: house{on: func(processor.Event) {}}, reason: report.ReasonOperationFailed,
			install: manifest.Sequence{index(0), image("u"), do(manifest.DirectiveFetch), index(1), image("u"), do(manifest.DirectiveFetch)}},
		{name: "soft by override-multiple",
			install: manifest.Sequence{index(0), sequence(index(0), manifest.Command{Code: manifest.DirectiveOverrideMultiple,
				Overrides: []manifest.Override{{Index: 0, Parameters: soft}}}, do(manifest.ConditionComponentSlot))}},
		{name: "a try-each without an end", reason: report.ReasonConditionFailed,
			install:  manifest.Sequence{index(0), slot(1), try(manifest.Sequence{do(manifest.ConditionComponentSlot)}, manifest.Sequence{do(manifest.ConditionAbort)})},
			foreseen: "[] install [7] 0 directive-try-each foreseen"},
		{name: "refused, of which failures are reported", reason: report.ReasonConditionFailed,
			install:  manifest.Sequence{index(0), image("u"), with(manifest.RecordOnFailure, manifest.DirectiveFetch), slot(1), do(manifest.ConditionComponentSlot)},
			foreseen: "[] install [55] 0 condition-component-slot foreseen"},
		{name: "refused, of which success is reported", reason: report.ReasonConditionFailed,
			install:  manifest.Sequence{index(0), image("u"), with(manifest.RecordOnSuccess, manifest.DirectiveFetch), slot(1), do(manifest.ConditionComponentSlot)},
			foreseen: "[] install [55] 0 condition-component-slot foreseen"},
		{name: "softened before boot", sections: []manifest.Section{manifest.SectionValidate}, reason: report.ReasonConditionFailed,
			other: func(m *manifest.Manifest) {
				m.Validate = manifest.Sequence{index(0), try(manifest.Sequence{image("u"), do(manifest.ConditionImageMatch)}, manifest.Sequence{slot(0), do(manifest.ConditionComponentSlot)})}
			},
			foreseen: "[] validate [3 0 0 47] 0 condition-image-match foreseen"},
		{name: "no such section", sections: []manifest.Section{manifest.SectionInvoke}, reason: report.ReasonOperationFailed,
			foreseen: "[] invoke [] -1 command(0) foreseen"},
		{name: "refused when a dependency was fetched", house: house{late: lateEnvelope}, sections: []manifest.Section{manifest.SectionDependencyResolution, manifest.SectionInstall},
			install: manifest.Sequence{index(0), image("u"), fetch, index(1), do(manifest.ConditionDependencyIntegrity), do(manifest.DirectiveProcessDependency)}, reason: report.ReasonConditionFailed,
			other: func(m *manifest.Manifest) {
				late := late.Digest()
				m.DependencyResolution.Sequence = manifest.Sequence{index(1), override(manifest.Parameters{ImageDigest: &late, ImageSize: new(uint64(len(lateEnvelope))), URI: new("u")}),
					do(manifest.DirectiveFetch), with(0, manifest.ConditionDependencyIntegrity), with(0, manifest.DirectiveProcessDependency)}
			},
			foreseen: "[1] install [5] 0 condition-component-slot foreseen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := dependency
			if tt.house.content = map[string][]byte{"01": envelope}; tt.house.late != nil {
				at, tt.house.content = late, nil
			}
			m := manifest.Manifest{Components: ids(2)}
			m.Install.Sequence = tt.install
			if tt.other != nil {
				tt.other(&m)
			}
			if len(m.Components) == 2 && !tt.unordered {
				m.Dependencies = []manifest.Dependency{{Index: 1}}
			}
			sections := tt.sections
			if sections == nil {
				sections = install
			}
			v, events, r, failure := tt.house.run(t, m, sections...)
			if r.Result.Reason != tt.reason || r.Result.Foreseen != (tt.foreseen != "") {
				t.Errorf("%v: result %+v", failure, r.Result)
			}
			if found := r.Result.Record; strings.HasSuffix(tt.foreseen, "condition-component-slot foreseen") && (found.Properties.Slot == nil || *found.Properties.Slot != 0) {
				t.Errorf("the report does not say what was found: %+v", found)
			}
			list, err := report.ReconstructWith(v, func(walk []int) *manifest.Verified {
				if slices.Equal(walk, []int{1}) {
					return at
				}
				return nil
			}, r, sections...)
			got := steps(list)
			if tt.foreseen != "" {
				events = append(events, tt.foreseen)
			}
			if tt.unordered {
				slices.Sort(events)
				slices.Sort(got)
			}
			if diff := cmp.Diff(events, got); diff != "" || err != nil {
				t.Errorf("run: %v, reconstructed: %v\n%s", failure, err, diff)
			}
			if _, err := report.Reconstruct(v, r, sections...); err != nil {
				t.Errorf("without the dependency: %v", err)
			}
			var text bytes.Buffer
			if err := report.Print(&text, r, list); err != nil || bytes.Contains(text.Bytes(), []byte("nothing was run")) != (len(events) == 1 && tt.foreseen != "") {
				t.Errorf("%v:\n%s", err, &text)
			}
		})
	}
}
