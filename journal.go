// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"errors"
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

const (
	journalName = "journal"
	maxJournal  = 1 << 20 // bytes; one update writes a few kilobytes
	maxGivenUp  = 32      // releases remembered as given up; the oldest is forgotten first
	maxReports  = 64      // reports waiting for delivery; the oldest is dropped first
	maxLater    = 64      // records of later versions; the oldest is dropped first
)

// kind says what a journal record means. The numbers are on disk: never reuse one. See record for those that are not here.
type kind uint8

const (
	kindProvisioned kind = 1 // the device left the factory with Release
	kindBegin       kind = 2 // Release is being applied; steps before it are void
	kindStep        kind = 3 // a step of the manifest processor
	kindInstall     kind = 4 // a transition of the install machine, which concerns Release
	kindAccept      kind = 5 // decision: Release is accepted
	kindAccepted    kind = 6 // the consequences of kindAccept are done; a report is queued
	kindGiveUp      kind = 7 // decision: Release is not tried again; a report is queued
	kindDelivered   kind = 8 // the report with that ID has reached the status tracker
	kindReport      kind = 9 // a queued report, written by compaction

	kindCritical kind = 128 // from here on a version that does not know one stops
)

// journal is the one log of the device and the state that follows from it. It serves as the journal of the manifest
// processor and of the install machine, too.
type journal struct {
	dir    install.Storage
	log    *durable.Log
	broken bool // the log is to be read again before it is written
	state  journalState

	arriving Download // of the image that becomes a Candidate next
}

// journalState is what the records add up to.
type journalState struct {
	current   Release          // what kindBegin named last
	accepted  Release          // what runs confirmed
	previous  Release          // accepted before that, while finishing
	finishing bool             // kindAccept without kindAccepted
	install   install.Entry    // the machine's last transition
	subject   Release          // whose image install is about: what is current may have changed since
	download  Download         // how that image came
	steps     []processor.Step // since kindBegin
	void      bool             // there is a step that this version cannot read: a run of current begins anew
	givenUp   []Release
	reports   []Report
	nextID    uint64
	later     []*record // of kinds that a later version has
}

// openJournal replays the log in dir. ErrJournal if it cannot be read, or a newer version wrote what this one must know.
func openJournal(dir install.Storage) (*journal, error) {
	log, err := durable.OpenLog(dir, journalName, maxJournal)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", journalName, ErrJournal, err)
	}
	j := &journal{dir: dir, log: log, state: journalState{nextID: 1}}
	recs, err := log.Records()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w: %w", journalName, ErrJournal, err), log.Close())
	}
	for i, b := range recs {
		if err := j.replay(b); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: record %d: %w: %w", journalName, i, ErrJournal, err), log.Close())
		}
	}
	return j, nil
}

func (j *journal) replay(b []byte) error {
	r, err := parseRecord(b)
	if err != nil {
		return err
	}
	return j.state.apply(r)
}

// append makes r durable and then part of the state.
func (j *journal) append(r *record) error {
	if err := j.mend(); err != nil {
		return err
	}
	if err := j.log.Append(r.append(nil)); err != nil {
		j.broken = true
		return fmt.Errorf("%s: %w", journalName, err)
	}
	return j.state.apply(r)
}

// mend reads the log again after an error: what it holds is what counts, and one full disk must not end all updates
// until the next start.
func (j *journal) mend() error {
	if !j.broken {
		return nil
	}
	if j.log != nil {
		_ = j.log.Close() // it failed before
		j.log = nil
	}
	again, err := openJournal(j.dir)
	if err != nil {
		return err
	}
	again.arriving = j.arriving
	*j = *again
	return nil
}

// close releases the log.
func (j *journal) close() error {
	if j.log == nil {
		return nil
	}
	return j.log.Close()
}

// begin records that rel is being applied, and drops everything before that no longer matters.
func (j *journal) begin(rel Release) error {
	if err := j.mend(); err != nil {
		return err
	}
	next := j.state
	if err := next.apply(releaseRecord(kindBegin, rel)); err != nil {
		return err
	}
	var recs [][]byte
	for _, r := range next.records() {
		recs = append(recs, r.append(nil))
	}
	if err := j.log.Rewrite(recs); err != nil {
		j.broken = true
		return fmt.Errorf("%s: %w", journalName, err)
	}
	j.state = next
	return nil
}

// records returns the shortest log that adds up to s, steps left out.
func (s *journalState) records() []*record {
	var recs []*record
	if s.accepted.Sequence != 0 || s.accepted.known() {
		recs = append(recs, releaseRecord(kindProvisioned, s.accepted))
	}
	for _, rel := range s.givenUp {
		r := releaseRecord(kindGiveUp, rel)
		recs = append(recs, r)
	}
	// Keeps the numbering; it stands before the reports, since it would delete the one it names.
	recs = append(recs, &record{Kind: kindDelivered, ID: s.nextID - 1})
	for _, rep := range s.reports {
		r := releaseRecord(kindReport, rep.Release)
		r.State, r.Reason, r.ID, r.Download = rep.State, rep.Reason, rep.ID, rep.Download
		recs = append(recs, r)
	}
	if s.install != (install.Entry{}) {
		recs = append(recs, installRecord(s.install, s.subject, s.download))
	}
	recs = append(recs, s.later...)
	return append(recs, releaseRecord(kindBegin, s.current))
}

