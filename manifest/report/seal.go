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
	tagMac0      = 17
	tagSign1     = 18
	blockMembers = 4
)

// Sealer says how reports are protected: by a signature or by a MAC, and encrypted below that if a content key is given.
// Exactly one of Signer and Macer is set.
type Sealer struct {
	Signer    verify.Signer  // the device's key
	Algorithm cose.Algorithm // of Signer

	Macer verify.Macer // a secret shared with the receiver
	KID   []byte       // names the Macer's; optional

	ContentKey *cose.ContentKey // shared with the receiver; nil: the report can be read by everybody
}

// Seal returns the report as SUIT_Report_COSE_Sign1_Tagged or SUIT_Report_COSE_MAC0_Tagged, with SUIT_Report or
// SUIT_Report_COSE_Encrypt0 as the only payload. Errors: those of Encode, of cose.SignSign1 and
// cose.MakeMac0; verify.ErrKeyUnknown without signer and MAC, or with both.
//
// draft-ietf-suit-report-20, section 8.
func (s Sealer) Seal(ctx context.Context, r *Report) ([]byte, error) {
	payload, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if s.ContentKey != nil {
		if payload, err = s.ContentKey.Encrypt0(cborstream.AppendBytes(nil, payload)); err != nil {
			return nil, fmt.Errorf("encrypt report: %w", err)
		}
	}
	var b []byte
	switch {
	case (s.Signer == nil) == (s.Macer == nil):
		err = fmt.Errorf("either a signer or a macer expected: %w", verify.ErrKeyUnknown)
	case s.Signer != nil:
		b, err = cose.SignSign1(ctx, s.Signer, s.Algorithm, payload)
	default:
		b, err = cose.MakeMac0(ctx, s.Macer, s.KID, payload)
	}
	if err != nil {
		return nil, fmt.Errorf("seal report: %w", err)
	}
	m, err := takeApart(b)
	if err != nil {
		return nil, err
	}
	m.payload = cborstream.AppendBytes(nil, payload)
	if b = m.join(); len(b) > MaxSize {
		return nil, fmt.Errorf("sealed report of %d bytes, limit %d: %w", len(b), MaxSize, manifest.ErrLimit)
	}
	return b, nil
}

// Seal is Sealer.Seal with a signature and without encryption.
func Seal(ctx context.Context, r *Report, signer verify.Signer, alg cose.Algorithm) ([]byte, error) {
	return Sealer{Signer: signer, Algorithm: alg}.Seal(ctx, r)
}

// Open verifies a sealed report of at most MaxSize bytes with keys under policy, decrypts it if it is encrypted, and reads it. Nothing in
// it is decrypted or interpreted before that. The evidence says who has sealed it: of several devices' keys, which.
//
// Errors: those of Decode, verify.ErrPolicy without keys or policy, *verify.PolicyError if policy
// refuses; for an encrypted one those of cose.DecryptEncrypt0, verify.ErrKeyUnknown without content keys.
func Open(b []byte, keys *verify.KeySet, policy verify.Policy, content ...*cose.ContentKey) (r *Report, by verify.Evidence, err error) {
	if keys.Len() == 0 || policy == nil {
		return nil, by, fmt.Errorf("open report without keys or without a policy: %w", verify.ErrPolicy)
	}
	if len(b) > MaxSize {
		return nil, by, fmt.Errorf("report of %d bytes, limit %d: %w", len(b), MaxSize, manifest.ErrLimit)
	}
	s, err := takeApart(b)
	if err != nil {
		return nil, by, err
	}
	p := cborstream.New(s.payload, limits(MaxSize))
	payload, err := p.Bytes()
	if err != nil {
		return nil, by, fmt.Errorf("report without a payload: %w", err)
	}
	s.payload = cborstream.AppendNil(nil)
	by.Signatures = cose.Verify(s.join(), payload, keys)
	if err := policy.Check(by); err != nil {
		return nil, by, err
	}
	if len(by.Keys("")) == 0 {
		return nil, by, &verify.PolicyError{Evidence: by, Reason: "no signature or mac verified", Err: verify.ErrThreshold}
	}
	if kind, err := cborstream.New(payload, limits(MaxSize)).Peek(); err == nil && kind == cborstream.Array {
		r, err = decrypt(payload, content)
		return r, by, err
	}
	r, err = Decode(payload)
	return r, by, err
}

// decrypt reads a SUIT_Report_COSE_Encrypt0, whose plaintext is the byte string of a report.
func decrypt(b []byte, content []*cose.ContentKey) (*Report, error) {
	plaintext, err := cose.DecryptEncrypt0(b, content...)
	if err != nil {
		return nil, fmt.Errorf("encrypted report: %w", err)
	}
	p := cborstream.New(plaintext, limits(MaxSize))
	report, err := p.Bytes()
	if err == nil {
		err = p.Done()
	}
	if err != nil {
		return nil, fmt.Errorf("encrypted report: %w", err)
	}
	return Decode(report)
}

// message is a COSE_Sign1_Tagged or COSE_Mac0_Tagged, each part as it is encoded. The package cose has the payload apart
// from the structure; reports have it inside. What is signed is the same.
type message struct {
	tag                                        uint64
	protected, unprotected, payload, signature []byte
}

func takeApart(b []byte) (*message, error) {
	s, err := readMessage(cborstream.New(b, limits(MaxSize)))
	if err != nil {
		return nil, fmt.Errorf("sealed report: %w", err)
	}
	return s, nil
}

func readMessage(p *cborstream.Parser) (*message, error) {
	tag, err := p.Tag()
	if err != nil {
		return nil, err
	}
	if tag != tagSign1 && tag != tagMac0 {
		return nil, p.Refuse(0, manifest.ErrUnsupported, "tag %d, expected %d or %d", tag, tagSign1, tagMac0)
	}
	at := p.Offset()
	n, err := p.Array()
	if err != nil {
		return nil, err
	}
	if n != blockMembers {
		return nil, p.Refuse(at, manifest.ErrMalformed, "array of %d items", n)
	}
	s := message{tag: tag}
	for _, part := range []*[]byte{&s.protected, &s.unprotected, &s.payload, &s.signature} {
		if *part, err = p.Raw(); err != nil {
			return nil, err
		}
	}
	p.End()
	p.End() // of the tag
	return &s, p.Done()
}

func (s *message) join() []byte {
	head := cborstream.AppendArray(cborstream.AppendTag(nil, s.tag), blockMembers)
	return bytes.Join([][]byte{head, s.protected, s.unprotected, s.payload, s.signature}, nil)
}
