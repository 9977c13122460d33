// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// state is the record beside the metadata files: what must outlive the loss of any of them. It is stored as CBOR:
//
//	state  = [format: uint, time: int, root: uint, floor, keys: [* bstr], keys: [* bstr], * any]
//	floor  = [timestamp: uint, snapshot: uint, targets: uint]
//
// Time is in seconds since 1970; keys are the SHA-256 digests of the public keys of the timestamp role, then of the snapshot role. In format 1 one
// more member follows:
//
//	seen   = [remote: uint, version: bstr, digest: bstr] / nil
//
// The first six members never change, in no later format: they are the floors, and what is needed to keep them right when a root revokes keys. So a device that
// fell back to the slot with an older client goes on from the floors that the newer one reached. What follows them belongs to the format. An older
// client ignores it, moves the first six on, and writes the rest back as it was, under its format; it says nothing of its own there. A later
// format may therefore put there what stays true while the first six move on, such as further floors, beside the root for which they hold, or what is
// compared with something before it is used, as seen is.
type state struct {
	Time  time.Time // start of the last complete update
	Root  int64     // the newest root trusted
	Floor tuf.Floor
	Seen  *seen

	// Keys are the public keys of the timestamp and the snapshot role under which Floor and the files were accepted.
	Keys map[tuf.Role][]verify.Digest

	later *later // nil if the record is of this format
}

// later is what a record of a later format has of its own.
type later struct {
	format  int64
	members int    // of the record
	rest    []byte // those after the first six, as they were; they need not be CBOR that is understood here
}

const (
	stateFormat  = 1
	stateMembers = 7
	frozen       = 6 // members that every format has
)

var onlineRoles = []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot}

func (s state) encode() []byte {
	if l := s.later; l != nil {
		if b := append(s.floors(l.format, l.members), l.rest...); len(b) <= durable.MaxRecord {
			return b
		}
	}
	b := s.floors(stateFormat, stateMembers)
	if s.Seen == nil {
		return cborstream.AppendNil(b)
	}
	b = cborstream.AppendInt(cborstream.AppendArray(b, 3), int64(s.Seen.Remote))
	for _, text := range [][]byte{[]byte(s.Seen.Version), s.Seen.Timestamp.Bytes()} {
		b = cborstream.AppendBytes(b, text)
	}
	return b
}

// floors encodes the members that every format has.
func (s state) floors(format int64, members int) []byte {
	seconds := int64(0)
	if !s.Time.IsZero() {
		seconds = s.Time.Unix()
	}
	b := cborstream.AppendArray(nil, members)
	for i, n := range []int64{format, seconds, s.Root, s.Floor.Timestamp, s.Floor.Snapshot, s.Floor.Targets} {
		if i == 3 {
			b = cborstream.AppendArray(b, 3)
		}
		b = cborstream.AppendInt(b, n)
	}
	for _, role := range onlineRoles {
		b = cborstream.AppendArray(b, len(s.Keys[role]))
		for _, key := range s.Keys[role] {
			b = cborstream.AppendBytes(b, key.Bytes())
		}
	}
	return b
}

// decodeState reads a record. One that no version of this package can have written is an error: the checksum of the record held, so this is
// what somebody meant.
func decodeState(data []byte) (s state, err error) {
	r := stateReader{p: cborstream.New(data, cborstream.Limits{Size: durable.MaxRecord, Depth: 4, Items: durable.MaxRecord})}
	members, format := r.array(), r.uint()
	if r.err == nil && (format < stateFormat || members < frozen || format == stateFormat && members != stateMembers) {
		return s, fmt.Errorf("format %d with %d members: no version of this package writes that", format, members)
	}
	if seconds := r.int(); seconds != 0 {
		s.Time = time.Unix(seconds, 0).UTC()
	}
	s.Root = r.uint()
	r.tuple(3)
	s.Floor = tuf.Floor{Timestamp: r.uint(), Snapshot: r.uint(), Targets: r.uint()}
	r.p.End()
	s.Keys = make(map[tuf.Role][]verify.Digest)
	for _, role := range onlineRoles {
		for range r.array() {
			s.Keys[role] = append(s.Keys[role], r.digest())
		}
		r.p.End()
	}
	if format > stateFormat {
		if r.err == nil {
			s.later = &later{format, members, bytes.Clone(data[r.p.Offset():])}
		}
		return s, r.err
	}
	if r.nil() {
		r.p.End()
		return s, r.done()
	}
	r.tuple(3)
	s.Seen = &seen{Remote: int(r.uint()), Version: string(item(&r, r.p.Bytes)), Timestamp: r.digest()}
	r.p.End()
	r.p.End() // of the record
	return s, r.done()
}

// stateReader reads items; after the first that is not there, everything is empty.
type stateReader struct {
	p   *cborstream.Parser
	err error
}

func item[T any](r *stateReader, read func() (T, error)) (v T) {
	if r.err == nil {
		v, r.err = read()
	}
	return v
}

func (r *stateReader) array() int { return item(r, r.p.Array) }

// tuple begins an array of n items.
func (r *stateReader) tuple(n int) {
	if seen := r.array(); r.err == nil && seen != n {
		r.err = fmt.Errorf("array of %d items, expected %d: %w", seen, n, cborstream.ErrMalformed)
	}
}

func (r *stateReader) int() int64 { return item(r, r.p.Int) }

func (r *stateReader) uint() int64 { return int64(item(r, r.p.Uint) & (1<<63 - 1)) }

func (r *stateReader) digest() verify.Digest {
	return item(r, func() (verify.Digest, error) {
		b, err := r.p.Bytes()
		if err != nil {
			return verify.Digest{}, err
		}
		return verify.NewDigest(verify.SHA256, b)
	})
}

func (r *stateReader) nil() bool {
	return item(r, func() (bool, error) {
		kind, err := r.p.Peek()
		if err != nil || kind != cborstream.Nil {
			return false, err
		}
		return true, r.p.Nil()
	})
}

func (r *stateReader) done() error {
	if r.err == nil {
		r.err = r.p.Done()
	}
	return r.err
}
