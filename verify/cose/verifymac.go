// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// macBlock is a decoded COSE_Mac0 or COSE_Mac.
type macBlock struct {
	headers
	tag        []byte
	recipients []recipient
}

func parseMac(block, tag []byte) (m macBlock, err error) {
	if len(block) > MaxBlockSize {
		return m, fmt.Errorf("mac of %d bytes, expected at most %d: %w", len(block), MaxBlockSize, verify.ErrLimit)
	}
	n := 4
	if &tag[0] == &tagMac[0] {
		n = 5
	}
	items, err := tagged(block, tag, n)
	if err != nil {
		return m, err
	}
	if m.headers, err = readHeaders(items[0], items[1]); err != nil {
		return m, err
	}
	if !items[2].isNil() && items[2].kind() != cborstream.Bytes {
		return m, fmt.Errorf("payload: nil expected: %w", verify.ErrMalformed)
	}
	if m.tag, err = byteString(items[3]); err != nil {
		return m, fmt.Errorf("tag: %w", err)
	}
	if n == 5 {
		if m.recipients, err = readRecipients(items[4]); err != nil {
			return m, err
		}
	}
	if err := m.critical(); err != nil {
		return m, err
	}
	return m, m.checkContent(items[2])
}

func (m macBlock) checkContent(payload item) error {
	if !payload.isNil() {
		return fmt.Errorf("mac with an attached payload: %w", verify.ErrUnsupported)
	}
	alg, err := m.protectedAlg()
	if err != nil {
		return err
	}
	if Algorithm(alg) != HMAC256 {
		return fmt.Errorf("mac says %v: %w", Algorithm(alg), verify.ErrAlgorithm)
	}
	return nil
}

// matches checks the tag in constant time.
func (m macBlock) matches(ctx context.Context, macer verify.Macer, kind string, payload []byte) error {
	want, err := macer.MAC(ctx, macStructure(kind, m.raw, payload))
	if err != nil {
		return fmt.Errorf("mac with %v: %w", macer.Key(), err)
	}
	if len(want) != sha256.Size || !hmac.Equal(want, m.tag) {
		return fmt.Errorf("%v, tag of %d bytes: %w", macer.Key(), len(m.tag), verify.ErrSignature)
	}
	return nil
}

// VerifyMac0 checks a COSE_Mac0_Tagged over the detached payload against the Macers of keys. Result
// and errors are those of VerifySign1; verify.ErrSignature is a tag that does not match. Public keys of the
// set are never used as secrets.
func VerifyMac0(block, detached []byte, keys *verify.KeySet) (verify.Signature, error) {
	var sig verify.Signature
	sig.Err = verifyMac0(&sig, block, detached, keys)
	return sig, sig.Err
}

func verifyMac0(sig *verify.Signature, block, detached []byte, keys *verify.KeySet) error {
	m, err := parseMac(block, tagMac0)
	if err != nil {
		return fmt.Errorf("mac0: %w", err)
	}
	if sig.KID, err = m.keyID(); err != nil {
		return fmt.Errorf("mac0: %w", err)
	}
	if detached == nil {
		return fmt.Errorf("mac0 without its detached payload: %w", verify.ErrSignature)
	}
	checks := verify.MaxCandidates
	return search(sig, HMAC256, verify.HMAC256, keys, &checks, func(e verify.Entry) error {
		macer, ok := e.Secret.(verify.Macer)
		if !ok {
			return verify.ErrAlgorithm
		}
		return m.matches(context.Background(), macer, "MAC0", detached)
	})
}

// VerifyMac checks a COSE_Mac_Tagged over the detached payload as evidence of who made it: keys are
// the Macers (recipient algorithm direct) and KeyWrappers (A128KW, A256KW) of the set, found by the
// recipient's kid. Result and errors are those of VerifyMac0, and:
//
//   - verify.ErrUnsupported for more than one recipient: each of them could have made the tag;
//   - verify.ErrAlgorithm for ECDH-ES: everybody who has the recipient's public key could have made it.
//
// CheckMac takes both, and says nothing about origin.
func VerifyMac(block, detached []byte, keys *verify.KeySet) (verify.Signature, error) {
	var sig verify.Signature
	sig.Err = verifyMac(&sig, block, detached, keys)
	return sig, sig.Err
}

func verifyMac(sig *verify.Signature, block, detached []byte, keys *verify.KeySet) error {
	m, err := parseMac(block, tagMac)
	if err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	if len(m.recipients) != 1 {
		return fmt.Errorf("mac for %d recipients is no evidence of its origin: %w", len(m.recipients), verify.ErrUnsupported)
	}
	r := m.recipients[0]
	sig.KID = r.kid
	switch {
	case r.unusable != nil:
		return fmt.Errorf("mac: %w", r.unusable)
	case r.alg.wraps() == 0 && r.alg != Direct:
		return fmt.Errorf("mac under %v is no evidence of its origin: %w", r.alg, verify.ErrAlgorithm)
	case detached == nil:
		return fmt.Errorf("mac without its detached payload: %w", verify.ErrSignature)
	}
	checks := verify.MaxCandidates
	return searchSecret(sig, r, keys, &checks, func(macer verify.Macer) error {
		return m.matches(context.Background(), macer, "MAC", detached)
	})
}

// searchSecret is search for a key that is used through a recipient structure.
func searchSecret(sig *verify.Signature, r recipient, keys *verify.KeySet, checks *int, check func(verify.Macer) error) error {
	kind := verify.HMAC256
	if r.alg != Direct {
		kind = r.alg.wraps()
	}
	return search(sig, r.alg, kind, keys, checks, func(e verify.Entry) error {
		switch secret := e.Secret.(type) {
		case verify.Macer:
			return check(secret)
		case verify.KeyWrapper:
			key, err := secret.UnwrapKey(context.Background(), r.ciphertext)
			if err != nil {
				return err
			}
			if len(key) != macKeySize {
				return fmt.Errorf("mac key of %d bytes, expected %d: %w", len(key), macKeySize, verify.ErrAlgorithm)
			}
			macer, err := verify.NewMacer(key)
			if err != nil {
				return err
			}
			return check(macer)
		}
		return verify.ErrAlgorithm
	})
}

// CheckMac checks that a COSE_Mac_Tagged over the detached payload is whole, for one of the recipients
// that keys can open. It says nothing about who made it; use VerifyMac for that. Errors are
// those of VerifyMac0 and Decrypt.
func CheckMac(ctx context.Context, block, detached []byte, keys *RecipientKeys) error {
	m, err := parseMac(block, tagMac)
	if err == nil {
		err = readAgreements(m.recipients)
	}
	if err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	if detached == nil {
		return fmt.Errorf("mac without its detached payload: %w", verify.ErrSignature)
	}
	key, err := keys.open(ctx, m.recipients, macKeySize, nil)
	if err != nil {
		return fmt.Errorf("mac: %w", err)
	}
	macer, err := verify.NewMacer(key)
	if err != nil {
		return err
	}
	return m.matches(ctx, macer, "MAC", detached)
}
