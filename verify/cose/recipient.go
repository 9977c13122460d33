// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"fmt"

	"github.com/firmament-dev/firmament/internal/cborstream"
	"github.com/firmament-dev/firmament/verify"
)

// MaxRecipients bounds the recipients of one COSE_Encrypt or COSE_Mac.
const MaxRecipients = 1024

// RecipientAlgorithm is the algorithm of a COSE_recipient: how the recipient gets the content key.
type RecipientAlgorithm int64

// The recipient algorithms in use, RFC 9053 sections 6.1, 6.2 and 6.4.
const (
	A128KW     RecipientAlgorithm = -3  // AES key wrap under a shared 128-bit key
	A256KW     RecipientAlgorithm = -5  // AES key wrap under a shared 256-bit key
	Direct     RecipientAlgorithm = -6  // the content key is shared itself; opened, never made for content
	ECDHA128KW RecipientAlgorithm = -29 // ECDH-ES + A128KW, here with P-256
	ECDHA256KW RecipientAlgorithm = -31 // ECDH-ES + A256KW, here with P-256; opened, never made
)

// String returns the registry's name.
func (a RecipientAlgorithm) String() string {
	switch a {
	case A128KW:
		return "A128KW"
	case A256KW:
		return "A256KW"
	case Direct:
		return "direct"
	case ECDHA128KW:
		return "ECDH-ES + A128KW"
	case ECDHA256KW:
		return "ECDH-ES + A256KW"
	}
	return fmt.Sprintf("recipient algorithm(%d)", int64(a))
}

// wraps returns the type of the shared key-encryption key, 0 for the other algorithms.
func (a RecipientAlgorithm) wraps() verify.KeyType {
	switch a {
	case A128KW:
		return verify.A128KW
	case A256KW:
		return verify.A256KW
	}
	return 0
}

// agreed returns the key wrap that follows the key agreement, 0 for the other algorithms.
func (a RecipientAlgorithm) agreed() RecipientAlgorithm {
	switch a {
	case ECDHA128KW:
		return A128KW
	case ECDHA256KW:
		return A256KW
	}
	return 0
}

// recipient is a decoded COSE_recipient, ephemeral and salt by readAgreements. One that demands what this package does not do is kept
// with the reason in unusable: it is for somebody else.
type recipient struct {
	headers
	alg        RecipientAlgorithm
	kid        []byte
	ciphertext []byte
	ephemeral  *ecdh.PublicKey
	salt       []byte
	unusable   error
}

func readRecipients(array item) ([]recipient, error) {
	items, err := list(array)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("no recipients: %w", verify.ErrMalformed)
	}
	if len(items) > MaxRecipients {
		return nil, fmt.Errorf("%d recipients, expected at most %d: %w", len(items), MaxRecipients, verify.ErrLimit)
	}
	var out []recipient
	for i, item := range items {
		r, err := readRecipient(item)
		if err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i, err)
		}
		if r.alg == Direct && len(items) > 1 {
			return nil, fmt.Errorf("recipient %d: direct beside others: %w", i, verify.ErrMalformed)
		}
		out = append(out, r)
	}
	return out, nil
}

func readRecipient(array item) (r recipient, err error) {
	items, err := list(array)
	if err != nil {
		return r, err
	}
	if len(items) != 3 && len(items) != 4 {
		return r, fmt.Errorf("array of %d items, expected 3: %w", len(items), verify.ErrMalformed)
	}
	if r.headers, err = readHeaders(items[0], items[1]); err != nil {
		return r, err
	}
	if !items[2].isNil() {
		ciphertext, err := byteString(items[2])
		if err != nil {
			return r, fmt.Errorf("ciphertext: %w", err)
		}
		r.ciphertext = ciphertext
	}
	alg, isProtected, err := r.anyAlg()
	if err != nil {
		return r, err
	}
	r.alg = RecipientAlgorithm(alg)
	if r.kid, err = r.keyID(); err != nil {
		return r, err
	}
	if len(items) == 4 {
		r.unusable = fmt.Errorf("recipient of a recipient: %w", verify.ErrUnsupported)
		return r, nil
	}
	if r.unusable = r.critical(); r.unusable != nil {
		return r, nil
	}
	return r, r.readAlgorithm(isProtected)
}

