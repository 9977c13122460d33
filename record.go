// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package firmament

import (
	"bytes"
	"fmt"

	"github.com/firmament-dev/firmament/fetch"
	"github.com/firmament-dev/firmament/install"
	"github.com/firmament-dev/firmament/internal/cborstream"
)

// record is one entry of the journal: a deterministic CBOR map with these keys. A zero field is left out.
//
// The keys are frozen: a device that goes back to its other slot reads with an older program what a newer one wrote, and must not
// be without updates for it. What a later version adds are kinds, with whatever keys: an older one keeps such records as they are. If it must not
// go on without understanding one, the kind is critical or more.
type record struct {
	Kind     kind          // 1
	Sequence uint64        // 2
	Manifest string        // 3
	State    install.State // 4
	Size     int64         // 5
	Digest   string        // 6
	Step     []byte        // 7
	Reason   string        // 8
	ID       uint64        // 9
	Download               // 10 to 13

	raw []byte // if Kind is a later version's: the whole record, kept as it is
}

const (
	recordKind = iota + 1
	recordSequence
	recordManifest
	recordState
	recordSize
	recordDigest
	recordStep
	recordReason
	recordID
	recordWay
	recordNetwork
	recordReused
	recordFallback
)

// recordLimits bounds what a record may hold: a step of the processor is the largest part.
var recordLimits = cborstream.Limits{Size: 4096, Depth: 8, Items: 256}

func (r *record) append(b []byte) []byte {
	if r.raw != nil {
		return append(b, r.raw...)
	}
	var body []byte
	n := 0
	number := func(key, v uint64) {
		if v != 0 {
			body = cborstream.AppendUint(cborstream.AppendUint(body, key), v)
			n++
		}
	}
	text := func(key uint64, v string) {
		if v != "" {
			body = cborstream.AppendText(cborstream.AppendUint(body, key), v)
			n++
		}
	}
	number(recordKind, uint64(r.Kind))
	number(recordSequence, r.Sequence)
	text(recordManifest, r.Manifest)
	number(recordState, uint64(r.State))
	number(recordSize, uint64(r.Size))
	text(recordDigest, r.Digest)
	if len(r.Step) > 0 {
		body = cborstream.AppendBytes(cborstream.AppendUint(body, recordStep), r.Step)
		n++
	}
	text(recordReason, r.Reason)
	number(recordID, r.ID)
	number(recordWay, uint64(r.Way))
	number(recordNetwork, uint64(r.Network))
	number(recordReused, uint64(r.Reused))
	text(recordFallback, r.Fallback)
	return append(cborstream.AppendMap(b, n), body...)
}

// parseRecord reads exactly what append writes: one that this version knows with keys that it knows, or another one.
func parseRecord(b []byte) (*record, error) {
	if k := laterKind(b); k != 0 {
		return &record{Kind: k, raw: bytes.Clone(b)}, nil
	}
	r := &record{}
	p := cborstream.New(b, recordLimits)
	fields, err := p.Map()
	if err != nil {
		return r, err
	}
	for fields.Next(p) {
		key, err := p.Uint()
		if err != nil {
			return r, err
		}
		if err := r.parseField(p, key); err != nil {
			return r, fmt.Errorf("key %d: %w", key, err)
		}
	}
	if err := p.Done(); err != nil {
		return r, err
	}
	if !bytes.Equal(r.append(nil), b) {
		return r, fmt.Errorf("a field is there and zero: %w", ErrJournal)
	}
	return r, nil
}

// laterKind returns the kind of a record that a later version wrote and this one can do without, else 0.
func laterKind(b []byte) kind {
	p := cborstream.New(b, recordLimits)
	if _, err := p.Raw(); err != nil || p.Done() != nil {
		return 0
	}
	p = cborstream.New(b, recordLimits)
	if _, err := p.Map(); err != nil {
		return 0
	}
	if key, err := p.Uint(); err != nil || key != recordKind {
		return 0
	}
	k, err := p.Uint()
	if err != nil || k <= uint64(kindReport) || k >= uint64(kindCritical) {
		return 0
	}
	return kind(k)
}

func (r *record) parseField(p *cborstream.Parser, key uint64) (err error) {
	var v uint64
	switch key {
	case recordSequence:
		r.Sequence, err = p.Uint()
	case recordManifest:
		r.Manifest, err = p.Text()
	case recordDigest:
		r.Digest, err = p.Text()
	case recordStep:
		r.Step, err = p.Bytes()
	case recordReason:
		r.Reason, err = p.Text()
	case recordID:
		r.ID, err = p.Uint()
	case recordKind:
		v, err = p.Uint()
		r.Kind = kind(v)
		if v > uint64(kindReport) {
			err = fmt.Errorf("kind %d is not known to this version", v)
		}
	case recordState:
		v, err = p.Uint()
		r.State = install.State(v)
		if v > uint64(install.Updated) {
			err = fmt.Errorf("state %d is not known to this version", v)
		}
	case recordSize:
		r.Size, err = parseSize(p)
	case recordWay:
		v, err = p.Uint()
		if r.Way = fetch.Way(v); v > 0xff {
			err = fmt.Errorf("way %d is out of range", v)
		}
	case recordNetwork:
		r.Network, err = parseSize(p)
	case recordReused:
		r.Reused, err = parseSize(p)
	case recordFallback:
		r.Fallback, err = p.Text()
	default:
		err = fmt.Errorf("not known to this version")
	}
	return err
}

func parseSize(p *cborstream.Parser) (int64, error) {
	v, err := p.Uint()
	if int64(v) < 0 && err == nil {
		err = fmt.Errorf("size %d is out of range", v)
	}
	return int64(v), err
}
