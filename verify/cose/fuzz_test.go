// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// FuzzCOSEVerify: whatever verifies is what was signed, up to what a signature does not cover: the
// unprotected header (other than alg and kid), the length of CBOR heads, and (r, n-s).
func FuzzCOSEVerify(f *testing.F) {
	es, ed := testkeys.P256(1), testkeys.Ed25519(1)
	keys := keySet(f, verify.Entry{Key: es.Public()}, verify.Entry{KID: []byte("a"), Key: ed.Public()})
	f.Add(sign(f, es, cose.ES256), payload)
	f.Add(sign(f, es, cose.ESP256), payload)
	f.Add(sign(f, ed, cose.Ed25519), payload)
	f.Add(raw(f, ed, unhex("a10127"), unhex("a1044161")), payload)
	f.Add(raw(f, es, unhex("a10126"), unhex("a118630a")), payload)
	f.Add(raw(f, es, unhex("a20126028101"), unhex("a0")), payload)

	signed := [][]byte{ // the protected headers that were ever signed, all over the one payload
		unhex("a10126"), unhex("a10128"), unhex("a10132"), unhex("a10127"), unhex("a20126028101"),
	}
	f.Fuzz(func(t *testing.T, block, detached []byte) {
		sig, err := cose.VerifySign1(block, detached, keys)
		if (err == nil) != sig.Verified() {
			t.Fatalf("err %v, Verified %v", err, sig.Verified())
		}
		if err != nil {
			return
		}
		if !bytes.Equal(detached, payload) {
			t.Fatalf("accepted over another payload %x: %x", detached, block)
		}
		for _, protected := range signed {
			if bytes.Contains(block, protected) {
				return
			}
		}
		t.Fatalf("accepted with a header that was never signed: %x", block)
	})
}
