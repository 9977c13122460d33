// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func TestDecryption(t *testing.T) {
	device := testkeys.ECDH(1)
	keys := recipientKeys(t, cose.RecipientKey{Exchange: device})
	for _, alg := range contentAlgorithms {
		info, ciphertext := encrypt(t, alg, image, cose.Recipient{Public: device.PublicKey()})
		decrypt, authenticated, err := keys.Decryption(t.Context(), info)
		if err != nil || authenticated != alg.Authenticated() {
			t.Fatalf("%v: authenticated %v, %v", alg, authenticated, err)
		}
		clear(info) // nothing refers to it
		read := func(r io.Reader) ([]byte, error) {
			plaintext, err := decrypt(r)
			if err != nil {
				t.Fatal(err)
			}
			return io.ReadAll(plaintext)
		}
		for _, pieces := range []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.HalfReader, iotest.OneByteReader} {
			if got, err := read(pieces(bytes.NewReader(ciphertext))); err != nil || !bytes.Equal(got, image) {
				t.Errorf("%v: %v, %d bytes", alg, err, len(got))
			}
		}
		if _, err := read(io.MultiReader(bytes.NewReader(ciphertext[:50_000]), iotest.ErrReader(errBus))); !errors.Is(err, errBus) {
			t.Errorf("%v: the source fails: %v", alg, err)
		}
		if !authenticated {
			continue
		}
		for name, bad := range map[string][]byte{"cut": ciphertext[:len(ciphertext)-1], "longer": append(bytes.Clone(ciphertext), 0), "empty": nil} {
			if _, err := read(bytes.NewReader(bad)); !errors.Is(err, verify.ErrDecrypt) {
				t.Errorf("%v: %s: %v", alg, name, err)
			}
		}
	}
}

// Whether a key opens the info is known before there is any ciphertext.
func TestDecryptionRefuses(t *testing.T) {
	wrapper, other := testkeys.KeyWrapper(1, 16), testkeys.KeyWrapper(2, 16)
	info, _ := encrypt(t, cose.A128GCM, image, cose.Recipient{Wrapper: wrapper})
	keys := recipientKeys(t, cose.RecipientKey{Wrapper: wrapper})
	for name, tt := range map[string]struct {
		keys *cose.RecipientKeys
		info []byte
		want error
	}{
		"no keys":       {nil, info, verify.ErrKeyUnknown},
		"another key":   {recipientKeys(t, cose.RecipientKey{Wrapper: other}), info, verify.ErrDecrypt},
		"trailing byte": {keys, append(bytes.Clone(info), 0), verify.ErrMalformed},
		"too large":     {keys, make([]byte, cose.MaxEncryptionInfoSize+1), verify.ErrLimit},
	} {
		if decrypt, _, err := tt.keys.Decryption(t.Context(), tt.info); decrypt != nil || !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}
