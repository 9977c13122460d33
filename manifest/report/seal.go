// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"context"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

const (
	tagSign1     = 18
	sign1Members = 4
)

// Seal signs r as SUIT_Report_COSE_Sign1_Tagged, with the report as the only payload.
//
// draft-ietf-suit-report-20, section 8.
func Seal(ctx context.Context, r *Report, signer verify.Signer, alg cose.Algorithm) ([]byte, error) {
	payload, err := r.Encode()
	if err != nil {
		return nil, err
	}
	block, err := cose.SignSign1(ctx, signer, alg, payload)
	if err != nil {
		return nil, fmt.Errorf("seal report: %w", err)
	}
	s, err := takeApart(block)
	if err != nil {
		return nil, err
	}
	s.payload = cborstream.AppendBytes(nil, payload)
	return s.join(), nil
}

// Open verifies a sealed report of at most MaxSize bytes with keys under policy, and reads it. Nothing in
// it is interpreted before that.
//
// Errors: those of Decode, verify.ErrPolicy without keys or policy, *verify.PolicyError if policy
// refuses.
func Open(b []byte, keys *verify.KeySet, policy verify.Policy) (*Report, error) {
	if keys.Len() == 0 || policy == nil {
		return nil, fmt.Errorf("open report without keys or without a policy: %w", verify.ErrPolicy)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("report of %d bytes, limit %d: %w", len(b), MaxSize, manifest.ErrLimit)
	}
	s, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	p := cborstream.New(s.payload, limits(MaxSize))
	payload, err := p.Bytes()
	if err != nil {
		return nil, fmt.Errorf("report without a payload: %w", err)
	}
	s.payload = cborstream.AppendNil(nil)
	sig, err := cose.VerifySign1(s.join(), payload, keys)
	sig.Err = err
	evidence := verify.Evidence{Signatures: []verify.Signature{sig}}
	if err := policy.Check(evidence); err != nil {
		return nil, err
	}
	if len(evidence.Keys("")) == 0 {
		return nil, &verify.PolicyError{Evidence: evidence, Reason: "no signature verified", Err: verify.ErrThreshold}
	}
	return Decode(payload)
}

// sign1 is a COSE_Sign1_Tagged, each part as it is encoded. The package cose has the payload apart
// from the structure; reports have it inside. What is signed is the same.
type sign1 struct{ protected, unprotected, payload, signature []byte }

func takeApart(b []byte) (*sign1, error) {
	s, err := readSign1(cborstream.New(b, limits(MaxSize)))
	if err != nil {
		return nil, fmt.Errorf("sealed report: %w", err)
	}
	return s, nil
}

func readSign1(p *cborstream.Parser) (*sign1, error) {
	tag, err := p.Tag()
	if err != nil {
		return nil, err
	}
	if tag != tagSign1 {
		return nil, p.Refuse(0, manifest.ErrUnsupported, "tag %d, expected %d", tag, tagSign1)
	}
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n != sign1Members {
		return nil, p.Refuse(at, manifest.ErrMalformed, "array of %d items", n)
	}
	var s sign1
	for _, part := range []*[]byte{&s.protected, &s.unprotected, &s.payload, &s.signature} {
		if *part, err = p.Raw(); err != nil {
			return nil, err
		}
	}
	return &s, p.Done()
}

func (s *sign1) join() []byte {
	head := cborstream.AppendArray(cborstream.AppendTag(nil, tagSign1), sign1Members)
	return bytes.Join([][]byte{head, s.protected, s.unprotected, s.payload, s.signature}, nil)
}
