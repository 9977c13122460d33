// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// masked is encryption info as far as package manifest reads it.
var masked = []byte{0xd8, 0x60, 0x80}

// mask is a Decrypter of its own kind: the lowest bit of every byte of a payload is flipped.
type mask struct {
	err, late     error // of Decryption, and of what it returns
	authenticated bool
}

func (x mask) Decryption(context.Context, []byte) (func(io.Reader) (io.Reader, error), bool, error) {
	return func(ciphertext io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(ciphertext)
		for i := range b {
			b[i] ^= 1
		}
		return bytes.NewReader(b), errors.Join(err, x.late)
	}, x.authenticated, x.err
}

// What the Decrypter says decides, before there is any effect.
func TestCOS_14_Decrypter(t *testing.T) {
	given := fmt.Errorf("given: %w", verify.ErrAlgorithm)
	for name, tt := range map[string]struct {
		decrypter processor.Decrypter
		want      error
		parameter bool // an ErrParameter, too
	}{
		"fine":         {decrypter: mask{authenticated: true}},
		"none":         {nil, manifest.ErrUnsupported, false},
		"without keys": {(*cose.RecipientKeys)(nil), verify.ErrMalformed, true},
		"malformed":    {mask{err: verify.ErrMalformed}, verify.ErrMalformed, true},
		"too large":    {mask{err: verify.ErrLimit}, verify.ErrLimit, true},
		"unsupported":  {mask{err: verify.ErrUnsupported}, verify.ErrUnsupported, true},
		"algorithm":    {mask{err: given}, given, false},
		"no key":       {mask{err: verify.ErrKeyUnknown}, verify.ErrKeyUnknown, false},
		"another key":  {mask{err: verify.ErrDecrypt}, verify.ErrDecrypt, false},
		"no tag":       {mask{}, processor.ErrParameter, true},
	} {
		s := newStore(map[string]string{"00": "zero", "01": "`acd"})
		err := runStore(t, s, seq{params(manifest.Parameters{EncryptionInfo: masked}), from(1), copyc},
			processor.Options{Compat: processor.CompatNoDigest, Decrypter: tt.decrypter})
		if tt.want == nil {
			if err != nil || string(s.cells["00"].content) != "a`be" {
				t.Errorf("%s: got %v, %q", name, err, s.cells["00"].content)
			}
			continue
		}
		s.refused(t, err, tt.want)
		if errors.Is(err, processor.ErrParameter) != tt.parameter {
			t.Errorf("%s: got %v, ErrParameter %v wanted", name, err, tt.parameter)
		}
	}

	// With a digest of the plaintext, a cipher without a tag will do, and what fails late writes nothing.
	for _, late := range []error{nil, verify.ErrDecrypt} {
		s := newStore(map[string]string{"00": "zero", "01": "`acd"})
		err := runStore(t, s, seq{of("a`be"), params(manifest.Parameters{EncryptionInfo: masked}), from(1), copyc},
			processor.Options{Decrypter: mask{late: late}})
		want := "a`be"
		if late != nil {
			want = "zero"
		}
		if !errors.Is(err, late) || string(s.cells["00"].content) != want {
			t.Errorf("late %v: got %v, %q", late, err, s.cells["00"].content)
		}
	}
}
