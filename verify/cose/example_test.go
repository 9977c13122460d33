// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

func ExampleVerifySign1() {
	author := testkeys.Ed25519(1)
	digest := []byte("the encoded SUIT_Digest")
	block, err := cose.SignSign1(context.Background(), author, cose.Ed25519, digest)
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := verify.NewKeySet(verify.Entry{Key: author.Public(), Groups: []string{"author"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	sig, err := cose.VerifySign1(block, digest, keys)
	fmt.Println(sig.Entry.Groups, err)
	_, err = cose.VerifySign1(block, []byte("another digest"), keys)
	fmt.Println(errors.Is(err, verify.ErrSignature))
	// Output:
	// [author] <nil>
	// true
}

func ExampleVerify() {
	// Two keys of an author, one of them for the time after quantum computers.
	classic, quantum := testkeys.P256(1), testkeys.MLDSA65(1)
	digest := []byte("the encoded SUIT_Digest")
	block, err := cose.SignSign(context.Background(), digest, cose.Signatory{Signer: classic}, cose.Signatory{Signer: quantum})
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := verify.NewKeySet(
		verify.Entry{Key: classic.Public(), Groups: []string{"classic"}},
		verify.Entry{Key: quantum.Public(), Groups: []string{"post-quantum"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := verify.Threshold(1, "post-quantum")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.Check(verify.Evidence{Signatures: cose.Verify(block, digest, keys)}))
	// Output:
	// <nil>
}

func ExampleMakeMac0() {
	// A MAC key is an entry of the key set like any other; in a program it comes from a key store.
	macer, err := verify.NewMacer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := []byte("the encoded SUIT_Digest")
	block, err := cose.MakeMac0(context.Background(), macer, nil, digest)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := verify.NewKeySet(verify.Entry{Secret: macer, Groups: []string{"author"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range cose.Verify(block, digest, keys) {
		fmt.Println(s.Entry.Key.Type(), s.Entry.Groups, s.Err)
	}
	// Output:
	// hmac256 [author] <nil>
}

func ExampleNewDecrypter() {
	device := testkeys.ECDH(1)
	info, ciphertext, err := cose.Encrypt(context.Background(), cose.A128GCM, []byte("firmware"),
		cose.Recipient{KID: []byte("device 1"), Public: device.PublicKey()})
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := cose.NewRecipientKeys(cose.RecipientKey{KID: []byte("device 1"), Exchange: device})
	if err != nil {
		fmt.Println(err)
		return
	}
	var slot bytes.Buffer // in a device: a slot that does not boot yet
	d, err := cose.NewDecrypter(context.Background(), info, keys, &slot)
	if err != nil {
		fmt.Println(err)
		return
	}
	ciphertext[3] ^= 1 // somebody on the way
	for _, chunk := range [][]byte{ciphertext[:10], ciphertext[10:]} {
		if _, err := d.Write(chunk); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(errors.Is(d.Close(), verify.ErrDecrypt)) // throw the slot's content away
	// Output:
	// true
}
