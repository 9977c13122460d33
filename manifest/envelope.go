// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Envelope is SUIT_Envelope, typed, for those who write one (package
// manifest/author) and for those who look into one without trusting it
// (Inspect). An Envelope proves nothing; only Open does.
//
// draft-ietf-suit-manifest-37, section 8.2.
type Envelope struct {
	Manifest Manifest

	// Hash is the algorithm of the manifest digest. Zero means verify.SHA256.
	Hash verify.Hash

	// Authentication has the authentication blocks, each a tagged COSE object
	// over SignedBytes; at most MaxAuthentications.
	Authentication [][]byte

	// Payloads are the integrated payloads, in any order, no two with one key;
	// at most MaxPayloads.
	Payloads []Payload

	// Untagged leaves out tag 107, which needs CompatUntagged.
	Untagged bool

	// Options are what the envelope makes use of. Encode refuses what Open with the
	// same Options would refuse.
	Options Options
}

// Encode returns the one deterministic encoding of e.
//
// It refuses what Options.Inspect would refuse to read, with the same errors, and
// Commands that have an argument for another code than theirs, with ErrCommand. A
// severable sequence that is present must have its digest, or ErrDigest.
func (e *Envelope) Encode() ([]byte, error) {
	signed, encoded, err := e.encodeManifest()
	if err != nil {
		return nil, err
	}
	auth := cborstream.AppendArray(nil, 1+len(e.Authentication))
	auth = cborstream.AppendBytes(auth, signed)
	for _, block := range e.Authentication {
		auth = cborstream.AppendBytes(auth, block)
	}

	members, err := e.Manifest.encodeSeverables()
	if err != nil {
		return nil, err
	}
	pairs := []pair{
		{cborstream.AppendInt(nil, envelopeAuthentication), cborstream.AppendBytes(nil, auth)},
		{cborstream.AppendInt(nil, envelopeManifest), encoded},
	}
	for _, s := range members {
		if s.digest != nil && s.content != nil {
			pairs = append(pairs, pair{cborstream.AppendInt(nil, s.key), cborstream.AppendBytes(nil, s.content)})
		}
	}
	for _, p := range e.Payloads {
		pairs = append(pairs, pair{cborstream.AppendText(nil, p.Key), cborstream.AppendBytes(nil, p.Data)})
	}
	var b []byte
	if !e.Untagged {
		b = cborstream.AppendTag(nil, tagEnvelope)
	}
	b = appendPairs(b, pairs)
	if _, err := e.Options.InspectBytes(b); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b, nil
}

// SignedBytes returns what authentication blocks are computed over, as their
// detached payload: the encoded SUIT_Digest of the manifest. Errors as Encode.
func (e *Envelope) SignedBytes() ([]byte, error) {
	signed, _, err := e.encodeManifest()
	return signed, err
}

// Digest returns the manifest digest. Errors as Encode.
func (e *Envelope) Digest() (verify.Digest, error) {
	_, encoded, err := e.encodeManifest()
	if err != nil {
		return verify.Digest{}, err
	}
	return verify.Sum(e.hash(), encoded), nil
}

func (e *Envelope) hash() verify.Hash {
	if e.Hash == 0 {
		return verify.SHA256
	}
	return e.Hash
}

// encodeManifest returns the encoded digest, and the manifest as byte string.
func (e *Envelope) encodeManifest() (signed, encoded []byte, err error) {
	if !e.hash().Valid() {
		return nil, nil, fmt.Errorf("manifest digest with %v: %w", e.hash(), verify.ErrAlgorithm)
	}
	m, err := e.Manifest.encode()
	if err != nil {
		return nil, nil, err
	}
	encoded = cborstream.AppendBytes(nil, m)
	return appendDigest(nil, verify.Sum(e.hash(), encoded)), encoded, nil
}
