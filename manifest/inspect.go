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
// showing and re-signing; nothing takes it to install anything. It holds its own copy of the envelope's bytes, is
// immutable, and is safe for concurrent use.
type Unverified struct {
	raw     []byte
	options *Options // not changed
	digest  digest
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
	own := make([]byte, len(b))
	copy(own, b)
	return o.inspect(own)
}

// inspect keeps b.
func (o *Options) inspect(b []byte) (*Unverified, error) {
	u := &Unverified{raw: b, options: o.keep()}
	d := decoder{o: u.options}
	if err := d.read(cborstream.New(b, envelopeLimits)); err != nil {
		return nil, err
	}
	u.digest = d.digest
	return u, nil
}

// Envelope returns the typed envelope, built anew each time: it belongs to the caller. Encoding it gives the bytes
// that were read.
func (u *Unverified) Envelope() *Envelope {
	e := &Envelope{Hash: u.digest.hash, Options: u.options.clone()}
	m, l := model(u.raw, u.options)
	e.Manifest, e.Payloads, e.Untagged = m, l.payloads, l.untagged
	for i, p := range e.Payloads {
		e.Payloads[i].Data = slices.Clone(p.Data)
	}
	_, blocks := l.blocks()
	e.Authentication = make([][]byte, len(blocks))
	for i, block := range blocks {
		e.Authentication[i] = slices.Clone(block)
	}
	return e
}

// Digest returns the manifest digest that the envelope states and has.
func (u *Unverified) Digest() verify.Digest { return u.digest.value() }
