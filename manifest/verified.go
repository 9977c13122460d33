// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"

	"github.com/firmament-dev/firmament/verify"
)

// Verified is a manifest whose authentication a policy has accepted. Only Open
// and OpenBytes make one. It holds its own copy of the envelope's bytes and nothing else of any size, is immutable,
// and is safe for concurrent use.
type Verified struct {
	raw      []byte
	options  *Options // not changed
	digest   verify.Digest
	evidence verify.Evidence
	payloads []Payload
	sequence uint64
	attached []attached
}

// attached is a severable member that was put back.
type attached struct {
	member  Section
	content []byte
}

// Manifest returns the typed manifest, built anew each time: it belongs to the caller, and changing it changes
// nothing that is verified. It costs about as much as Open without its signatures.
func (v *Verified) Manifest() Manifest {
	var m Manifest
	model(&m, v.raw, v.options)
	for _, a := range v.attached {
		if err := m.attach(a.member, a.content, *v.options); err != nil {
			panic(fmt.Sprintf("manifest: what was attached cannot be any more: %v", err))
		}
	}
	return m
}

// Digest is the manifest digest that was signed: over the encoded manifest,
// its byte string head included. It identifies the manifest; signatures do not.
func (v *Verified) Digest() verify.Digest { return v.digest }

// Options are those that the envelope was opened with: what package processor may
// relax, and which custom commands the manifest may have.
func (v *Verified) Options() Options { return v.options.clone() }

// SequenceNumber is the manifest's sequence number.
func (v *Verified) SequenceNumber() uint64 { return v.sequence }

// Evidence is what the policy has seen: one entry for each authentication
// block that could be checked.
func (v *Verified) Evidence() verify.Evidence {
	return verify.Evidence{Signatures: slices.Clone(v.evidence.Signatures)}
}

// Section returns the command sequence of s as in Manifest; see Manifest.Section.
func (v *Verified) Section(s Section) (Sequence, bool) {
	m := v.Manifest()
	return m.Section(s)
}

// IntegratedPayload returns a copy of the payload that the envelope carries
// under key, a URI such as "#image". It is not covered by the signature:
// whoever uses it compares it with the image digest of the signed manifest.
//
// draft-ietf-suit-manifest-37, section 5.5.
func (v *Verified) IntegratedPayload(key string) ([]byte, bool) {
	for _, p := range v.payloads {
		if p.Key == key {
			return slices.Clone(p.Data), true
		}
	}
	return nil, false
}

// Payload is an integrated payload: bytes that the envelope carries under a
// URI, outside the signed manifest.
type Payload struct {
	Key  string // printable ASCII, at most MaxURILength bytes
	Data []byte
}
