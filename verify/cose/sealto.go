// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"context"
	"crypto/ecdh"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// Recipient is one who shall be able to read a payload, or to check a MAC: exactly one of Wrapper,
// Public and Macer.
type Recipient struct {
	// KID names the recipient's key, 1 to verify.MaxKIDSize bytes. Nil: the recipient must try, so of those without
	// one, as of those with one and the same, there are at most verify.MaxCandidates.
	KID []byte

	// Wrapper is the key shared with the recipient, for A128KW or A256KW.
	Wrapper verify.KeyWrapper

	// Public is the recipient's P-256 key, for ECDH-ES + A128KW.
	Public *ecdh.PublicKey

	// Macer is the MAC key shared with the only recipient of MakeMac, for direct.
	Macer verify.Macer
}

func (r Recipient) check() error {
	kinds := 0
	if r.Wrapper != nil {
		kinds++
		if t := r.Wrapper.Key().Type(); t != verify.A128KW && t != verify.A256KW {
			return fmt.Errorf("wrapper of type %v: %w", t, verify.ErrAlgorithm)
		}
	}
	if r.Public != nil {
		kinds++
		if r.Public.Curve() != ecdh.P256() {
			return fmt.Errorf("public key on another curve than P-256: %w", verify.ErrAlgorithm)
		}
	}
	if r.Macer != nil {
		kinds++
	}
	if kinds != 1 {
		return fmt.Errorf("%d keys for one recipient, expected 1: %w", kinds, verify.ErrPolicy)
	}
	if r.KID != nil {
		return checkKIDSize(r.KID)
	}
	return nil
}

// sealTo encodes the recipients array that gives key to each of recipients.
func sealTo(ctx context.Context, random io.Reader, key []byte, recipients []Recipient, other []byte) ([]byte, error) {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("%d recipients, expected 1 to %d: %w", len(recipients), MaxRecipients, verify.ErrLimit)
	}
	if err := checkFindable(recipients); err != nil {
		return nil, err
	}
	b := cborstream.AppendArray(nil, len(recipients))
	for i, r := range recipients {
		err := r.check()
		if err == nil && r.Macer != nil {
			err = fmt.Errorf("direct beside others, or for content: %w", verify.ErrUnsupported)
		}
		if err == nil {
			b, err = r.appendSealed(ctx, random, b, key, other)
		}
		if err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i, err)
		}
	}
	return b, nil
}

// checkFindable makes sure that each recipient finds the place that is theirs among those of one name, or of none,
// in as many attempts as RecipientKeys.open makes.
func checkFindable(recipients []Recipient) error {
	named := make(map[string]int)
	for _, r := range recipients {
		name := string(r.KID)
		if named[name]++; named[name] <= verify.MaxCandidates {
			continue
		}
		if name == "" {
			return fmt.Errorf("more than %d recipients without a KID, who would have to try each other's places: give them one: %w", verify.MaxCandidates, verify.ErrLimit)
		}
		return fmt.Errorf("more than %d recipients with the one KID %x: %w", verify.MaxCandidates, name, verify.ErrLimit)
	}
	return nil
}

func (r Recipient) appendSealed(ctx context.Context, random io.Reader, b, key, other []byte) ([]byte, error) {
	if r.Wrapper != nil {
		wrapped, err := r.Wrapper.WrapKey(ctx, key)
		if err != nil {
			return nil, err
		}
		alg := A128KW
		if r.Wrapper.Key().Type() == verify.A256KW {
			alg = A256KW
		}
		return r.appendShared(b, alg, wrapped), nil
	}
	ephemeral, err := newEphemeral(random)
	if err != nil {
		return nil, err
	}
	secret, err := ephemeral.ECDH(r.Public)
	if err != nil {
		return nil, fmt.Errorf("key exchange: %v: %w", err, verify.ErrAlgorithm)
	}
	protected := protectedHeader(int64(ECDHA128KW), nil)
	wrapper, err := agreedWrapper(ECDHA128KW, secret, nil, protected, other)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapper.WrapKey(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.appendAgreed(b, protected, ephemeral.PublicKey(), wrapped), nil
}

// newEphemeral draws scalars until one is in [1, n-1]; practically the first is.
func newEphemeral(random io.Reader) (*ecdh.PrivateKey, error) {
	scalar := make([]byte, coordinateSize)
	for {
		if _, err := io.ReadFull(random, scalar); err != nil {
			return nil, fmt.Errorf("ephemeral key: %w", err)
		}
		if key, err := ecdh.P256().NewPrivateKey(scalar); err == nil {
			return key, nil
		}
	}
}

// direct encodes the recipients array of the one recipient whose key is used as it is.
func (r Recipient) direct() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.appendShared(cborstream.AppendArray(nil, 1), Direct, nil), nil
}

// appendShared encodes [h”, {1: alg, ? 4: kid}, wrapped].
func (r Recipient) appendShared(b []byte, alg RecipientAlgorithm, wrapped []byte) []byte {
	b = cborstream.AppendArray(b, 3)
	b = cborstream.AppendBytes(b, nil)
	b = append(b, protectedHeader(int64(alg), r.KID)...) // the same map, unprotected here
	return cborstream.AppendBytes(b, wrapped)
}

// appendAgreed encodes [protected, {? 4: kid, -1: COSE_Key}, wrapped].
func (r Recipient) appendAgreed(b, protected []byte, ephemeral *ecdh.PublicKey, wrapped []byte) []byte {
	point := ephemeral.Bytes() // 0x04 || x || y
	b = cborstream.AppendArray(b, 3)
	b = cborstream.AppendBytes(b, protected)
	if r.KID != nil {
		b = cborstream.AppendMap(b, 2)
		b = cborstream.AppendInt(b, labelKID)
		b = cborstream.AppendBytes(b, r.KID)
	} else {
		b = cborstream.AppendMap(b, 1)
	}
	b = cborstream.AppendInt(b, labelEphemeral)
	b = cborstream.AppendMap(b, 4)
	for _, pair := range [][2]int64{{1, 2}, {-1, 1}} { // kty: EC2, crv: P-256
		b = cborstream.AppendInt(b, pair[0])
		b = cborstream.AppendInt(b, pair[1])
	}
	b = cborstream.AppendInt(b, -2)
	b = cborstream.AppendBytes(b, point[1:1+coordinateSize])
	b = cborstream.AppendInt(b, -3)
	b = cborstream.AppendBytes(b, point[1+coordinateSize:])
	return cborstream.AppendBytes(b, wrapped)
}
