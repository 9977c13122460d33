// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

// Two authors must sign; one key under two names is one author.
func ExampleThreshold() {
	alice, bob := testkeys.P256(1).Public(), testkeys.Ed25519(2).Public()
	keys, err := verify.NewKeySet(
		verify.Entry{KID: []byte("alice"), Key: alice, Groups: []string{"author"}},
		verify.Entry{KID: []byte("alice-2"), Key: alice, Groups: []string{"author"}},
		verify.Entry{KID: []byte("bob"), Key: bob, Groups: []string{"author"}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := verify.Threshold(2, "author")
	if err != nil {
		fmt.Println(err)
		return
	}
	evidence := func(kids ...string) (e verify.Evidence) {
		for _, kid := range kids {
			e.Signatures = append(e.Signatures, verify.Signature{Entry: keys.Lookup([]byte(kid))[0], KID: []byte(kid)})
		}
		return e
	}
	fmt.Println("alice and bob:", policy.Check(evidence("alice", "bob")))
	err = policy.Check(evidence("alice", "alice-2"))
	fmt.Println("alice twice:", errors.Is(err, verify.ErrThreshold))
	fmt.Println(err)
	// Output:
	// alice and bob: <nil>
	// alice twice: true
	// refused by policy: 1 of 2 distinct keys of group "author" in 2 signatures
}

func ExampleSigner() {
	signer := testkeys.Ed25519(1)
	sig, err := signer.Sign(context.Background(), []byte("firmware"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(signer.Public().VerifySignature([]byte("firmware"), sig))
	err = signer.Public().VerifySignature([]byte("firmwarE"), sig)
	fmt.Println(errors.Is(err, verify.ErrSignature))
	// Output:
	// <nil>
	// true
}

func ExampleDigest() {
	d := verify.Sum(verify.SHA256, []byte("firmware"))
	parsed, err := verify.ParseDigest(d.String())
	fmt.Println(parsed == d, err)
	_, err = verify.NewDigest(verify.SHA256, d.Bytes()[:16])
	fmt.Println(errors.Is(err, verify.ErrMalformed), err)
	// Output:
	// true <nil>
	// true sha256 digest of 16 bytes, expected 32: malformed
}
