// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import "time"

// A mark keeps the checkpoint during one call. Trouble with it never ends a download: it is remembered, and no
// more checkpoints are written.
type mark struct {
	at    *checkpoint // nil: none
	saved int64       // the offset it names
	err   error
	dead  bool // the sink failed: what it holds is unknown, so nothing more is promised
}

// open loads the checkpoint for the job's resource.
func (m *mark) open(j *job) {
	if j.o.Storage == nil || j.whole != nil {
		return
	}
	at, err := openCheckpoint(j.o, j.res)
	if err != nil {
		m.err = err
		return
	}
	m.at = at
	// A damaged record is an offset of zero; it can be written over.
	m.saved, j.payload.validator, _ = at.load()
}

// due saves when CheckpointEvery bytes are unsaved.
func (m *mark) due(j *job) error {
	if m.at == nil || j.off-m.saved < j.o.CheckpointEvery || j.off == j.res.Size {
		return nil
	}
	return m.save(j)
}

// save syncs the sink and then, never before, writes the checkpoint. An error is the sink's.
func (m *mark) save(j *job) error {
	if m.dead || j.off == 0 {
		return nil
	}
	if m.at != nil && m.saved == j.off {
		return nil
	}
	if err := j.sink.Sync(); err != nil {
		m.dead = true
		return sinkError("sync", j.off, err)
	}
	if m.at == nil {
		return nil
	}
	if err := m.at.store(j.off, j.payload.validator); err != nil {
		m.at, m.err = nil, err
		return nil
	}
	m.saved = j.off
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
	if m.since.IsZero() {
		m.since = now
	} else if d := now.Sub(m.since); d >= time.Second {
		m.rate = int64(float64(j.stats.Fetched-m.bytes) / d.Seconds())
		m.since, m.bytes = now, j.stats.Fetched
	}
	j.o.OnProgress(Progress{URI: j.shown, Done: j.off, Total: j.res.Size, Rate: m.rate})
}
