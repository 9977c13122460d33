// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package installtest

import (
	"encoding/json"

	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/verify"
)

// logJournal is an install.Journal in a file, as an Updater has one.
type logJournal struct {
	*durable.Log
	last install.Entry
}

type line struct {
	State  install.State
	Size   int64
	Digest string
}

func openJournal(dir install.Storage) (*logJournal, error) {
	l, err := durable.OpenLog(dir, "installtest", 1<<20)
	if err != nil {
		return nil, err
	}
	j := &logJournal{Log: l}
	recs, err := l.Records()
	if err != nil || len(recs) == 0 {
		return j, err
	}
	var e line
	if err := json.Unmarshal(recs[len(recs)-1], &e); err != nil {
		return j, err
	}
	d, err := verify.ParseDigest(e.Digest)
	j.last = install.Entry{State: e.State, Image: install.Image{Size: e.Size, Digest: d}}
	return j, err
}

func (j *logJournal) Load() (install.Entry, error) { return j.last, nil }

func (j *logJournal) Record(e install.Entry) error {
	b, err := json.Marshal(line{e.State, e.Image.Size, e.Image.Digest.String()})
	if err != nil {
		return err
	}
	if err := j.Append(b); err != nil {
		return err
	}
	j.last = e
	return nil
}
