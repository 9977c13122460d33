// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// wgKey is a key of a cose-wg/Examples file.
type wgKey struct {
	Kid, Crv, X, Y, D, K string
	XHex                 string `json:"x_hex"`
}

func unb64(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// wgLayer is the description of a message in a cose-wg/Examples file.
type wgLayer struct {
	Alg                 string
	Recipients, Signers []struct {
		Key wgKey
	}
}

// wgFile is a cose-wg/Examples file with other than Sign1.
type wgFile struct {
	name  string
	Fail  bool
	Input struct {
		Plaintext       string
		Sign, Mac0, Mac wgLayer
		Enveloped       wgLayer
		RNG             []string `json:"rng_stream"`
	}
	Intermediates struct {
		CEK        string `json:"CEK_hex"`
		Recipients []struct {
			Context string `json:"Context_hex"`
		}
	}
	Output struct{ CBOR string }
}

func wgFiles(t *testing.T, dir string, want int) []wgFile {
	t.Helper()
	paths, err := filepath.Glob("testdata/cose-wg/" + dir + "/*.json")
	if err != nil || len(paths) != want {
		t.Fatalf("%d files in %s, want %d (%v)", len(paths), dir, want, err)
	}
	var out []wgFile
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := wgFile{name: strings.TrimSuffix(filepath.Base(path), ".json")}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, f)
	}
	return out
}

// detachAny takes the third item out of the array: the examples attach payload and ciphertext.
func detachAny(tb testing.TB, message []byte) (block, content []byte) {
	tb.Helper()
	at := slices.IndexFunc(message, func(b byte) bool { return b == 0x84 || b == 0x85 }) // after the tag
	var items []cbor.RawMessage
	if err := cbor.Unmarshal(message[at:], &items); err != nil {
		tb.Fatal(err)
	}
	if err := cbor.Unmarshal(items[2], &content); err != nil {
		tb.Fatal(err)
	}
	items[2] = cbor.RawMessage{0xf6}
	body, err := cbor.Marshal(items)
	if err != nil {
		tb.Fatal(err)
	}
	return append(bytes.Clone(message[:at]), body...), content
}

func (k wgKey) public(tb testing.TB) verify.Key {
	tb.Helper()
	var pub any
	switch k.Crv {
	case "P-256":
		var err error
		if pub, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), bytes.Join([][]byte{{4}, unb64(tb, k.X), unb64(tb, k.Y)}, nil)); err != nil {
			tb.Fatal(err)
		}
	case "Ed25519":
		pub = ed25519.PublicKey(unhex(k.XHex))
	default:
		return p256Key // the message is refused whatever the key
	}
	key, err := verify.NewKey(pub)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// A verdict is what an example is under the rules of this package; nil is accepted. A difference
// from the example's own verdict carries its reason.
type verdict struct {
	want   error
	reason string
}

func (v verdict) check(t *testing.T, f wgFile, err error) {
	t.Helper()
	if !errors.Is(err, v.want) || (v.want == nil) != (err == nil) {
		t.Errorf("%v, want %v", err, v.want)
	}
	if f.Fail == (v.want == nil) && v.reason == "" {
		t.Errorf("the example says fail=%v, the verdict %v without a reason", f.Fail, v.want)
	}
	if !f.Fail && v.want != nil && v.reason == "" {
		t.Errorf("a good example is refused without a reason")
	}
}

func TestCOSEWGSign(t *testing.T) {
	verdicts := map[string]verdict{
		"ecdsa-01":     {nil, ""},
		"ecdsa-02":     {verify.ErrAlgorithm, "P-384 is not among the key types"},
		"ecdsa-03":     {verify.ErrAlgorithm, "P-521 is not among the key types"},
		"ecdsa-04":     {verify.ErrAlgorithm, "P-256 with SHA-512"},
		"eddsa-01":     {nil, ""},
		"eddsa-02":     {verify.ErrSignature, "Ed448 is not among the key types"},
		"sign-fail-01": {verify.ErrMalformed, ""},
		"sign-fail-02": {verify.ErrSignature, ""},
		"sign-fail-03": {verify.ErrAlgorithm, ""},
		"sign-fail-04": {verify.ErrAlgorithm, ""},
		"sign-fail-06": {verify.ErrSignature, ""},
		"sign-fail-07": {verify.ErrSignature, ""},
		"sign-pass-01": {nil, ""},
		"sign-pass-02": {verify.ErrSignature, "signed over an external_aad, for another purpose"},
		"sign-pass-03": {verify.ErrMalformed, "untagged"},
	}
	for _, f := range wgFiles(t, "sign", len(verdicts)) {
		t.Run(f.name, func(t *testing.T) {
			block, content := detachAny(t, unhex(f.Output.CBOR))
			k := f.Input.Sign.Signers[0].Key
			pub := k.public(t)
			if f.name == "eddsa-02" {
				pub = edKey
			}
			keys := keySet(t, verify.Entry{KID: []byte(k.Kid), Key: pub})
			sigs := cose.Verify(block, content, keys)
			verdicts[f.name].check(t, f, sigs[0].Err)
			if sigs[0].Verified() != (sigs[0].Err == nil) || len(sigs) != 1 {
				t.Errorf("signatures %v", sigs)
			}
		})
	}
}