// readAlgorithm checks and reads what the recipient's algorithm needs.
func (r *recipient) readAlgorithm(isProtected bool) error {
	switch {
	case r.alg == Direct || r.alg.wraps() != 0:
		// These authenticate no headers, so none may pretend to be protected.
		if len(r.protected) != 0 {
			return fmt.Errorf("%v with a protected header: %w", r.alg, verify.ErrMalformed)
		}
		if r.alg == Direct && len(r.ciphertext) != 0 {
			return fmt.Errorf("direct with a ciphertext: %w", verify.ErrMalformed)
		}
		return nil
	case r.alg.agreed() != 0:
		if !isProtected {
			return fmt.Errorf("%v in the unprotected header: %w", r.alg, verify.ErrAlgorithm)
		}
		return nil
	}
	r.unusable = fmt.Errorf("%v: %w", r.alg, verify.ErrAlgorithm)
	return nil
}

// readAgreements reads what ECDH-ES needs. It is apart, as evidence of origin never does: who only
// verifies works with no point of a curve that a stranger has chosen, and does not link that.
func readAgreements(recipients []recipient) error {
	for i := range recipients {
		if r := &recipients[i]; r.alg.agreed() != 0 && r.unusable == nil {
			if err := r.readAgreement(); err != nil {
				return fmt.Errorf("recipient %d: %w", i, err)
			}
		}
	}
	return nil
}

func (r *recipient) readAgreement() (err error) {
	for label := labelPartyV; label <= labelPartyU; label++ {
		if _, ok := r.value(label); ok {
			r.unusable = fmt.Errorf("party information (label %d): %w", label, verify.ErrUnsupported)
			return nil
		}
	}
	if r.salt, err = r.bytes(labelSalt); err != nil {
		return err
	}
	v, ok := r.value(labelEphemeral)
	if !ok || v.kind() != cborstream.Map {
		return fmt.Errorf("%v without an ephemeral key: %w", r.alg, verify.ErrMalformed)
	}
	key, err := readHeader(v) // a COSE_Key has the same labels
	if err != nil {
		return fmt.Errorf("ephemeral key: %w", err)
	}
	const kty, crv, ec2, p256 = int64(1), int64(-1), int64(2), int64(1)
	encodedType, _ := key.get(kty)
	encodedCurve, _ := key.get(crv)
	typ, _ := encodedType.int() // none and all that is not an integer is 0, which is reserved
	curve, _ := encodedCurve.int()
	if typ != ec2 || curve != p256 {
		r.unusable = fmt.Errorf("ephemeral key of type %d, curve %d: %w", typ, curve, verify.ErrAlgorithm)
		return nil
	}
	r.ephemeral, err = p256Point(key)
	return err
}

const coordinateSize = 32

// p256Point reads the coordinates of a COSE_Key, RFC 9053 section 7.1.1; y may be its sign alone.
func p256Point(key header) (*ecdh.PublicKey, error) {
	encodedX, _ := key.get(int64(-2))
	encodedY, _ := key.get(int64(-3))
	x, ok := encodedX.bytes()
	if !ok || len(x) != coordinateSize {
		return nil, fmt.Errorf("ephemeral key: x is not %d bytes: %w", coordinateSize, verify.ErrMalformed)
	}
	var point []byte
	if y, ok := encodedY.bytes(); ok {
		if len(y) != coordinateSize {
			return nil, fmt.Errorf("ephemeral key: y is not %d bytes: %w", coordinateSize, verify.ErrMalformed)
		}
		point = bytes.Join([][]byte{{4}, x, y}, nil)
	} else if y, err := newParser(encodedY).Bool(); err == nil {
		sign := byte(2)
		if y {
			sign = 3
		}
		px, py := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{sign}, x...))
		if px == nil {
			return nil, fmt.Errorf("ephemeral key: no point of the curve: %w", verify.ErrMalformed)
		}
		point = append([]byte{4}, px.FillBytes(make([]byte, coordinateSize))...)
		point = append(point, py.FillBytes(make([]byte, coordinateSize))...)
	} else {
		return nil, fmt.Errorf("ephemeral key: y is not a byte string: %w", verify.ErrMalformed)
	}
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("ephemeral key: no point of the curve: %w", verify.ErrMalformed)
	}
	return public, nil
}
