// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"
	"time"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/verify"
)

// state is the record beside the metadata files: what must outlive the loss of any of them. It is stored as CBOR:
//
//	state  = [format: 1, time: int, root: uint, floor, keys: [* bstr], keys: [* bstr], seen / nil]
//	floor  = [timestamp: uint, snapshot: uint, targets: uint]
//	seen   = [remote: uint, version: bstr, digest: bstr]
//
// Time is in seconds since 1970; keys are the digests of the public keys of the timestamp role, then of the snapshot role.
type state struct {
	Time  time.Time // start of the last complete update
	Root  int64     // the newest root trusted
	Floor tuf.Floor
	Seen  *seen

	// Keys are the public keys of the timestamp and the snapshot role under which Floor and the files were accepted.
	Keys map[tuf.Role][]verify.Digest
}

const stateFormat = 1

var onlineRoles = []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot}

func (s state) encode() []byte {
	seconds := int64(0)
	if !s.Time.IsZero() {
		seconds = s.Time.Unix()
	}
	b := cborstream.AppendArray(nil, 7)
	for i, n := range []int64{stateFormat, seconds, s.Root, s.Floor.Timestamp, s.Floor.Snapshot, s.Floor.Targets} {
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
	if s.Seen == nil {
		return cborstream.AppendNil(b)
	}
	b = cborstream.AppendInt(cborstream.AppendArray(b, 3), int64(s.Seen.Remote))
	for _, text := range [][]byte{[]byte(s.Seen.Version), s.Seen.Timestamp.Bytes()} {
		b = cborstream.AppendBytes(b, text)
	}
	return b
}

// decodeState reads a record. One that another version of this package wrote, or that is no record at all, is an error: the checksum of the
// record held, so this is what somebody meant.
func decodeState(data []byte) (s state, err error) {
	r := stateReader{p: cborstream.New(data, cborstream.Limits{Size: durable.MaxRecord, Depth: 4, Items: durable.MaxRecord})}
	members := r.array()
	if format := r.uint(); r.err == nil && (members != 7 || format != stateFormat) {
		return s, fmt.Errorf("format %d expected, %d seen: written by another version", stateFormat, format)
	}
	if seconds := r.int(); seconds != 0 {
		s.Time = time.Unix(seconds, 0).UTC()
	}
	s.Root = r.uint()
	r.array()
	s.Floor = tuf.Floor{Timestamp: r.uint(), Snapshot: r.uint(), Targets: r.uint()}
	s.Keys = make(map[tuf.Role][]verify.Digest)
	for _, role := range onlineRoles {
		for range r.array() {
			s.Keys[role] = append(s.Keys[role], r.digest())
		}
	}
	if r.nil() {
		return s, r.done()
	}
	r.array()
	s.Seen = &seen{Remote: int(r.uint()), Version: string(item(&r, r.p.Bytes)), Timestamp: r.digest()}
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
