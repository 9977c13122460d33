// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
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
