// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
	"hash"

	"github.com/firmament-dev/firmament/verify"
)

// signatureCheck is one signature over a message that is written to it.
type signatureCheck interface {
	Write(p []byte) (int, error)
	Verify() error
}

// check returns what verifies sig over a message that arrives in pieces; nil if sig fits no message.
func (k Key) check(sig []byte) signatureCheck {
	switch k.scheme {
	case SchemeP384, SchemeRSAPSS:
		public, err := x509.ParsePKIXPublicKey([]byte(k.der))
		if err != nil {
			return nil
		}
		h := sha256.New()
		if k.scheme == SchemeP384 {
			h = sha512.New384()
		}
		return &digestCheck{h, k, public, sig}
	case SchemeMLDSA65:
		return &wholeCheck{key: k, sig: sig}
	}
	key, err := verify.ParsePublicKeyDER([]byte(k.der))
	if err != nil {
		return nil
	}
	v, err := key.NewMessageVerifier(sig)
	if err != nil {
		return nil
	}
	return v
}

// digestCheck is for schemes that sign a digest.
type digestCheck struct {
	hash.Hash
	key    Key
	public any
	sig    []byte
}

func (c *digestCheck) Verify() error {
	ok := false
	switch public := c.public.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(public, c.Sum(nil), c.sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPSS(public, crypto.SHA256, c.Sum(nil), c.sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	if !ok {
		return fmt.Errorf("%s key %v: %w", c.key.scheme, c.key.ID(), verify.ErrSignature)
	}
	return nil
}

// wholeCheck is for ML-DSA, whose verification takes the message as a whole: it does not count on files of more than maxHeld bytes.
type wholeCheck struct {
	key     Key
	sig     []byte
	message []byte
	tooLong bool
}

func (c *wholeCheck) Write(p []byte) (int, error) {
	if c.tooLong = c.tooLong || len(c.message)+len(p) > maxHeld; c.tooLong {
		c.message = nil
		return len(p), nil
	}
	c.message = append(c.message, p...)
	return len(p), nil
}

func (c *wholeCheck) Verify() error {
	if c.tooLong {
		return fmt.Errorf("%s key %v: message of more than %d bytes: %w", c.key.scheme, c.key.ID(), maxHeld, verify.ErrSignature)
	}
	return c.key.Verify(c.message, c.sig)
}
