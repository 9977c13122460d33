// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"slices"
	"time"
)

// A mark keeps the checkpoint during one call. Trouble with it never ends a download: it is remembered, and no
// more checkpoints are written.
type mark struct {
	at    *checkpoint // nil: none
	saved spans       // what it names
	ahead int64       // bytes that may be verified and not written when the process dies
	err   error
	dead  bool        // the sink failed: what it holds is unknown, so nothing more is promised
	timer *time.Timer // runs while something is unsaved
}

// open loads the checkpoint for the job's resource.
func (m *mark) open(j *job) {
	if j.o.Storage == nil || j.whole {
		return
	}
	at, err := openCheckpoint(j.o, j.res)
	if err != nil {
		m.err = err
		return
	}
	m.at = at
	// A damaged record is an offset of zero; it can be written over.
	m.saved, j.validator, _ = at.load()
}

// begin is told what the call begins with, which may be less than what was saved.
func (m *mark) begin(j *job) {
	if m.saved.bytes() > j.have.bytes() || j.scatter == nil && len(m.saved) > 1 {
		m.saved = slices.Clone(j.have)
	}
}

// due saves when CheckpointEvery bytes are unsaved, those included that are verified and not written.
func (m *mark) due(j *job) error {
	have := j.have.bytes()
	if m.at == nil || have-m.saved.bytes() < j.o.CheckpointEvery-m.ahead || have == j.res.Size {
		if m.at != nil && m.timer == nil {
			m.timer = time.NewTimer(j.o.CheckpointAfter)
		}
		return nil
	}
	return m.save(j)
}

// late is a channel on which the time comes when something has been unsaved for CheckpointAfter.
func (m *mark) late() <-chan time.Time {
	if m.timer == nil {
		return nil
	}
	return m.timer.C
}

// stop ends the timer.
func (m *mark) stop() {
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}

// save syncs the sink and then, never before, writes the checkpoint. An error is the sink's.
func (m *mark) save(j *job) error {
	m.stop()
	if m.dead || len(j.have) == 0 {
		return nil
	}
	if m.at != nil && slices.Equal(m.saved, j.have) {
		return nil
	}
	if err := j.sink.Sync(); err != nil {
		m.dead = true
		return sinkError("sync", j.have.prefix(), err)
	}
	if j.scatter != nil && j.sink.Offset() != j.have.prefix() {
		if err := j.scatter.Resume(j.have.prefix()); err != nil {
			m.dead = true
			return sinkError("resume", j.have.prefix(), err)
		}
	}
	if m.at == nil {
		return nil
	}
	if err := m.at.store(j.have, j.validator); err != nil {
		m.at, m.err = nil, err
		return nil
	}
	m.saved = slices.Clone(j.have)
	return nil
}

// A meter measures the rate for Progress.
type meter struct {
	since time.Time
	bytes int64 // Fetched at since
	rate  int64
}

// progress tells the caller how far the download is.
func (j *job) progress() {
	if j.o.OnProgress == nil {
		return
	}
	now, m := time.Now(), &j.meter
	fetched, have := j.count.fetched.Load(), j.have.bytes()
	if m.since.IsZero() {
		m.since = now
	} else if d := now.Sub(m.since); d >= time.Second {
		m.rate = int64(float64(fetched-m.bytes) / d.Seconds())
		m.since, m.bytes = now, fetched
	}
	p := Progress{URI: j.shown, Done: have, Total: j.res.Size, Rate: m.rate}
	if m.rate > 0 {
		p.Left = time.Duration(float64(p.Total-p.Done) / float64(m.rate) * float64(time.Second)).Round(time.Second)
	}
	j.o.OnProgress(p)
}
