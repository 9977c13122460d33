// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/author"
	"github.com/firmament-dev/firmament/verify"
)

// example0 is the first example of draft-ietf-suit-manifest-37: two identifiers, an image digest and size,
// five commands.
//
//go:embed testdata/example0.cbor
var example0 []byte

func manifestSuite(ctx context.Context, r *report) error {
	for _, part := range []func(context.Context, *report) error{decodes, opens, programs, interprets} {
		if err := part(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// decodes compares reading all of example 0 with what a general decoder takes for the two members of its outer map, which
// it leaves as byte strings.
func decodes(ctx context.Context, r *report) error {
	outer := example0[2:] // without the tag
	inspect := func(b []byte) error {
		_, err := manifest.InspectBytes(b)
		return err
	}
	if err := refusesFlips(example0, inspect, func(at int) bool { return at >= signatureStart && at < signatureEnd }); err != nil {
		return err
	}
	inspected, err := manifest.InspectBytes(example0)
	if err != nil {
		return err
	}
	timings, err := r.compare(ctx, "decode example 0", []side{
		{"cbor.Unmarshal: outer map alone, into map[any]any", func() error {
			var m map[any]any
			return cbor.Unmarshal(outer, &m)
		}},
		{"manifest.InspectBytes: copy, SHA-256, everything read and checked", func() error { return inspect(example0) }},
		{"verify.Sum: the SHA-256 in it", func() error {
			if verify.Sum(verify.SHA256, example0[manifestStart:]) == (verify.Digest{}) {
				return errors.New("no digest")
			}
			return nil
		}},
		{"Unverified.Envelope: everything in Go structs", func() error {
			inspected.Envelope()
			return nil
		}},
	})
	if err != nil {
		return err
	}
	r.notef("InspectBytes without the SHA-256: %.2f of the first", timings[1].ratio-timings[2].ratio)
	return nil
}

// Where example 0 has its parts.
const (
	signatureStart = 0x2f
	signatureEnd   = 0x79
	manifestStart  = 0x7a
)

// opens compares Open with the verification of its one signature, by the standard library and without the hashing of what
// is signed.
func opens(ctx context.Context, r *report) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte("message"))
	signature, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
	if err != nil {
		return err
	}
	u, err := manifest.InspectBytes(example0)
	if err != nil {
		return err
	}
	signed, keys, err := sign(ctx, u.Envelope(), private)
	if err != nil {
		return err
	}
	policy, err := verify.Threshold(1, "")
	if err != nil {
		return err
	}
	open := func(b []byte) error {
		_, err := manifest.OpenBytes(b, keys, policy)
		return err
	}
	if err := refusesFlips(signed, open, func(int) bool { return false }); err != nil {
		return err
	}
	public := &private.PublicKey
	_, err = r.compare(ctx, "open example 0, signed with ESP256", []side{
		{"ecdsa.VerifyASN1", func() error {
			if !ecdsa.VerifyASN1(public, sum[:], signature) {
				return errors.New("good signature refused")
			}
			return nil
		}},
		{"manifest.OpenBytes", func() error { return open(signed) }},
	})
	return err
}

// sign returns an envelope, signed with ESP256, and the key set that opens it.
func sign(ctx context.Context, e *manifest.Envelope, private *ecdsa.PrivateKey) ([]byte, *verify.KeySet, error) {
	signer, err := verify.NewSigner(private)
	if err != nil {
		return nil, nil, err
	}
	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public()})
	if err != nil {
		return nil, nil, err
	}
	e.Authentication = nil
	signed, err := author.Sign(ctx, e, signer)
	return signed, keys, err
}

// refusesFlips makes sure that what is measured looks at every byte, but those that are excepted: of what is not verified, only the
// form is looked at.
func refusesFlips(b []byte, read func([]byte) error, except func(at int) bool) error {
	if err := read(b); err != nil {
		return err
	}
	for at := range b {
		flipped := slices.Clone(b)
		flipped[at] ^= 1
		if err := read(flipped); err == nil && !except(at) {
			return fmt.Errorf("byte %d flipped: accepted", at)
		}
	}
	return nil
}
