// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// Open reads a SUIT_Envelope (tagged, deterministic, 1 to MaxEnvelopeSize bytes) of exactly
// size bytes from r, and verifies it with keys under policy. It returns the
// manifest only if policy accepts and at least one signature has verified.
//
// What is not authenticated yet is not interpreted. In this order: size; the envelope's
// outer layer; the manifest digest; each authentication block; the policy; only
// then the manifest, its severable members, and the digests of integrated payloads that
// it names. A manifest that has a member, command or parameter that this package
// does not know is refused as a whole. It accepts what the strict rules allow;
// Options.Open accepts more.
//
// Errors: ErrLimit, ErrMalformed (ErrNotCanonical), ErrUnsupported, ErrDigest,
// ErrComponent, ErrCommand of the input; *verify.PolicyError if policy refuses, through
// which errors.Is also finds why each block was not counted (verify.ErrSignature,
// verify.ErrKeyUnknown, verify.ErrAlgorithm…); verify.ErrPolicy without keys or
// policy; else what r returned. Open keeps its own copy and no reference to r,
// which it reads once.
//
// draft-ietf-suit-manifest-37, sections 6.2, 8.2 and 8.3.
func Open(r io.ReaderAt, size int64, keys *verify.KeySet, policy verify.Policy) (*Verified, error) {
	return Options{}.Open(r, size, keys, policy)
}

// Open is the function Open with o's relaxations and o's MaxSize.
func (o Options) Open(r io.ReaderAt, size int64, keys *verify.KeySet, policy verify.Policy) (*Verified, error) {
	b, err := o.read(r, size)
	if err != nil {
		return nil, err
	}
	return o.open(b, keys, policy)
}

// OpenBytes is Open for an envelope in memory. It copies b.
func OpenBytes(b []byte, keys *verify.KeySet, policy verify.Policy) (*Verified, error) {
	return Options{}.OpenBytes(b, keys, policy)
}

// OpenBytes is the function OpenBytes with o's relaxations.
func (o Options) OpenBytes(b []byte, keys *verify.KeySet, policy verify.Policy) (*Verified, error) {
	if err := o.checkSize(int64(len(b))); err != nil {
		return nil, err
	}
	return o.open(bytes.Clone(b), keys, policy)
}

// open keeps b.
func (o Options) open(b []byte, keys *verify.KeySet, policy verify.Policy) (*Verified, error) {
	if keys.Len() == 0 || policy == nil {
		return nil, fmt.Errorf("open without keys or without a policy: %w", verify.ErrPolicy)
	}
	p := cborstream.New(b, o.limits())
	v := &Verified{raw: b, options: o.keep()}
	d := decoder{o: v.options}
	if err := d.takeApart(p, o.Compat); err != nil {
		return nil, err
	}
	v.evidence = d.authenticate(keys)
	if err := judge(v.evidence, policy); err != nil {
		return nil, err
	}
	if err := d.readAuthentic(p); err != nil {
		return nil, err
	}
	v.digest, v.payloads, v.sequence = d.digest.value(), d.payloads, d.sequenceNumber
	return v, nil
}

// authenticate checks every block over the encoded digest: COSE_Sign1, COSE_Sign, COSE_Mac0
// and COSE_Mac. A COSE_Sign counts as as many signatures as it has.
func (l *layers) authenticate(keys *verify.KeySet) verify.Evidence {
	var e verify.Evidence
	signed, blocks := l.blocks()
	for _, block := range blocks {
		e.Signatures = append(e.Signatures, cose.Verify(block, signed, keys)...)
	}
	return e
}

// judge asks the policy, and does not let even the most generous one accept
// what nobody has signed.
func judge(e verify.Evidence, policy verify.Policy) error {
	if err := policy.Check(e); err != nil {
		var refusal *verify.PolicyError
		if errors.As(err, &refusal) {
			return err
		}
		return &verify.PolicyError{Evidence: e, Reason: err.Error(), Err: err}
	}
	if !slices.ContainsFunc(e.Signatures, verify.Signature.Verified) {
		return &verify.PolicyError{Evidence: e, Reason: "no signature verified", Err: verify.ErrThreshold}
	}
	return nil
}

func (o *Options) checkSize(size int64) error {
	if size <= 0 {
		return fmt.Errorf("envelope of %d bytes: %w", size, ErrMalformed)
	}
	if limit := o.maxSize(); size > limit {
		return fmt.Errorf("envelope of %d bytes, limit %d: %w", size, limit, ErrLimit)
	}
	return nil
}

func (o *Options) read(r io.ReaderAt, size int64) ([]byte, error) {
	if err := o.checkSize(size); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := r.ReadAt(b, 0); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read envelope: %d of %d bytes: %w", n, size, err)
	}
	return b, nil
}