// apply is the meaning of each kind.
func (s *journalState) apply(r *record) error {
	if r.raw != nil {
		s.later = append(slices.Clone(s.later), r)
		s.later = s.later[max(0, len(s.later)-maxLater):]
		return nil
	}
	rel, err := r.release()
	if err != nil {
		return err
	}
	switch r.Kind {
	case kindProvisioned:
		s.accepted = rel
	case kindBegin:
		s.current, s.steps, s.void = rel, nil, false
	case kindStep:
		var step processor.Step
		if err := step.UnmarshalBinary(r.Step); err != nil {
			s.steps, s.void = nil, true
		} else if !s.void {
			s.steps = append(s.steps, step)
		}
	case kindInstall:
		img, err := r.image()
		if err != nil {
			return err
		}
		s.install, s.subject, s.download = install.Entry{State: r.State, Image: img}, rel, r.Download
	case kindAccept:
		s.accepted, s.previous, s.finishing = rel, s.accepted, true
		// A newer release ends the memory of what failed before it.
		s.givenUp = slices.DeleteFunc(slices.Clone(s.givenUp), func(g Release) bool { return g.Sequence < rel.Sequence })
	case kindAccepted:
		s.finishing = false
		s.queue(Report{ID: r.ID, State: install.Updated, Release: s.accepted, Download: s.downloadOf(s.accepted)})
	case kindGiveUp:
		if s.finishing && rel == s.accepted {
			s.accepted, s.finishing = s.previous, false
		}
		s.giveUp(rel)
		if r.ID != 0 {
			s.queue(Report{ID: r.ID, State: r.State, Release: rel, Reason: r.Reason, Download: s.downloadOf(rel)})
		}
	case kindDelivered:
		s.reports = slices.DeleteFunc(slices.Clone(s.reports), func(p Report) bool { return p.ID == r.ID })
		s.nextID = max(s.nextID, r.ID+1)
	case kindReport:
		s.queue(Report{ID: r.ID, State: r.State, Release: rel, Reason: r.Reason, Download: r.Download})
	default:
		return fmt.Errorf("kind %d is not known to this version", r.Kind)
	}
	return nil
}

// downloadOf is how rel's image came, if it is the one in its place.
func (s *journalState) downloadOf(rel Release) Download {
	if rel != s.subject {
		return Download{}
	}
	return s.download
}

func (s *journalState) giveUp(rel Release) {
	if s.isGivenUp(rel) {
		return
	}
	s.givenUp = append(slices.Clone(s.givenUp), rel)
	if n := len(s.givenUp) - maxGivenUp; n > 0 {
		s.givenUp = s.givenUp[n:]
	}
}

func (s *journalState) isGivenUp(rel Release) bool { return slices.Contains(s.givenUp, rel) }

func (s *journalState) queue(p Report) {
	s.reports = append(slices.Clone(s.reports), p)
	if n := len(s.reports) - maxReports; n > 0 {
		s.reports = s.reports[n:]
	}
	s.nextID = max(s.nextID, p.ID+1)
}

func releaseRecord(k kind, rel Release) *record {
	r := &record{Kind: k, Sequence: rel.Sequence}
	if rel.known() {
		r.Manifest = rel.Manifest.String()
	}
	return r
}

func (r *record) release() (Release, error) {
	rel := Release{Sequence: r.Sequence}
	if r.Manifest == "" {
		return rel, nil
	}
	var err error
	rel.Manifest, err = verify.ParseDigest(r.Manifest)
	return rel, err
}

func installRecord(e install.Entry, subject Release, download Download) *record {
	r := releaseRecord(kindInstall, subject)
	r.State, r.Size, r.Download = e.State, e.Image.Size, download
	if !e.Image.Digest.IsZero() {
		r.Digest = e.Image.Digest.String()
	}
	return r
}

func (r *record) image() (install.Image, error) {
	img := install.Image{Size: r.Size}
	if r.Digest == "" {
		return img, nil
	}
	var err error
	img.Digest, err = verify.ParseDigest(r.Digest)
	return img, err
}

// Load and Record make the journal an [install.Journal].
func (j *journal) Load() (install.Entry, error) { return j.state.install, nil }

func (j *journal) Record(e install.Entry) error {
	subject, download := j.state.subject, j.state.download
	switch {
	case e.State == install.Writing:
		subject, download = j.state.current, Download{}
	case e.State == install.Candidate && j.state.install.State == install.Writing:
		download = j.arriving
	}
	return j.append(installRecord(e, subject, download))
}

// adopt records that the image in its place is rel's too: rel's manifest was run and found it there.
func (j *journal) adopt(rel Release) error {
	if j.state.subject == rel {
		return nil
	}
	return j.append(installRecord(j.state.install, rel, j.state.download))
}

// steps makes the journal a [processor.Journal].
type steps struct{ *journal }

func (s steps) Steps() ([]processor.Step, error) { return slices.Clone(s.state.steps), nil }

func (s steps) Append(step processor.Step) error {
	b, err := step.MarshalBinary()
	if err != nil {
		return err
	}
	return s.append(&record{Kind: kindStep, Step: b})
}
