// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// coseVector is the part of a cose-wg/Examples file that the tests read.
type coseVector struct {
	Title string
	Input struct {
		Plaintext string
		Sign0     struct {
			Key struct {
				Kid, Crv, X, Y string
				XHex           string `json:"x_hex"`
			}
		}
	}
	Output struct{ CBOR string }
}

func (v coseVector) key() (verify.Key, error) {
	k := v.Input.Sign0.Key
	switch k.Crv {
	case "P-256":
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil {
			return verify.Key{}, err
		}
		y, err := base64.RawURLEncoding.DecodeString(k.Y)
		if err != nil {
			return verify.Key{}, err
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bytes.Join([][]byte{{4}, x, y}, nil))
		if err != nil {
			return verify.Key{}, err
		}
		return verify.NewKey(pub)
	case "Ed25519":
		x, err := hex.DecodeString(k.XHex)
		if err != nil {
			return verify.Key{}, err
		}
		return verify.NewKey(ed25519.PublicKey(x))
	}
	return verify.Key{}, verify.ErrAlgorithm
}

// What each example is under the rules of this package; nil is accepted. Differences from the
// example's own verdict carry a reason.
var coseVerdicts = map[string]struct {
	want   error
	reason string
}{
	"ecdsa-sig-01": {nil, ""},
	"ecdsa-sig-02": {verify.ErrAlgorithm, "P-384 is not among the key types"},
	"ecdsa-sig-03": {verify.ErrAlgorithm, "P-521 is not among the key types"},
	"ecdsa-sig-04": {verify.ErrAlgorithm, "P-256 with SHA-512"},
	"eddsa-sig-01": {nil, ""},
	"eddsa-sig-02": {verify.ErrAlgorithm, "Ed448 is not among the key types"},
	"sign-fail-01": {verify.ErrMalformed, ""},
	"sign-fail-02": {verify.ErrSignature, ""},
	"sign-fail-03": {verify.ErrAlgorithm, ""},
	"sign-fail-04": {verify.ErrAlgorithm, ""},
	"sign-fail-06": {verify.ErrSignature, ""},
	"sign-fail-07": {verify.ErrSignature, ""},
	"sign-pass-01": {verify.ErrAlgorithm, "alg in the unprotected header only"},
	"sign-pass-02": {verify.ErrSignature, "signed over an external_aad, for another purpose"},
	"sign-pass-03": {verify.ErrMalformed, "untagged"},
}

func TestCOSEWGExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/cose-wg/*.json")
	if err != nil || len(files) != len(coseVerdicts) {
		t.Fatalf("%d example files, want %d (%v)", len(files), len(coseVerdicts), err)
	}
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".json")])
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var v coseVector
			if err := json.Unmarshal(text, &v); err != nil {
				t.Fatal(err)
			}
			verdict, ok := coseVerdicts[name]
			if !ok {
				t.Fatal("no verdict")
			}
			key, err := v.key()
			if err != nil {
				if !errors.Is(verdict.want, verify.ErrAlgorithm) {
					t.Fatal(err)
				}
				key = p256Key // the message is refused whatever the key
			}
			attached, err := hex.DecodeString(v.Output.CBOR)
			if err != nil {
				t.Fatal(err)
			}
			keys := keySet(t, verify.Entry{KID: []byte(v.Input.Sign0.Key.Kid), Key: key})
			payload := []byte(v.Input.Plaintext)
			block, signed := detach(t, attached, len(payload))
			if name != "sign-fail-02" && !bytes.Equal(signed, payload) {
				t.Fatalf("payload %q, want %q", signed, payload)
			}
			sig, err := cose.VerifySign1(block, signed, keys)
			if !errors.Is(err, verdict.want) {
				t.Fatalf("VerifySign1 = %v, want %v (%s)", err, verdict.want, verdict.reason)
			}
			if err == nil && (sig.Entry.Key != key || string(sig.KID) != v.Input.Sign0.Key.Kid) {
				t.Errorf("signature by %v, kid %q", sig.Entry.Key, sig.KID)
			}
			if verdict.want == nil {
				if _, err := cose.VerifySign1(attached, signed, keys); !errors.Is(err, verify.ErrUnsupported) {
					t.Errorf("with the payload attached: %v, want ErrUnsupported", err)
				}
			}
		})
	}
}

// detach replaces the payload of an attached message by nil, without a CBOR decoder: the payload is
// the last-but-one item, a byte string of n (24 > n) bytes before a signature of 64, 96, 114 or 132.
func detach(t *testing.T, attached []byte, n int) (block, payload []byte) {
	t.Helper()
	for _, sigSize := range []int{64, 96, 114, 132} {
		at := len(attached) - sigSize - 2 - n - 1
		if at > 0 && attached[at] == 0x40|byte(n) && attached[at+1+n] == 0x58 && int(attached[at+2+n]) == sigSize {
			return bytes.Join([][]byte{attached[:at], {0xf6}, attached[at+1+n:]}, nil), attached[at+1 : at+1+n]
		}
	}
	t.Fatalf("no payload of %d bytes in %x", n, attached)
	return nil, nil
}

func TestSUITExamples(t *testing.T) {
	text, err := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	if err != nil {
		t.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(text)
	if err != nil {
		t.Fatal(err)
	}
	keys := keySet(t, verify.Entry{Key: key})
	for name, want := range map[string]error{
		"manifest/example0":                nil,
		"manifest/example1":                nil,
		"manifest/example2":                nil,
		"manifest/example2-severed":        nil,
		"manifest/example3":                nil,
		"manifest-esp256/example0":         verify.ErrSignature, // known bad, see its README
		"manifest-esp256/example1":         nil,
		"manifest-esp256/example2":         nil,
		"manifest-esp256/example2-severed": nil,
		"manifest-esp256/example3":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			env, err := fs.ReadFile(vectors.SUIT(), name+".cbor")
			if err != nil {
				t.Fatal(err)
			}
			// d86b a2..a5 02 5873 82 5824 <36-byte digest, the payload> 584a <74-byte block> ...
			payload, block := env[9:9+36], env[9+36+2:9+36+2+74]
			if sig, err := cose.VerifySign1(block, payload, keys); !errors.Is(err, want) || (err == nil && sig.Entry.Key != key) {
				t.Errorf("VerifySign1 = %v, %v, want %v", sig, err, want)
			}
		})
	}
}
