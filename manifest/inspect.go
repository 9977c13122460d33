// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"io"
	"slices"

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
	b, err := read(r, size)
	if err != nil {
		return nil, err
	}
	return inspect(b)
}

// InspectBytes is Inspect for an envelope in memory. It copies b.
func InspectBytes(b []byte) (*Unverified, error) {
	if err := checkSize(int64(len(b))); err != nil {
		return nil, err
	}
	return inspect(slices.Clone(b))
}

// inspect keeps b.
func inspect(b []byte) (*Unverified, error) {
	l, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(l)
	if err != nil {
		return nil, err
	}
	e := Envelope{Manifest: m, Hash: l.digest.Hash(), Authentication: l.blocks, Payloads: l.payloads}
	return &Unverified{envelope: e, digest: l.digest}, nil
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
