// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
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
}

// Inspect reads a SUIT_Envelope of exactly size bytes from r by all the rules of Open
// but the signatures: the manifest has its digest, which proves nothing,
// because whoever writes a manifest writes the digest. Errors as Open's.
func Inspect(r io.ReaderAt, size int64) (*Unverified, error) {
	return Options{}.Inspect(r, size)
}

// Inspect is the function Inspect with o's relaxations.
func (o Options) Inspect(r io.ReaderAt, size int64) (*Unverified, error) {
	b, err := o.read(r, size)
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
	if err := o.checkSize(int64(len(b))); err != nil {
		return nil, err
	}
	own := make([]byte, len(b))
	copy(own, b)
	return o.inspect(own)
}

// inspect keeps b.
func (o *Options) inspect(b []byte) (*Unverified, error) {
	d := decoder{o: o.keep()}
	if err := d.read(cborstream.New(b, o.limits())); err != nil {
		return nil, err
	}
	return &Unverified{b, d.o}, nil
}

// Envelope returns the typed envelope, built anew each time: it belongs to the caller. Encoding it gives the bytes
// that were read.
func (u *Unverified) Envelope() *Envelope {
	e := &Envelope{Options: u.options.clone()}
	l := model(&e.Manifest, u.raw, u.options)
	e.Hash, e.Payloads, e.Untagged = l.digest.hash, l.payloads, l.untagged
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
func (u *Unverified) Digest() verify.Digest {
	l := layers{authentic: true}
	if err := l.takeApart(cborstream.New(u.raw, u.options.limits()), u.options.Compat); err != nil {
		panic(fmt.Sprintf("manifest: an envelope that was good is not any more: %v", err))
	}
	return l.digest.value()
}
