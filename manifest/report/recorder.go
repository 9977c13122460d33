// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// Recorder collects what the commands' reporting policies ask for. Its zero value is ready. It is not safe
// for concurrent use; a Processor tells it one event at a time.
type Recorder struct {
	entries []Entry
	last    *processor.Event // the last that failed, with what it has measured
	dropped bool
}

// Event is for processor.Options.OnEvent. More than MaxRecords are not kept.
func (r *Recorder) Event(e processor.Event) {
	if e.Err != nil {
		r.last = &e
	}
	success := e.Err == nil
	records, sysinfo := manifest.RecordOnFailure, manifest.SysinfoOnFailure
	if success {
		records, sysinfo = manifest.RecordOnSuccess, manifest.SysinfoOnSuccess
	}
	if e.Component < 0 {
		return
	}
	if e.Policy&records != 0 {
		rec := record(e.Section, e.Shared, e.Manifest, e.Path, e.Component, e.Seen)
		rec.Success = success
		r.add(Entry{Record: rec})
	}
	if e.Policy&sysinfo != 0 && e.Seen != nil {
		r.add(Entry{Claims: &Claims{Component: e.ID, Properties: *e.Seen}})
	}
}

func (r *Recorder) add(e Entry) {
	if len(r.entries) < MaxRecords {
		r.entries = append(r.entries, e)
		return
	}
	r.dropped = true
}

// Report returns the report of a run of v that has returned err, and forgets it. Its Result has
// the record of the command that has ended the run, whatever that one's policy.
// Nonce and Capabilities are the caller's to add. Error: manifest.ErrLimit if
// there were more than MaxRecords.
func (r *Recorder) Report(v *manifest.Verified, err error) (*Report, error) {
	entries, last, dropped := r.entries, r.last, r.dropped
	*r = Recorder{}
	if dropped {
		return nil, manifest.ErrLimit
	}
	out := &Report{URI: v.Manifest().ReferenceURI, Digest: v.Digest(), Records: entries}
	if err == nil {
		return out, nil
	}
	out.Result = Result{Reason: ReasonOf(err), Record: &Record{Section: manifest.SectionShared}}
	if e, ok := errors.AsType[*processor.Error](err); ok {
		var seen *manifest.Parameters
		if last != nil && last.Err != nil && errors.Is(last.Err, e) && slices.Equal(last.Path, e.Path) {
			seen = last.Seen
		}
		out.Result.Record = record(e.Section, e.Shared, e.Manifest, e.Path, max(e.Component, 0), seen)
	}
	return out, nil
}

// record makes a record of the command at path: offset, component, and so on from the
// outside in. The last component is the record's own.
func record(s manifest.Section, shared bool, walk, path []int, component int, seen *manifest.Parameters) *Record {
	r := &Record{Manifest: slices.Clone(walk), Section: s, Component: component}
	if shared {
		r.Section = manifest.SectionShared
	}
	if len(path) > 0 {
		r.Offset = path[0]
	}
	if len(path) > 2 { // component, number of the sequence, offset, and so on
		r.Path = slices.Clone(path[1:])
		if len(path)%3 == 2 {
			r.Path = r.Path[:len(r.Path)-1]
		}
	}
	if seen != nil {
		r.Properties = *seen
	}
	return r
}

// ReasonOf returns the reason for an error of manifest.Open or of a Processor; ReasonOK for nil.
func ReasonOf(err error) Reason {
	for _, k := range reasons {
		if errors.Is(err, k.err) {
			return k.reason
		}
	}
	if err == nil {
		return ReasonOK
	}
	if _, ok := errors.AsType[*processor.Error](err); !ok && errors.Is(err, verify.ErrPolicy) {
		return ReasonUnauthorised
	}
	if errors.Is(err, verify.ErrPolicy) {
		return ReasonComponentUnauthorised
	}
	return ReasonOperationFailed
}

// reasons are looked up in order: narrow before wide. verify.ErrPolicy is not among them, as it
// depends on who says it.
var reasons = []struct {
	err    error
	reason Reason
}{
	{manifest.ErrCondition, ReasonConditionFailed},
	{manifest.ErrNotApplicable, ReasonConditionFailed},
	{processor.ErrSevered, ReasonSeveringUnsupported},
	{processor.ErrParameter, ReasonParameterUnsupported},
	{verify.ErrSignature, ReasonUnauthorised},
	{verify.ErrKeyUnknown, ReasonUnauthorised},
	{verify.ErrKeyRevoked, ReasonUnauthorised},
	{verify.ErrThreshold, ReasonUnauthorised},
	{verify.ErrAlgorithm, ReasonAlgUnsupported},
	{manifest.ErrComponent, ReasonComponentUnsupported},
	{manifest.ErrUnsupported, ReasonCommandUnsupported},
	{manifest.ErrCommand, ReasonCommandUnsupported},
	{manifest.ErrMalformed, ReasonCBORParse},
	{manifest.ErrLimit, ReasonCBORParse},
}
