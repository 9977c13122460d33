// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package author builds and signs SUIT envelopes: the side of the firmware's
// author, draft-ietf-suit-manifest-37, section 7.
//
// There are three ways to a manifest: AB turns a release for a device with two slots into the
// commands of its manifest; a Builder has the templates of the specifications one by one, for
// several components and dependencies; ParseDescription reads JSON. Sign authenticates it, or
// several people do, each on their own machine: ToSign, Block, Attach, Missing. Revert makes the
// release that takes another one back. What these functions return is what manifest.Open
// accepts: all read their own result back before they return it.
//
// Payloads are encrypted by cose.Encrypt, for any number of recipients; the encryption info it
// returns goes into the manifest as a parameter.
//
// The author's keys are the root of what devices believe. They sign the
// encoded digest of the manifest and nothing else; a verify.Signer can keep them in a
// token. Rotation is a matter of the key set that devices are provisioned with.
package author

import (
	"fmt"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// What each command adds to the device's report, as in the specification's
// examples.
const (
	reportAlways   = manifest.RecordOnSuccess | manifest.RecordOnFailure | manifest.SysinfoOnSuccess | manifest.SysinfoOnFailure
	reportSlot     = manifest.RecordOnSuccess | manifest.SysinfoOnSuccess
	reportFailures = manifest.RecordOnFailure
)

// Image is one payload: where it is and what it must be.
type Image struct {
	URI    string              // as manifest.Parameters.URI
	Digest verify.Digest       // of the whole image
	Size   int64               // in bytes, at least 1
	Chunks *manifest.ChunkInfo // chunk digests; nil if there are none
}

// AB is a release for a device with one component in two slots. The device
// installs the image for the slot that it does not run from; if one image
// runs from either slot, both are the same.
//
// The manifest is that of example 3 of the specification: shared has the
// identifiers and, by slot, digest and size; install has, by slot, the URI, then fetch and
// image-match; validate has image-match.
//
// draft-ietf-suit-manifest-37, sections 7.8 and B.4.
type AB struct {
	VendorID manifest.UUID
	ClassID  manifest.UUID
	DeviceID *manifest.UUID // only this one device; nil for the whole class

	// SequenceNumber must grow with every release, and leave room for the next:
	// the largest of all is refused.
	SequenceNumber uint64

	ReferenceURI string // as in manifest.Manifest
	Component    manifest.ComponentID
	Slots        [2]Image // for slot 0 and slot 1

	// Invoke adds an invoke section, for devices that start the image by it.
	Invoke bool
}

// Build returns the envelope, unsigned.
//
// Errors: manifest.ErrMalformed for a field that is missing or out of range,
// manifest.ErrSequence for the largest sequence number, and those of
// manifest.Envelope.Encode.
func (t AB) Build() (*manifest.Envelope, error) {
	e, err := t.build()
	if err != nil {
		return nil, fmt.Errorf("a/b manifest: %w", err)
	}
	if _, err := e.Encode(); err != nil {
		return nil, fmt.Errorf("a/b manifest: %w", err)
	}
	return e, nil
}

func (t AB) build() (*manifest.Envelope, error) {
	var none manifest.UUID
	if t.VendorID == none || t.ClassID == none || (t.DeviceID != nil && *t.DeviceID == none) {
		return nil, fmt.Errorf("%w: vendor, class or device identifier is zero", manifest.ErrMalformed)
	}
	if err := checkSequenceNumber(t.SequenceNumber); err != nil {
		return nil, err
	}
	var what, where []manifest.Sequence // by slot
	for slot, image := range t.Slots {
		digest, uri, err := image.parameters()
		if err != nil {
			return nil, fmt.Errorf("image for slot %d: %w", slot, err)
		}
		what = append(what, inSlot(uint64(slot), digest))
		where = append(where, inSlot(uint64(slot), uri))
	}
	m := manifest.Manifest{
		SequenceNumber: t.SequenceNumber,
		ReferenceURI:   t.ReferenceURI,
		Components:     []manifest.ComponentID{t.Component},
		Shared:         t.shared(what),
		Validate:       manifest.Sequence{imageMatch},
		Install: manifest.SeverableSequence{Sequence: manifest.Sequence{
			{Code: manifest.DirectiveTryEach, Sequences: where},
			{Code: manifest.DirectiveFetch, Policy: reportFailures},
			imageMatch,
		}},
	}
	if t.Invoke {
		m.Invoke = manifest.Sequence{{Code: manifest.DirectiveInvoke, Policy: reportFailures}}
	}
	return &manifest.Envelope{Manifest: m}, nil
}

// shared sets the identifiers, selects by slot, and checks the identifiers.
func (t AB) shared(bySlot []manifest.Sequence) manifest.Sequence {
	seq := manifest.Sequence{
		override(&manifest.Parameters{VendorID: &t.VendorID, ClassID: &t.ClassID, DeviceID: t.DeviceID}),
		{Code: manifest.DirectiveTryEach, Sequences: bySlot},
		{Code: manifest.ConditionVendorID, Policy: reportAlways},
		{Code: manifest.ConditionClassID, Policy: reportAlways},
	}
	if t.DeviceID != nil {
		seq = append(seq, manifest.Command{Code: manifest.ConditionDeviceID, Policy: reportAlways})
	}
	return seq
}

var imageMatch = manifest.Command{Code: manifest.ConditionImageMatch, Policy: reportAlways}

// inSlot is an alternative that sets params if the image is meant for slot.
func inSlot(slot uint64, params *manifest.Parameters) manifest.Sequence {
	return manifest.Sequence{
		override(&manifest.Parameters{Slot: &slot}),
		{Code: manifest.ConditionComponentSlot, Policy: reportSlot},
		override(params),
	}
}

func override(params *manifest.Parameters) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveOverrideParameters, Parameters: params}
}

// parameters returns what the image must be, and where it is.
func (i Image) parameters() (what, where *manifest.Parameters, err error) {
	if i.Digest.IsZero() {
		return nil, nil, fmt.Errorf("%w: no digest", manifest.ErrMalformed)
	}
	if i.Size < 1 {
		return nil, nil, fmt.Errorf("%w: size %d, expected at least 1", manifest.ErrMalformed, i.Size)
	}
	size := uint64(i.Size)
	what = &manifest.Parameters{ImageDigest: &i.Digest, ImageSize: &size}
	where = &manifest.Parameters{URI: &i.URI}
	if i.Chunks != nil {
		if where.FetchArguments, err = i.Chunks.Encode(); err != nil {
			return nil, nil, err
		}
	}
	return what, where, nil
}