func TestCOSEWGMac0(t *testing.T) {
	verdicts := map[string]verdict{
		"HMac-enc-01": {nil, ""},
		"HMac-enc-02": {verify.ErrAlgorithm, "HMAC 384 is not used by SUIT"},
		"HMac-enc-03": {verify.ErrAlgorithm, "HMAC 512 is not used by SUIT"},
		"HMac-enc-04": {verify.ErrSignature, ""},
		"HMac-enc-05": {verify.ErrAlgorithm, "truncated to 64 bits"},
		"mac-fail-01": {verify.ErrMalformed, ""},
		"mac-fail-02": {verify.ErrSignature, ""},
		"mac-fail-03": {verify.ErrAlgorithm, ""},
		"mac-fail-04": {verify.ErrAlgorithm, ""},
		"mac-fail-06": {verify.ErrSignature, ""},
		"mac-fail-07": {verify.ErrSignature, ""},
		"mac-pass-01": {verify.ErrAlgorithm, "alg in the unprotected header only"},
		"mac-pass-02": {verify.ErrAlgorithm, "alg in the unprotected header only, and an external_aad"},
		"mac-pass-03": {verify.ErrMalformed, "untagged"},
	}
	for _, f := range wgFiles(t, "mac0", len(verdicts)) {
		t.Run(f.name, func(t *testing.T) {
			block, content := detachAny(t, unhex(f.Output.CBOR))
			macer, err := verify.NewMacer(unb64(t, f.Input.Mac0.Recipients[0].Key.K))
			if err != nil {
				t.Fatal(err)
			}
			sigs := cose.Verify(block, content, keySet(t, verify.Entry{Secret: macer}))
			verdicts[f.name].check(t, f, sigs[0].Err)
			if sigs[0].Err != nil {
				return
			}
			again, err := cose.MakeMac0(t.Context(), macer, nil, []byte(f.Input.Plaintext))
			if err != nil || !bytes.Equal(again, block) {
				t.Errorf("MakeMac0 = %x, %v, want %x", again, err, block)
			}
		})
	}
}

