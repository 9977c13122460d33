// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

const macKeySize = sha256.Size // of a MAC key that is made for one COSE_Mac

// macStructure is the MAC_structure of RFC 9052, section 6.3, with an empty external_aad.
func macStructure(context string, protected, payload []byte) []byte {
	b := cborstream.AppendArray(nil, 4)
	b = cborstream.AppendText(b, context)
	b = cborstream.AppendBytes(b, protected)
	b = cborstream.AppendBytes(b, nil)
	return cborstream.AppendBytes(b, payload)
}

// protectedHeader is the deterministic encoding of {1: alg, ? 4: kid}.
func protectedHeader(alg int64, kid []byte) []byte {
	n := 1
	if kid != nil {
		n = 2
	}
	b := cborstream.AppendMap(nil, n)
	b = cborstream.AppendInt(b, labelAlg)
	b = cborstream.AppendInt(b, alg)
	if kid != nil {
		b = cborstream.AppendInt(b, labelKID)
		b = cborstream.AppendBytes(b, kid)
	}
	return b
}

// MakeMac0 returns a COSE_Mac0_Tagged (RFC 9052, section 6.2) over the detached payload, in
// deterministic encoding, with the protected header {1: 5} and, unless kid is nil, the kid in it. A nil
// macer is verify.ErrKeyUnknown, one that is not of type HMAC256 verify.ErrAlgorithm, a nil payload
// verify.ErrMalformed, a kid of no or more than verify.MaxKIDSize bytes verify.ErrLimit.
func MakeMac0(ctx context.Context, macer verify.Macer, kid, payload []byte) ([]byte, error) {
	if err := checkMacer(macer, payload); err != nil {
		return nil, err
	}
	if kid != nil {
		if err := checkKIDSize(kid); err != nil {
			return nil, err
		}
	}
	protected := protectedHeader(int64(HMAC256), kid)
	tag, err := macer.MAC(ctx, macStructure("MAC0", protected, payload))
	if err != nil {
		return nil, fmt.Errorf("mac0 with %v: %w", macer.Key(), err)
	}
	b := appendMac(tagMac0, 4, protected, tag)
	keys, err := verify.NewKeySet(verify.Entry{KID: kid, Secret: macer})
	if err != nil {
		return nil, err
	}
	_, err = VerifyMac0(b, payload, keys)
	return b, err
}

func checkMacer(macer verify.Macer, payload []byte) error {
	switch {
	case macer == nil:
		return fmt.Errorf("mac without a key: %w", verify.ErrKeyUnknown)
	case macer.Key().Type() != verify.HMAC256:
		return fmt.Errorf("mac with %v: %w", macer.Key(), verify.ErrAlgorithm)
	case payload == nil:
		return fmt.Errorf("mac without a payload: %w", verify.ErrMalformed)
	}
	return nil
}

// appendMac encodes all of a block but the recipients.
func appendMac(tag []byte, n int, protected, mac []byte) []byte {
	b := cborstream.AppendArray(append([]byte(nil), tag...), n)
	b = cborstream.AppendBytes(b, protected)
	b = cborstream.AppendMap(b, 0)
	b = cborstream.AppendNil(b)
	return cborstream.AppendBytes(b, mac)
}

// MakeMac returns a COSE_Mac_Tagged (RFC 9052, section 6.1) over the detached payload. Either one
// recipient with a Macer, whose secret is used directly; or recipients with a Wrapper or Public
// key, for whom a fresh MAC key is wrapped. Errors are those of MakeMac0 and NewEncrypter.
//
// Every recipient can make a MAC that every other one takes for the original. VerifyMac
// therefore takes blocks with one recipient only: make one block for each.
func MakeMac(ctx context.Context, payload []byte, recipients ...Recipient) ([]byte, error) {
	return makeMac(ctx, rand.Reader, payload, recipients)
}

func makeMac(ctx context.Context, random io.Reader, payload []byte, recipients []Recipient) ([]byte, error) {
	macer, encoded, err := macRecipients(ctx, random, recipients)
	if err != nil {
		return nil, err
	}
	if err := checkMacer(macer, payload); err != nil {
		return nil, err
	}
	protected := protectedHeader(int64(HMAC256), nil)
	tag, err := macer.MAC(ctx, macStructure("MAC", protected, payload))
	if err != nil {
		return nil, fmt.Errorf("mac with %v: %w", macer.Key(), err)
	}
	return append(appendMac(tagMac, 5, protected, tag), encoded...), nil
}

func macRecipients(ctx context.Context, random io.Reader, recipients []Recipient) (verify.Macer, []byte, error) {
	if len(recipients) == 1 && recipients[0].Macer != nil {
		encoded, err := recipients[0].direct()
		return recipients[0].Macer, encoded, err
	}
	key := make([]byte, macKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, nil, fmt.Errorf("mac key: %w", err)
	}
	encoded, err := sealTo(ctx, random, key, recipients, nil)
	if err != nil {
		return nil, nil, err
	}
	macer, err := verify.NewMacer(key)
	return macer, encoded, err
}
