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
		checkOracle(t, block, detached, []verify.Signature{sig})
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

// FuzzCOSEBlock: no kind of block is accepted over another payload than the one that was ever signed.
func FuzzCOSEBlock(f *testing.F) {
	es, ed, m, w := testkeys.P256(1), testkeys.Ed25519(1), testkeys.Macer(1), testkeys.KeyWrapper(1, 16)
	keys := keySet(f, verify.Entry{Key: es.Public()}, verify.Entry{KID: []byte("a"), Key: ed.Public()},
		verify.Entry{Secret: m}, verify.Entry{KID: []byte("w"), Secret: w})
	f.Add(sign(f, es, cose.ESP256), payload)
	f.Add(signAll(f, cose.Signatory{Signer: es}, cose.Signatory{Signer: ed, KID: []byte("a")}), payload)
	f.Add(mac0(f, m, nil), payload)
	f.Add(makeMac(f, cose.Recipient{Macer: m}), payload)
	f.Add(makeMac(f, cose.Recipient{KID: []byte("w"), Wrapper: w}), payload)
	f.Add(makeMac(f, cose.Recipient{Wrapper: w}, cose.Recipient{Public: testkeys.ECDH(1).PublicKey()}), payload)
	f.Fuzz(func(t *testing.T, block, detached []byte) {
		sigs := cose.Verify(block, detached, keys)
		if len(sigs) < 1 || len(sigs) > cose.MaxSigners {
			t.Fatalf("%d signatures", len(sigs))
		}
		checkOracle(t, block, detached, sigs)
		for _, s := range sigs {
			if s.Verified() != (s.Err == nil) {
				t.Fatalf("err %v, Verified %v", s.Err, s.Verified())
			}
			if s.Verified() && !bytes.Equal(detached, payload) {
				t.Fatalf("accepted over another payload %x: %x", detached, block)
			}
		}
	})
}

// FuzzEncryptionInfo: what an authenticated algorithm gives out is what was put in, and the stream agrees with the
// whole.
func FuzzEncryptionInfo(f *testing.F) {
	for _, name := range []string{"aes-kw-aes-gcm", "aes-kw-aes-ctr", "es-ecdh-aes-gcm", "es-ecdh-aes-ctr"} {
		f.Add(suitFile(f, "suit-encryption-info-"+name+".cbor"), suitFile(f, "encrypted-payload-"+name+".bin"))
	}
	info, ciphertext := encrypt(f, cose.ChaCha20Poly1305, suitFile(f, "plaintext.bin"), cose.Recipient{Wrapper: wrapper(f, suitHex(f, "fwenc-kek-a128.hex"))})
	f.Add(info, ciphertext)
	f.Add(unhex("d86084"+gcmBody+"818340a1012540"), ciphertext)
	keys, plaintext := suitKeys(f), suitFile(f, "plaintext.bin")
	f.Fuzz(func(t *testing.T, info, ciphertext []byte) {
		parsed, parseErr := cose.ParseEncryptionInfo(info)
		if parseErr == nil {
			checkCBOROracle(t, info)
		}
		got, err := cose.Decrypt(t.Context(), info, ciphertext, keys)
		if parseErr != nil && err == nil {
			t.Fatalf("decrypted what does not parse: %v", parseErr)
		}
		if err != nil {
			return
		}
		if int64(len(got))+parsed.Algorithm().Overhead() != int64(len(ciphertext)) {
			t.Fatalf("%d bytes of %d", len(got), len(ciphertext))
		}
		if parsed.Algorithm().Authenticated() && !bytes.Equal(got, plaintext) {
			t.Fatalf("%v gave out %q", parsed.Algorithm(), got)
		}
		var stream bytes.Buffer
		d, err := cose.NewDecrypter(t.Context(), info, keys, &stream)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ciphertext {
			if _, err := d.Write(ciphertext[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil || !bytes.Equal(stream.Bytes(), got) {
			t.Fatalf("in pieces %q, %v, whole %q", stream.Bytes(), err, got)
		}
	})
}

// FuzzEncrypt0: what an authenticated algorithm gives out is what was put in.
func FuzzEncrypt0(f *testing.F) {
	var keys []*cose.ContentKey
	for _, alg := range []cose.ContentAlgorithm{cose.A128GCM, cose.A256GCM, cose.ChaCha20Poly1305} {
		size, _ := sizesOf(alg)
		k := contentKey(f, alg, "a", bytes.Repeat([]byte{7}, size))
		b, err := k.Encrypt0(payload)
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, k)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := cose.DecryptEncrypt0(b, keys...)
		if err == nil && !bytes.Equal(got, payload) {
			t.Fatalf("%x gave out %q", b, got)
		}
	})
}