func TestCOSEWGMac(t *testing.T) {
	const notHMAC256 = "not HMAC 256/256"
	verdicts := map[string]verdict{
		"HMac-01":          {nil, ""},
		"HMac-02":          {verify.ErrAlgorithm, notHMAC256},
		"HMac-03":          {verify.ErrAlgorithm, notHMAC256},
		"HMac-04":          {verify.ErrSignature, ""},
		"HMac-05":          {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-128-01":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-128-02":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-128-03":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-192-01":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-192-02":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-192-03":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-256-01":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-256-02":  {verify.ErrAlgorithm, notHMAC256},
		"aes-wrap-256-03":  {verify.ErrAlgorithm, notHMAC256},
		"p256-wrap-128-03": {verify.ErrAlgorithm, notHMAC256},
		"p256-wrap-192-03": {verify.ErrAlgorithm, notHMAC256},
		"p256-wrap-256-03": {verify.ErrAlgorithm, notHMAC256},
		"mac-fail-01":      {verify.ErrMalformed, ""},
		"mac-fail-02":      {verify.ErrSignature, ""},
		"mac-fail-03":      {verify.ErrAlgorithm, ""},
		"mac-fail-04":      {verify.ErrAlgorithm, ""},
		"mac-fail-06":      {verify.ErrSignature, ""},
		"mac-fail-07":      {verify.ErrSignature, ""},
		"mac-pass-01":      {verify.ErrAlgorithm, "alg in the unprotected header only"},
		"mac-pass-02":      {verify.ErrAlgorithm, "alg in the unprotected header only, and over an external_aad, for another purpose"},
		"mac-pass-03":      {verify.ErrMalformed, "untagged"},
	}
	for _, f := range wgFiles(t, "mac", len(verdicts)) {
		t.Run(f.name, func(t *testing.T) {
			block, content := detachAny(t, unhex(f.Output.CBOR))
			k := f.Input.Mac.Recipients[0].Key
			secret := bytes.Repeat([]byte{1}, 32)
			if k.K != "" && len(unb64(t, k.K)) == 32 {
				secret = unb64(t, k.K)
			}
			macer, err := verify.NewMacer(secret)
			if err != nil {
				t.Fatal(err)
			}
			sigs := cose.Verify(block, content, keySet(t, verify.Entry{KID: []byte(k.Kid), Secret: macer}))
			verdicts[f.name].check(t, f, sigs[0].Err)
			if f.Intermediates.CEK != "" && strings.Contains(f.name, "wrap") {
				checkWrapped(t, f, k, block)
			}
			if sigs[0].Err != nil {
				return
			}
			if err := cose.CheckMac(t.Context(), block, content, recipientKeys(t, cose.RecipientKey{Content: secret})); err != nil {
				t.Errorf("CheckMac: %v", err)
			}
			again, err := cose.MakeMac(t.Context(), []byte(f.Input.Plaintext), cose.Recipient{KID: []byte(k.Kid), Macer: macer})
			if err != nil || !bytes.Equal(again, block) {
				t.Errorf("MakeMac = %x, %v, want %x", again, err, block)
			}
		})
	}
}

// checkWrapped wraps the example's content key again, whatever the content algorithm is.
func checkWrapped(t *testing.T, f wgFile, k wgKey, block []byte) {
	t.Helper()
	kek := []byte(nil)
	if k.K != "" {
		kek = unb64(t, k.K)
	}
	if len(kek) != 16 && len(kek) != 32 {
		return
	}
	cek := unhex(f.Intermediates.CEK)
	w := wrapper(t, kek)
	wrapped, err := w.WrapKey(t.Context(), cek)
	if err != nil || !bytes.HasSuffix(block, wrapped) {
		t.Fatalf("WrapKey = %x, %v, want the end of %x", wrapped, err, block)
	}
	back, err := w.UnwrapKey(t.Context(), wrapped)
	if err != nil || !bytes.Equal(back, cek) {
		t.Errorf("UnwrapKey = %x, %v, want %x", back, err, cek)
	}
}

func (k wgKey) recipient(tb testing.TB) (cose.RecipientKey, cose.Recipient) {
	tb.Helper()
	kid := []byte(k.Kid)
	switch {
	case k.D != "" && k.Crv == "P-256":
		private, err := ecdh.P256().NewPrivateKey(unb64(tb, k.D))
		if err != nil {
			tb.Fatal(err)
		}
		return cose.RecipientKey{KID: kid, Exchange: private}, cose.Recipient{KID: kid, Public: private.PublicKey()}
	case k.K != "":
		secret := unb64(tb, k.K)
		if len(secret) == 24 {
			secret = secret[:16]
		}
		w := wrapper(tb, secret)
		return cose.RecipientKey{KID: kid, Wrapper: w}, cose.Recipient{KID: kid, Wrapper: w}
	}
	tb.Fatal("key of another kind")
	return cose.RecipientKey{}, cose.Recipient{}
}

func TestCOSEWGEncrypt(t *testing.T) {
	const a192, static = "AES-192 is not used by SUIT", "static-static ECDH is not used by SUIT"
	verdicts := map[string]verdict{
		"aes-gcm-01":       {nil, ""},
		"aes-gcm-02":       {verify.ErrAlgorithm, a192},
		"aes-gcm-03":       {nil, ""},
		"aes-gcm-04":       {verify.ErrDecrypt, ""},
		"aes-gcm-05":       {verify.ErrUnsupported, "partial iv"},
		"aes-wrap-128-04":  {nil, ""},
		"aes-wrap-128-05":  {verify.ErrAlgorithm, a192},
		"aes-wrap-192-04":  {verify.ErrAlgorithm, a192},
		"aes-wrap-192-05":  {verify.ErrAlgorithm, a192},
		"aes-wrap-256-04":  {nil, ""},
		"aes-wrap-256-05":  {verify.ErrAlgorithm, a192},
		"chacha-poly-01":   {nil, ""},
		"env-fail-01":      {verify.ErrMalformed, ""},
		"env-fail-02":      {verify.ErrDecrypt, ""},
		"env-fail-03":      {verify.ErrAlgorithm, ""},
		"env-fail-04":      {verify.ErrAlgorithm, ""},
		"env-fail-06":      {verify.ErrDecrypt, ""},
		"env-fail-07":      {verify.ErrDecrypt, ""},
		"env-pass-01":      {verify.ErrAlgorithm, "alg in the unprotected header only"},
		"env-pass-02":      {verify.ErrDecrypt, "over an external_aad, for another purpose"},
		"env-pass-03":      {verify.ErrMalformed, "untagged"},
		"p256-wrap-128-01": {nil, ""}, "p256-wrap-128-02": {nil, ""},
		"p256-wrap-192-01": {verify.ErrAlgorithm, a192}, "p256-wrap-192-02": {verify.ErrAlgorithm, a192},
		"p256-wrap-256-01": {nil, ""}, "p256-wrap-256-02": {nil, ""},
		"p256-ss-wrap-128-01": {verify.ErrAlgorithm, static}, "p256-ss-wrap-128-02": {verify.ErrAlgorithm, static},
		"p256-ss-wrap-192-01": {verify.ErrAlgorithm, static}, "p256-ss-wrap-192-02": {verify.ErrAlgorithm, static},
		"p256-ss-wrap-256-01": {verify.ErrAlgorithm, static}, "p256-ss-wrap-256-02": {verify.ErrAlgorithm, static},
	}
	for _, f := range wgFiles(t, "encrypt", len(verdicts)) {
		t.Run(f.name, func(t *testing.T) {
			info, ciphertext := detachAny(t, unhex(f.Output.CBOR))
			k := f.Input.Enveloped.Recipients[0].Key
			var mine cose.RecipientKey
			var theirs cose.Recipient
			direct := !strings.Contains(f.name, "wrap")
			if direct {
				mine = cose.RecipientKey{Content: unb64(t, k.K)}
			} else {
				mine, theirs = k.recipient(t)
			}
			got, err := cose.DecryptIn(t.Context(), info, ciphertext, recipientKeys(t, mine), nil)
			verdicts[f.name].check(t, f, err)
			if err != nil {
				return
			}
			if string(got) != f.Input.Plaintext {
				t.Errorf("plaintext %q, want %q", got, f.Input.Plaintext)
			}
			if mine.Exchange != nil {
				if _, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, mine)); !errors.Is(err, verify.ErrDecrypt) {
					t.Errorf("opens in the context of SUIT: %v", err)
				}
			}
			reproduce(t, f, info, ciphertext, theirs)
		})
	}
}

