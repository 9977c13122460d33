// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"slices"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

// Recorder collects what the commands' reporting policies ask for. Its zero value is ready. It is not safe
// for concurrent use; a Processor tells it one event at a time.
type Recorder struct {
	entries []Entry
	last    *processor.Event   // of a component
	kept    bool               // as a record of its success, after which there is no other
	failed  []*processor.Error // at their own commands; the last maxFailures
	dropped bool
}

// maxFailures is more than the commands that can fail together: under strict-order false, with those that they are nested in.
const maxFailures = 64

// Event is for processor.Options.OnEvent. More than MaxRecords are not kept. That a command failed because another will
// is not kept either: it has not been done.
func (r *Recorder) Event(e processor.Event) {
	if failed, ok := errors.AsType[*processor.Error](e.Err); ok && own(&e, failed) {
		if len(r.failed) == maxFailures {
			r.failed = slices.Delete(r.failed, 0, 1)
		}
		r.failed = append(r.failed, failed)
	} else if ok && !r.has(failed) {
		return
	}
	success := e.Err == nil
	records, sysinfo := manifest.RecordOnFailure, manifest.SysinfoOnFailure
	if success {
		records, sysinfo = manifest.RecordOnSuccess, manifest.SysinfoOnSuccess
	}
	if e.Component < 0 {
		return
	}
	r.last, r.kept = &e, false
	if e.Policy&records != 0 || (!success && e.Command <= manifest.MaxCustom) {
		r.keep(&e)
	}
	if e.Policy&sysinfo != 0 && e.Seen != nil {
		r.add(Entry{Claims: &Claims{Component: e.ID, Properties: *e.Seen}})
	}
}

// own reports whether err is of the command that e is about.
func own(e *processor.Event, err *processor.Error) bool {
	return e.Section == err.Section && e.Shared == err.Shared && slices.Equal(e.Manifest, err.Manifest) && slices.Equal(e.Path, err.Path)
}

// has reports whether an event has told err of its own command.
func (r *Recorder) has(err *processor.Error) bool {
	return slices.Contains(r.failed, err)
}

func (r *Recorder) keep(e *processor.Event) {
	rec := record(e.Section, e.Shared, e.Manifest, e.Path, e.Component, e.Seen)
	rec.Success = e.Err == nil
	r.add(Entry{Record: rec})
	r.kept = rec.Success
}

func (r *Recorder) add(e Entry) {
	if len(r.entries) < MaxRecords {
		r.entries = append(r.entries, e)
		return
	}
	r.dropped = true
}

// Report returns the report of a run of v that has returned err, and forgets it. Its Result has
// the record of the command that has ended the run, whatever that one's policy; if that command was not the last to be run,
// which then has a record, too, Result.Foreseen.
// Nonce and Capabilities are the caller's to add. Error: manifest.ErrLimit if
// there were more than MaxRecords.
func (r *Recorder) Report(v *manifest.Verified, err error) (*Report, error) {
	defer func() { *r = Recorder{} }()
	var result Result
	if err != nil {
		result = r.result(err)
	}
	return r.report(v, result)
}

// Pending returns the report of a run of v that is about to hand execution over, which may never return: invoke is
// the event of that directive, as Processor.DryRun tells it beforehand. The reason is ReasonInvokePending. Nothing is forgotten.
//
// draft-ietf-suit-report-20, section 4.
func (r *Recorder) Pending(v *manifest.Verified, invoke processor.Event) (*Report, error) {
	return r.report(v, Result{Reason: ReasonInvokePending,
		Record: record(invoke.Section, invoke.Shared, invoke.Manifest, invoke.Path, invoke.Component, nil)})
}

func (r *Recorder) report(v *manifest.Verified, result Result) (*Report, error) {
	if r.dropped {
		return nil, manifest.ErrLimit
	}
	return &Report{URI: v.Manifest().ReferenceURI, Digest: v.Digest(), Records: slices.Clone(r.entries), Result: result}, nil
}

// result tells how a run has ended that has returned err. What no event has told was found elsewhere than at its command.
func (r *Recorder) result(err error) Result {
	out := Result{Reason: ReasonOf(err), Foreseen: true, Record: &Record{Section: manifest.SectionShared}}
	e, ok := errors.AsType[*processor.Error](err)
	if ok {
		out.Foreseen = !r.has(e)
		out.Record = record(e.Section, e.Shared, e.Manifest, e.Path, max(e.Component, 0), e.Seen())
	}
	if out.Foreseen && r.last != nil && !r.kept {
		r.keep(r.last)
	}
	return out
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
