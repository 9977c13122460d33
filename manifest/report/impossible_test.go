// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
)

// A run that failed for no reason, or for one that is in no table, is not read, nor is a success as the end of a run.
func TestDecodeResult(t *testing.T) {
	for reason, want := range map[report.Reason]error{report.ReasonOK: manifest.ErrMalformed, report.ReasonInvokePending: nil, 13: manifest.ErrUnsupported, 4711: manifest.ErrUnsupported, -5: manifest.ErrUnsupported} {
		r := sample()
		r.Result.Reason = reason
		if _, err := r.Encode(); !errors.Is(err, want) {
			t.Errorf("%v: got %v, want %v", reason, err, want)
		}
	}
	r := sample()
	r.Result.Foreseen, r.Result.Record.Success = true, true
	if _, err := r.Encode(); !errors.Is(err, manifest.ErrMalformed) {
		t.Errorf("a success that ended the run: got %v, want %v", err, manifest.ErrMalformed)
	}
}

// What no Processor does is not believed.
func TestImpossibleReports(t *testing.T) {
	m := manifest.Manifest{Components: ids(1)}
	m.Install.Sequence = manifest.Sequence{try(manifest.Sequence{image(""), do(manifest.DirectiveFetch), do(manifest.ConditionImageMatch)},
		manifest.Sequence{slot(0), do(manifest.ConditionComponentSlot)})}
	m.Install.Sequence[0].Sequences[0][0] = override(manifest.Parameters{URI: new("u"), ImageDigest: image("").Parameters.ImageDigest, ImageSize: new(uint64(1))})
	m.Validate = manifest.Sequence{try(manifest.Sequence{do(manifest.ConditionImageMatch)}, manifest.Sequence{slot(0), do(manifest.ConditionComponentSlot)})}
	sections := []manifest.Section{manifest.SectionInstall, manifest.SectionValidate}
	v, _, honest, err := new(house).run(t, m, sections...)
	if err != nil {
		t.Fatal(err)
	}
	read := v.Manifest()
	first := func(s manifest.Section, i int) *report.Record {
		seq, _ := read.Section(s)
		return &report.Record{Section: s, Offset: seq[0].Offset, Path: []int{0, 0, seq[0].Sequences[0][i].Offset}}
	}
	fetch, match, boot := first(manifest.SectionInstall, 1), first(manifest.SectionInstall, 2), first(manifest.SectionValidate, 0)
	records := func(list ...*report.Record) (out []report.Entry) {
		for _, rec := range list {
			out = append(out, report.Entry{Record: rec})
		}
		return out
	}
	nowhere := *fetch
	nowhere.Path = []int{0, 0, 9999}
	for name, r := range map[string]report.Report{
		"a fetch ended the run as a condition":     {Result: report.Result{Record: fetch, Reason: report.ReasonConditionFailed}},
		"a fetch is about to invoke":               {Result: report.Result{Record: fetch, Reason: report.ReasonInvokePending}},
		"image-match was soft after a fetch":       {Records: records(match)},
		"image-match was soft before boot":         {Records: records(boot)},
		"foreseen for what is not there":           {Result: report.Result{Record: &nowhere, Reason: report.ReasonConditionFailed, Foreseen: true}},
		"foreseen for a section that was not run":  {Result: report.Result{Record: &report.Record{Section: manifest.SectionLoad}, Reason: report.ReasonSeveringUnsupported, Foreseen: true}},
		"foreseen for another component":           {Result: report.Result{Record: &report.Record{Section: fetch.Section, Offset: fetch.Offset, Component: 1}, Reason: report.ReasonConditionFailed, Foreseen: true}},
		"foreseen after a failure as the last":     {Records: records(match), Result: report.Result{Record: match, Reason: report.ReasonConditionFailed, Foreseen: true}},
		"foreseen after what cannot have been run": {Records: records(&report.Record{Section: fetch.Section, Offset: 9999, Success: true}), Result: report.Result{Record: match, Reason: report.ReasonConditionFailed, Foreseen: true}},
	} {
		r.URI, r.Digest = honest.URI, honest.Digest
		if list, err := report.Reconstruct(v, &r, sections...); !errors.Is(err, report.ErrMismatch) {
			t.Errorf("%s: got %v, want %v\n%v", name, err, report.ErrMismatch, steps(list))
		}
	}
	for name, r := range map[string]report.Report{
		"a fetch ended the run":         {Result: report.Result{Record: fetch, Reason: report.ReasonOperationFailed}},
		"image-match ended the run":     {Records: records(match), Result: report.Result{Record: match, Reason: report.ReasonConditionFailed}},
		"image-match before boot ended": {Result: report.Result{Record: boot, Reason: report.ReasonConditionFailed}},
	} {
		r.URI, r.Digest = honest.URI, honest.Digest
		if _, err := report.Reconstruct(v, &r, sections...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A dependency is told about only as the one that the manifest asks for, with the components that its prefix makes of it.
func TestOtherDependency(t *testing.T) {
	child := manifest.Manifest{SequenceNumber: 1, Components: []manifest.ComponentID{{{9}}}}
	child.Install.Sequence = manifest.Sequence{slot(0), do(manifest.ConditionComponentSlot)}
	envelope, dependency := signed(t, child)
	child.SequenceNumber = 2
	_, other := signed(t, child)
	d, none := dependency.Digest(), other.Digest()
	for name, asks := range map[string][]manifest.Command{
		"override":          {override(manifest.Parameters{ImageDigest: &none}), override(manifest.Parameters{ImageDigest: &d})},
		"set":               {{Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{ImageDigest: &d}}, {Code: manifest.DirectiveSetParameters, Parameters: &manifest.Parameters{ImageDigest: &none}}},
		"copy":              {index(0), override(manifest.Parameters{ImageDigest: &d}), index(1), {Code: manifest.DirectiveCopyParams, Copies: []manifest.ParameterCopy{{Source: 0, Keys: []manifest.ParameterKey{manifest.ParameterImageDigest}}}}},
		"override-multiple": {{Code: manifest.DirectiveOverrideMultiple, Overrides: []manifest.Override{{Index: 1, Parameters: &manifest.Parameters{ImageDigest: &d}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := manifest.Manifest{Components: ids(2), Dependencies: []manifest.Dependency{{Index: 1, Prefix: manifest.ComponentID{{0xee}}}}}
			m.Install.Sequence = slices.Concat(manifest.Sequence{index(1)}, asks,
				manifest.Sequence{do(manifest.ConditionDependencyIntegrity), do(manifest.DirectiveProcessDependency)})
			h := house{content: map[string][]byte{"01": envelope}}
			v, _, r, err := h.run(t, m, manifest.SectionInstall)
			if err != nil {
				t.Fatal(err)
			}
			at := func(v *manifest.Verified) report.Dependencies {
				return func(walk []int) *manifest.Verified {
					if slices.Equal(walk, []int{1}) {
						return v
					}
					return nil
				}
			}
			list, err := report.ReconstructWith(v, at(dependency), r, manifest.SectionInstall)
			if err != nil {
				t.Fatal(err)
			}
			if i := slices.IndexFunc(list, func(s report.Step) bool { return len(s.Manifest) > 0 }); i < 0 || list[i].ID.String() != "ee.09" {
				t.Errorf("step %d of %v", i, list)
			}
			if _, err := report.ReconstructWith(v, at(other), r, manifest.SectionInstall); !errors.Is(err, report.ErrMismatch) {
				t.Errorf("another dependency: %v", err)
			}
		})
	}
}

// A report can be made before execution is handed over.
func TestPending(t *testing.T) {
	m := manifest.Manifest{SequenceNumber: 1, Components: ids(1)}
	m.Invoke = manifest.Sequence{image("x"), do(manifest.ConditionImageMatch), do(manifest.DirectiveInvoke)}
	_, v := signed(t, m)
	var recorder report.Recorder
	h := &house{content: map[string][]byte{"00": []byte("x")}}
	p, err := processor.New(t.Context(), v, processor.Options{Platform: h, Compat: processor.CompatUnidentified, OnEvent: recorder.Event})
	if err != nil {
		t.Fatal(err)
	}
	foretold, err := p.DryRun(t.Context(), manifest.SectionInvoke)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context(), manifest.SectionInvoke); err != nil {
		t.Fatal(err)
	}
	r, err := recorder.Pending(v, foretold[len(foretold)-1])
	if err != nil || r.Result.Reason != report.ReasonInvokePending {
		t.Fatalf("%+v, %v", r, err)
	}
	list, err := report.Reconstruct(v, r, manifest.SectionInvoke)
	var text bytes.Buffer
	if err != nil || report.Print(&text, r, list) != nil || !bytes.Contains(text.Bytes(), []byte("directive-invoke on 00: ended the run, invoke-pending")) {
		t.Errorf("%v: %s", err, &text)
	}
	if whole, err := recorder.Report(v, nil); err != nil || !whole.Result.OK() || len(whole.Records)+len(r.Records) == 0 {
		t.Errorf("nothing is to be forgotten: %+v, %v", whole, err)
	}
}
