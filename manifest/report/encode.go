// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
)

// Keys of SUIT_Report, in the order of their encoding, and of what is in it.
const (
	keyNonce        = 2
	keyRecords      = 3
	keyResult       = 4
	keyResultCode   = 5
	keyResultRecord = 6
	keyResultReason = 7
	keyCapabilities = 8
	keyReference    = 99

	keySystemComponent = 0

	recordMembers = 5 // without extensions
)

// Encode returns the one deterministic encoding of r. It refuses what Decode would
// refuse, with the same errors.
func (r *Report) Encode() ([]byte, error) {
	b := r.append(nil)
	if _, err := Decode(b); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b, nil
}

func (r *Report) append(b []byte) []byte {
	members := 3
	if r.Nonce != nil {
		members++
	}
	if r.Capabilities != nil {
		members++
	}
	b = cborstream.AppendMap(b, members)
	if r.Nonce != nil {
		b = cborstream.AppendBytes(cborstream.AppendUint(b, keyNonce), r.Nonce)
	}
	b = cborstream.AppendArray(cborstream.AppendUint(b, keyRecords), len(r.Records))
	for _, e := range r.Records {
		b = e.append(b)
	}
	b = r.Result.append(cborstream.AppendUint(b, keyResult))
	if r.Capabilities != nil {
		b = r.Capabilities.append(cborstream.AppendUint(b, keyCapabilities))
	}
	b = cborstream.AppendArray(cborstream.AppendUint(b, keyReference), 2)
	b = cborstream.AppendText(b, r.URI)
	b = cborstream.AppendArray(b, 2)
	b = cborstream.AppendInt(b, int64(r.Digest.Hash()))
	return cborstream.AppendBytes(b, r.Digest.Bytes())
}

func (e Entry) append(b []byte) []byte {
	switch {
	case e.Record != nil:
		return e.Record.append(b)
	case e.Claims != nil:
		return e.Claims.append(b)
	}
	return cborstream.AppendNil(b) // refused by Decode
}

func (r *Record) append(b []byte) []byte { return r.appendWith(b, r.Success) }

// appendWith appends r, with a last member that is Success if flagged.
func (r *Record) appendWith(b []byte, flagged bool) []byte {
	members := recordMembers
	if r.Path != nil || flagged {
		members++
	}
	if flagged {
		members++
	}
	b = cborstream.AppendArray(b, members)
	b = appendInts(b, r.Manifest)
	b = cborstream.AppendInt(b, int64(r.Section))
	b = cborstream.AppendInt(b, int64(r.Offset))
	b = cborstream.AppendInt(b, int64(r.Component))
	b = append(b, r.Properties.Encode()...)
	if r.Path != nil || flagged {
		b = appendInts(b, r.Path)
	}
	if flagged {
		b = cborstream.AppendBool(b, r.Success)
	}
	return b
}

// append writes the parameters with the component among them, under a key that is less
// than all of theirs.
func (c *Claims) append(b []byte) []byte {
	n := 0
	params := c.Properties.Encode()
	if p := cborstream.New(params, limits(len(params))); len(params) > 0 {
		m, _ := p.Map()
		n = m.Len()
	}
	b = cborstream.AppendMap(b, n+1)
	b = appendID(cborstream.AppendUint(b, keySystemComponent), c.Component)
	return append(b, params[len(cborstream.AppendMap(nil, n)):]...)
}

func (r *Result) append(b []byte) []byte {
	if r.Record == nil {
		return cborstream.AppendBool(b, true)
	}
	b = cborstream.AppendMap(b, 3)
	b = cborstream.AppendInt(cborstream.AppendUint(b, keyResultCode), r.Code)
	b = r.Record.appendWith(cborstream.AppendUint(b, keyResultRecord), r.Foreseen)
	return cborstream.AppendInt(cborstream.AppendUint(b, keyResultReason), int64(r.Reason))
}

// lists returns the lists of integers, those from key 2 on.
func (c *Capabilities) lists() [9]*[]int64 {
	commands, parameters := ints(c.Commands), ints(c.Parameters)
	return [...]*[]int64{&commands, &parameters, &c.Algorithms, &c.Envelope, &c.Manifest, &c.Common, &c.Text, &c.ComponentText, &c.Dependencies}
}

func ints[T ~int64](list []T) []int64 {
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = int64(v)
	}
	return out
}

func (c *Capabilities) append(b []byte) []byte {
	members, pairs := 1, cborstream.AppendArray(cborstream.AppendUint(nil, 1), len(c.Components))
	for _, k := range c.Components {
		n := len(k.ID)
		if k.Below {
			n++
		}
		pairs = cborstream.AppendArray(pairs, n)
		for _, part := range k.ID {
			pairs = cborstream.AppendBytes(pairs, part)
		}
		if k.Below {
			pairs = cborstream.AppendBool(pairs, true)
		}
	}
	for i, list := range c.lists() {
		if len(*list) == 0 {
			continue
		}
		members++
		pairs = cborstream.AppendArray(cborstream.AppendUint(pairs, uint64(i+2)), len(*list))
		for _, v := range *list {
			pairs = cborstream.AppendInt(pairs, v)
		}
	}
	return append(cborstream.AppendMap(b, members), pairs...)
}

func appendInts(b []byte, list []int) []byte {
	b = cborstream.AppendArray(b, len(list))
	for _, v := range list {
		b = cborstream.AppendInt(b, int64(v))
	}
	return b
}

func appendID(b []byte, id manifest.ComponentID) []byte {
	b = cborstream.AppendArray(b, len(id))
	for _, part := range id {
		b = cborstream.AppendBytes(b, part)
	}
	return b
}

func limits(size int) cborstream.Limits {
	return cborstream.Limits{Size: size, Depth: manifest.MaxDepth, Items: 64 * MaxRecords}
}
