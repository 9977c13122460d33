// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
)

// Decrypter opens payloads that are encrypted for this device. *cose.RecipientKeys (package verify/cose) is one; only a program that
// names it links ciphers and key agreement.
//
// draft-ietf-suit-firmware-encryption-25.
type Decrypter interface {
	// Decryption returns decrypt, which makes plaintext of a ciphertext under info, the content of
	// suit-parameter-encryption-info. It is called before any effect, so it finds out here whether the
	// device has a key, needs nothing but info, and has no effects itself.
	//
	// Decrypt is called once for every attempt at reading the ciphertext, perhaps for several at once. The
	// reader it returns ends in io.EOF only when all is well with the ciphertext; with authenticated true this says that who made
	// info made the plaintext, too. It gives an error of the ciphertext's reader on.
	//
	// Errors: verify.ErrMalformed, ErrLimit or ErrUnsupported for an info that nobody could use or that the implementation cannot,
	// which is refused as ErrParameter; verify.ErrAlgorithm for an algorithm that it does not have; verify.ErrKeyUnknown
	// for an info without a recipient of this device; verify.ErrDecrypt for a key that does not open it,
	// and for a ciphertext that is not authentic.
	Decryption(ctx context.Context, info []byte) (decrypt func(ciphertext io.Reader) (io.Reader, error), authenticated bool, err error)
}

// decryption returns what makes plaintext out of ciphertext under info, nil if info is. That
// one of the device's keys opens the content key is found here, before any effect. If nothing but the
// cipher says that the plaintext is the author's, checked is false and the cipher must authenticate.
//
// draft-ietf-suit-firmware-encryption-25, sections 5 and 8.
func (m *machine) decryption(ctx context.Context, info []byte, checked bool) (func(io.Reader) (io.Reader, error), error) {
	if info == nil {
		return nil, nil
	}
	if m.o.Decrypter == nil {
		return nil, fmt.Errorf("%w: encrypted payload, and no decrypter", manifest.ErrUnsupported)
	}
	decrypt, authenticated, err := m.o.Decrypter.Decryption(ctx, info)
	switch {
	case errors.Is(err, verify.ErrMalformed), errors.Is(err, verify.ErrLimit), errors.Is(err, verify.ErrUnsupported):
		return nil, fmt.Errorf("%w: encryption info: %w", ErrParameter, err)
	case err != nil:
		return nil, fmt.Errorf("decrypt: %w", err)
	case !checked && !authenticated:
		return nil, fmt.Errorf("%w: a cipher that does not authenticate, there is no image digest, and the source has not been matched", ErrParameter)
	}
	return func(ciphertext io.Reader) (io.Reader, error) {
		plaintext, err := decrypt(ciphertext)
		if err != nil {
			return nil, fmt.Errorf("decrypt: %w", err)
		}
		return plaintext, nil
	}, nil
}

// opening is decrypt for a dependency: nothing comes out of it before all of the plaintext was opened as an envelope with the manifest want.
func (m *machine) opening(decrypt func(io.Reader) (io.Reader, error), want verify.Digest) func(io.Reader) (io.Reader, error) {
	return func(ciphertext io.Reader) (io.Reader, error) {
		plaintext, err := decrypt(ciphertext)
		if err != nil {
			return nil, err
		}
		data, err := m.envelope(plaintext, want)
		return bytes.NewReader(data), err
	}
}
