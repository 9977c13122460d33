// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"io"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Unverified is an envelope that has been read, but not authenticated. It is for
// showing and re-signing; nothing takes it to install anything.
type Unverified struct {
	envelope Envelope
	digest   verify.Digest
}

// Inspect reads a SUIT_Envelope of exactly size bytes from r by all the rules of Open
// but the signatures: the manifest has its digest, which proves nothing,
// because whoever writes a manifest writes the digest. Errors as Open's.
func Inspect(r io.ReaderAt, size int64) (*Unverified, error) {
	return Options{}.Inspect(r, size)
}

// Inspect is the function Inspect with o's relaxations.
func (o Options) Inspect(r io.ReaderAt, size int64) (*Unverified, error) {
	b, err := read(r, size)
	if err != nil {
		return nil, err
	}
	return o.inspect(b)
}

// InspectBytes is Inspect for an envelope in memory. It copies b.
func InspectBytes(b []byte) (*Unverified, error) {
	return Options{}.InspectBytes(b)
}

// InspectBytes is the function InspectBytes with o's relaxations.
func (o Options) InspectBytes(b []byte) (*Unverified, error) {
	if err := checkSize(int64(len(b))); err != nil {
		return nil, err
	}
	return o.inspect(slices.Clone(b))
}

// inspected is one allocation for what most envelopes need.
type inspected struct {
	u    Unverified
	room room
}

// inspect keeps b.
func (o Options) inspect(b []byte) (*Unverified, error) {
	all := new(inspected)
	u := &all.u
	u.envelope.Options = o
	p := cborstream.New(b, envelopeLimits)
	d := decoder{m: &u.envelope.Manifest, o: &u.envelope.Options}
	d.use(&all.room)
	if err := d.takeApart(p, d.o); err != nil {
		return nil, err
	}
	if err := d.readManifest(p); err != nil {
		return nil, err
	}
	u.digest = d.digest
	u.envelope.Hash, u.envelope.Authentication, u.envelope.Payloads = d.digest.Hash(), d.blocks, d.payloads
	u.envelope.Untagged = d.untagged
	return u, nil
}

// Envelope returns a deep copy of the typed envelope. Encoding it gives the bytes
// that were read.
func (u *Unverified) Envelope() *Envelope {
	e := u.envelope
	e.Manifest = u.envelope.Manifest.clone()
	e.Authentication = make([][]byte, len(u.envelope.Authentication))
	for i, block := range u.envelope.Authentication {
		e.Authentication[i] = slices.Clone(block)
	}
	e.Payloads = slices.Clone(u.envelope.Payloads)
	for i := range e.Payloads {
		e.Payloads[i].Data = slices.Clone(e.Payloads[i].Data)
	}
	return &e
}

// Digest returns the manifest digest that the envelope states and has.
func (u *Unverified) Digest() verify.Digest { return u.digest }