// reproduce encrypts with the example's random numbers.
func reproduce(t *testing.T, f wgFile, info, ciphertext []byte, r cose.Recipient) {
	t.Helper()
	parsed, err := cose.ParseEncryptionInfo(info)
	if err != nil {
		t.Fatal(err)
	}
	if r.KID == nil { // direct
		k := unb64(t, f.Input.Enveloped.Recipients[0].Key.K)
		iv := bytes.Index(info, append([]byte{5}, 0x4c))
		protected := info[4 : 4+int(info[3]&0x1f)]
		aad := bytes.Join([][]byte{[]byte("\x83\x67Encrypt"), {0x40 | byte(len(protected))}, protected, {0x40}}, nil)
		c, err := cose.NewContentCipher(parsed.Algorithm(), k, info[iv+2:iv+14], aad)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Seal(parsed.Algorithm(), []byte(f.Input.Plaintext)); !bytes.Equal(got, ciphertext) {
			t.Errorf("encrypted again: %x, want %x", got, ciphertext)
		}
		return
	}
	var random []byte
	for _, s := range f.Input.RNG {
		random = append(random, unhex(s)...)
	}
	againInfo, again, err := cose.EncryptFrom(t.Context(), bytes.NewReader(random), parsed.Algorithm(), []byte(f.Input.Plaintext), nil, r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, ciphertext) {
		t.Errorf("encrypted again: %x, want %x", again, ciphertext)
	}
	if r.Wrapper != nil && !bytes.Equal(againInfo, info) {
		t.Errorf("info again: %x, want %x", againInfo, info)
	}
	// The examples have the unprotected header of ECDH recipients in another order.
	if r.Public != nil && strings.Contains(f.name, "-128-") && !bytes.Equal(againInfo[len(againInfo)-24:], info[len(info)-24:]) {
		t.Errorf("wrapped again: %x, want the end of %x", againInfo, info)
	}
	if len(f.Intermediates.Recipients) == 1 && r.Public != nil && strings.Contains(f.name, "-128-") {
		want := unhex(f.Intermediates.Recipients[0].Context)
		if got := cose.KDFContext(cose.A128KW, 16, unhex("a101381c"), nil); !bytes.Equal(got, want) {
			t.Errorf("KDF context %s, want %x", hex.EncodeToString(got), want)
		}
	}
}
