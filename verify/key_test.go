// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

// p256Order is n of P-256 (SP 800-186, section 3.2.1.3).
var p256Order = elliptic.P256().Params().N

func signers() map[string]verify.Signer {
	return map[string]verify.Signer{"p256": testkeys.P256(1), "ed25519": testkeys.Ed25519(1)}
}

func mustSign(t *testing.T, s verify.Signer, message []byte) []byte {
	t.Helper()
	sig, err := s.Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestVerifySignatureEveryBit(t *testing.T) {
	message := []byte("firmware")
	for name, s := range signers() {
		t.Run(name, func(t *testing.T) {
			sig := mustSign(t, s, message)
			if err := s.Public().VerifySignature(message, sig); err != nil {
				t.Fatal(err)
			}
			for bit := range 8 * len(sig) {
				bad := bytes.Clone(sig)
				bad[bit/8] ^= 1 << (bit % 8)
				if err := s.Public().VerifySignature(message, bad); !errors.Is(err, verify.ErrSignature) {
					t.Errorf("bit %d flipped: %v", bit, err)
				}
			}
			for n := range len(sig) {
				if err := s.Public().VerifySignature(message, sig[:n]); !errors.Is(err, verify.ErrSignature) {
					t.Errorf("cut to %d bytes: %v", n, err)
				}
			}
			for what, bad := range map[string][]byte{
				"trailing byte": append(bytes.Clone(sig), 0),
				"zeros":         make([]byte, len(sig)),
				"nil":           nil,
				"1 MiB":         make([]byte, 1<<20),
			} {
				if err := s.Public().VerifySignature(message, bad); !errors.Is(err, verify.ErrSignature) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := s.Public().VerifySignature([]byte("firmwarf"), sig); !errors.Is(err, verify.ErrSignature) {
				t.Errorf("other message: %v", err)
			}
			if err := (verify.Key{}).VerifySignature(message, sig); !errors.Is(err, verify.ErrAlgorithm) {
				t.Errorf("zero key: %v", err)
			}
			if err := (verify.Key{}).VerifyRaw(message, sig); !errors.Is(err, verify.ErrAlgorithm) {
				t.Errorf("zero key, raw: %v", err)
			}
		})
	}
}

func TestCOS_09_RawSignature(t *testing.T) {
	s, message := testkeys.P256(1), []byte("firmware")
	der := mustSign(t, s, message)
	raw, err := verify.RawSignature(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Public().VerifyRaw(message, raw); err != nil {
		t.Fatal(err)
	}
	back, err := verify.DERSignature(raw)
	if err != nil || !bytes.Equal(back, der) {
		t.Fatalf("DERSignature = %x, %v, want %x", back, err, der)
	}

	n := p256Order
	half := func(v *big.Int) []byte { return v.FillBytes(make([]byte, 32)) }
	r, sv := raw[:32], raw[32:]
	malleated := new(big.Int).Sub(n, new(big.Int).SetBytes(sv))
	if err := s.Public().VerifyRaw(message, bytes.Join([][]byte{r, half(malleated)}, nil)); err != nil {
		t.Errorf("(r, n-s): %v; the package comment says that it verifies", err)
	}
	for name, bad := range map[string][]byte{
		"r zero":      append(make([]byte, 32), sv...),
		"s zero":      append(bytes.Clone(r), make([]byte, 32)...),
		"both zero":   make([]byte, 64),
		"r = n":       append(half(n), sv...),
		"s = n":       append(bytes.Clone(r), half(n)...),
		"s + n":       append(bytes.Clone(r), bytes.Repeat([]byte{0xff}, 32)...),
		"63 bytes":    raw[:63],
		"65 bytes":    append(bytes.Clone(raw), 0),
		"der":         der,
		"empty":       {},
		"r s swapped": append(bytes.Clone(sv), r...),
	} {
		if err := s.Public().VerifyRaw(message, bad); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, bad := range map[string][]byte{
		"raw":                  raw,
		"trailing":             append(bytes.Clone(der), 0),
		"negative r":           {0x30, 6, 2, 1, 0x80, 2, 1, 1},
		"zero s":               {0x30, 6, 2, 1, 1, 2, 1, 0},
		"padded integer":       {0x30, 7, 2, 2, 0, 1, 2, 1, 1},
		"long length":          {0x30, 0x81, 6, 2, 1, 1, 2, 1, 1},
		"three integers":       {0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1},
		"one integer":          {0x30, 3, 2, 1, 1},
		"empty":                {},
		"r of 257 bits":        append(append([]byte{0x30, 38, 2, 33, 1}, make([]byte, 32)...), 2, 1, 1),
		"longer than any":      make([]byte, 73),
		"set for sequence":     {0x31, 6, 2, 1, 1, 2, 1, 1},
		"indefinite length":    {0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0},
		"octets in place of r": {0x30, 6, 4, 1, 1, 2, 1, 1},
	} {
		if raw, err := verify.RawSignature(bad); !errors.Is(err, verify.ErrSignature) {
			t.Errorf("RawSignature(%s) = %x, %v", name, raw, err)
		}
	}
}

func TestCOS_09_EdwardsPoints(t *testing.T) {
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	encode := func(y *big.Int, sign byte) []byte {
		b := y.FillBytes(make([]byte, 32))
		for i := range 16 {
			b[i], b[31-i] = b[31-i], b[i]
		}
		b[31] |= sign << 7
		return b
	}
	add := func(n int64) *big.Int { return new(big.Int).Add(p, big.NewInt(n)) }
	bad := map[string][]byte{
		"neutral":               encode(big.NewInt(1), 0),
		"neutral, -0":           encode(big.NewInt(1), 1),
		"order 2":               encode(add(-1), 0),
		"order 2, -0":           encode(add(-1), 1),
		"order 4":               encode(big.NewInt(0), 0),
		"order 4, negative":     encode(big.NewInt(0), 1),
		"y = p":                 encode(p, 0),
		"y = p+1":               encode(add(1), 0),
		"y = p+1, -0":           encode(add(1), 1),
		"y = p+18":              encode(add(18), 0),
		"not on the curve":      encode(big.NewInt(2), 0),
		"31 bytes":              make([]byte, 31),
		"33 bytes":              make([]byte, 33),
		"no bytes":              {},
		"order 8 (c717…037a)":   unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
		"order 8, negative":     unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
		"order 8 (26e8…fc05)":   unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
		"order 8, negative too": unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
	}
	for name, pub := range bad {
		if _, err := verify.NewKey(ed25519.PublicKey(pub)); !errors.Is(err, verify.ErrAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Why small order matters: R = neutral point, S = 0 "signs" under such a key without any
	// private key, for every message whose hash the order divides.
	forged := append(encode(big.NewInt(1), 0), make([]byte, 32)...)
	for _, name := range []string{"neutral", "order 2", "order 4", "order 8 (c717…037a)", "order 8 (26e8…fc05)"} {
		hits := 0
		for i := range 64 {
			if ed25519.Verify(bad[name], fmt.Appendf(nil, "message %d", i), forged) {
				hits++
			}
		}
		if hits == 0 {
			t.Errorf("%s: the forgery fits none of 64 messages: not a small-order point", name)
		}
	}
	for i := range 64 { // ordinary keys of both signs pass
		testkeys.Ed25519(i)
	}
}

func TestCOS_02_NewKeyRefuses(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 there is no other way to make a point off the curve
	offCurve := &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}
	//lint:ignore SA1019 nor the point at infinity
	infinity := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int), Y: new(big.Int)}
	for name, pub := range map[string]any{
		"nil":           nil,
		"nil ecdsa":     (*ecdsa.PublicKey)(nil),
		"empty ecdsa":   &ecdsa.PublicKey{},
		"no point":      &ecdsa.PublicKey{Curve: elliptic.P256()},
		"p384":          p384.Public(),
		"off the curve": offCurve,
		"infinity":      infinity,
		"rsa e=1":       &rsa.PublicKey{N: big.NewInt(15), E: 1},
		"private key":   testkeys.CryptoP256(1),
		"bytes":         []byte("hmac secret"),
		"nil ed25519":   ed25519.PublicKey(nil),
	} {
		if k, err := verify.NewKey(pub); !errors.Is(err, verify.ErrAlgorithm) || !k.IsZero() {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
}

func TestKeyIdentity(t *testing.T) {
	for name, s := range signers() {
		k := s.Public()
		again, err := verify.NewKey(k.Public())
		if err != nil || again != k || again.ID() != k.ID() {
			t.Errorf("%s: NewKey(Public) = %v, %v, want %v", name, again, err, k)
		}
		pem, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := verify.ParsePublicKeyPEM(pem); err != nil || parsed != k {
			t.Errorf("%s: pem round trip = %v, %v, want %v", name, parsed, err, k)
		}
	}
	first, again := testkeys.P256(1).Public(), testkeys.P256(1).Public()
	if first != again || first == testkeys.P256(2).Public() {
		t.Error("test keys are not fixed and distinct")
	}
	var zero verify.Key
	if !zero.ID().IsZero() || zero.Public() != nil || zero.String() != "no key" {
		t.Errorf("zero key: %v %v %v", zero.ID(), zero.Public(), zero)
	}
	if _, err := zero.MarshalPEM(); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("zero key as pem: %v", err)
	}
}

// RFC 8032, section 7.1, TEST 3, and TEST SHA(abc) (which the pure variant signs as a message).
func TestEd25519KnownAnswer(t *testing.T) {
	for _, test := range []struct{ pub, message, sig string }{
		{
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
		{
			"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", hex.EncodeToString(sha512abc()),
			"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
		},
	} {
		k, err := verify.NewKey(ed25519.PublicKey(unhex(test.pub)))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.VerifySignature(unhex(test.message), unhex(test.sig)); err != nil {
			t.Error(err)
		}
	}
}

func sha512abc() []byte { sum := sha512.Sum512([]byte("abc")); return sum[:] }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
