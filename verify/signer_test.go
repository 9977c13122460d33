// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

func TestSignerRoundTrip(t *testing.T) {
	for _, kind := range []verify.KeyType{verify.P256, verify.Ed25519} {
		t.Run(kind.String(), func(t *testing.T) {
			s, err := verify.GenerateKey(kind)
			if err != nil {
				t.Fatal(err)
			}
			text, err := verify.MarshalPrivateKeyPEM(s)
			if err != nil {
				t.Fatal(err)
			}
			again, err := verify.ParsePrivateKeyPEM(text)
			if err != nil || again.Public() != s.Public() {
				t.Fatalf("ParsePrivateKeyPEM = %v, %v, want %v", again, err, s.Public())
			}
			sig := mustSign(t, again, []byte("m"))
			if err := s.Public().VerifySignature([]byte("m"), sig); err != nil {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if sig, err := s.Sign(ctx, []byte("m")); !errors.Is(err, context.Canceled) || sig != nil {
				t.Errorf("cancelled Sign = %x, %v", sig, err)
			}
		})
	}
	if _, err := verify.GenerateKey(0); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("GenerateKey(0): %v", err)
	}
}

func TestPEMRefuses(t *testing.T) {
	s := testkeys.P256(1)
	public, err := s.Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	own, err := verify.NewSigner(testkeys.CryptoP256(1))
	if err != nil {
		t.Fatal(err)
	}
	private, err := verify.MarshalPrivateKeyPEM(own)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384DER, err := x509.MarshalPKCS8PrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	p384Public, err := x509.MarshalPKIXPublicKey(p384.Public())
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	for name, test := range map[string]struct {
		public, private []byte
		want            error
	}{
		"empty":        {nil, nil, verify.ErrMalformed},
		"the other":    {private, public, verify.ErrMalformed},
		"two":          {append(bytes.Clone(public), public...), append(bytes.Clone(private), private...), verify.ErrMalformed},
		"text before":  {append([]byte("key:\n"), public...), append([]byte("key:\n"), private...), verify.ErrMalformed},
		"text behind":  {append(bytes.Clone(public), 'x'), append(bytes.Clone(private), 'x'), verify.ErrMalformed},
		"not der":      {block("PUBLIC KEY", []byte("x")), block("PRIVATE KEY", []byte("x")), verify.ErrMalformed},
		"other curve":  {block("PUBLIC KEY", p384Public), block("PRIVATE KEY", p384DER), verify.ErrAlgorithm},
		"too long":     {make([]byte, verify.MaxPEMSize+1), make([]byte, verify.MaxPEMSize+1), verify.ErrLimit},
		"cut":          {public[:len(public)-10], private[:len(private)-10], verify.ErrMalformed},
		"with headers": {withHeader(t, public), withHeader(t, private), verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := verify.ParsePublicKeyPEM(test.public); !errors.Is(err, test.want) || !k.IsZero() {
				t.Errorf("ParsePublicKeyPEM = %v, %v, want %v", k, err, test.want)
			}
			if s, err := verify.ParsePrivateKeyPEM(test.private); !errors.Is(err, test.want) || s != nil {
				t.Errorf("ParsePrivateKeyPEM = %v, %v, want %v", s, err, test.want)
			}
		})
	}
}

func withHeader(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("no pem block")
	}
	block.Headers = map[string]string{"Proc-Type": "4,ENCRYPTED"}
	return pem.EncodeToMemory(block)
}

func TestPrivateKeyPrintsRedacted(t *testing.T) {
	private := testkeys.CryptoP256(1)
	s, err := verify.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secret := hex.EncodeToString(der)
	nested := struct{ inner any }{struct{ deep verify.Signer }{s}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "signer", s, "nested", nested)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "signer", s, "nested", nested)
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %x %s %d", s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v %x %d", nested, nested, nested, nested, nested), log.String(),
	} {
		if strings.Contains(strings.ToLower(text), secret[:16]) || strings.Contains(text, new(big.Int).SetBytes(der).String()[:16]) {
			t.Errorf("the private key shows in %q", text)
		}
	}
	if got := fmt.Sprint(s); !strings.Contains(got, "REDACTED") {
		t.Errorf("Sprint = %q, no REDACTED", got)
	}
}

// faulty returns what a token with a bit error would.
type faulty struct{ crypto.Signer }

func (f faulty) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := f.Signer.Sign(r, digest, opts)
	if err == nil {
		sig[len(sig)-1] ^= 1
	}
	return sig, err
}

func TestNewSignerRefuses(t *testing.T) {
	s, err := verify.NewSigner(faulty{testkeys.CryptoEd25519(1)})
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := s.Sign(t.Context(), []byte("m")); !errors.Is(err, verify.ErrSignature) || sig != nil {
		t.Errorf("Sign of a faulty token = %x, %v", sig, err)
	}
	if _, err := verify.MarshalPrivateKeyPEM(s); !errors.Is(err, verify.ErrUnsupported) {
		t.Errorf("export from a token: %v", err)
	}
	if _, err := verify.MarshalPrivateKeyPEM(testkeys.P256(1)); !errors.Is(err, verify.ErrUnsupported) {
		t.Errorf("export of a foreign Signer: %v", err)
	}
	if _, err := verify.NewSigner(nil); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("NewSigner(nil): %v", err)
	}
}
