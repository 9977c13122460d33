// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

const (
	gcmBody  = "43a10101a1054c" + "000102030405060708090a0b" + "f6"
	ctrBody  = "40a20139fffd0550" + "000102030405060708090a0b0c0d0e0f" + "f6"
	kwPart   = "8340a10122" + "5818" + "000102030405060708090a0b0c0d0e0f1011121314151617"
	iv12     = "000102030405060708090a0b"
	ecdhHead = "8344a101381c"
	// The base point of P-256, as good an ephemeral key as any.
	baseX = "5820" + "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
	baseY = "5820" + "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
	wrap  = "5818" + "000102030405060708090a0b0c0d0e0f1011121314151617"
)

func TestEncryptionInfoRules(t *testing.T) {
	ecdhPart := ecdhHead + "a120a40102200121" + baseX + "22" + baseY + wrap
	for name, test := range map[string]struct {
		info string
		want error
	}{
		"control, gcm":   {"d86084" + gcmBody + "81" + kwPart, nil},
		"control, ctr":   {"d86084" + ctrBody + "81" + kwPart, nil},
		"control, ecdh":  {"d86084" + gcmBody + "81" + ecdhPart, nil},
		"control, mixed": {"d86084" + gcmBody + "83" + kwPart + ecdhPart + kwPart, nil},
		"untagged":       {"84" + gcmBody + "81" + kwPart, verify.ErrMalformed},
		"Encrypt0":       {"d083" + gcmBody, verify.ErrMalformed},
		"array of 3":     {"d86083" + gcmBody, verify.ErrMalformed},
		"array of 5":     {"d86085" + gcmBody + "81" + kwPart + "00", verify.ErrMalformed},
		"trailing byte":  {"d86084" + gcmBody + "81" + kwPart + "00", verify.ErrMalformed},
		"no recipients":  {"d86084" + gcmBody + "80", verify.ErrMalformed},
		"recipients nil": {"d86084" + gcmBody + "f6", verify.ErrMalformed},
		"attached":       {"d8608443a10101a1054c" + iv12 + "4100" + "81" + kwPart, verify.ErrUnsupported},
		"ciphertext int": {"d8608443a10101a1054c" + iv12 + "00" + "81" + kwPart, verify.ErrMalformed},

		// COS-01 is for authentication structures; encryption layers have rules of their own.
		"COS-01 gcm, alg open":             {"d8608440a20101054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"COS-01 gcm, alg in both":          {"d8608443a10101a20101054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"COS-01 no alg":                    {"d8608440a1054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"COS-01 ctr, alg protected":        {"d8608445a10139fffd" + "a10550000102030405060708090a0b0c0d0e0ff681" + kwPart, verify.ErrMalformed},
		"COS-01 ctr, empty map":            {"d8608441a0a20139fffd0550000102030405060708090a0b0c0d0e0ff681" + kwPart, verify.ErrMalformed},
		"COS-01 kw, alg protected":         {"d86084" + gcmBody + "81" + "8343a10122a0" + wrap, verify.ErrMalformed},
		"COS-01 kw, empty map":             {"d86084" + gcmBody + "81" + "8341a0a10122" + wrap, nil},
		"COS-01 kw, another header":        {"d86084" + gcmBody + "81" + "8343a10300a10122" + wrap, verify.ErrMalformed},
		"COS-01 ecdh, alg open":            {"d86084" + gcmBody + "81" + "8340a201381c20a40102200121" + baseX + "22" + baseY + wrap, verify.ErrAlgorithm},
		"COS-01 recipient without alg":     {"d86084" + gcmBody + "81" + "8340a0" + wrap, verify.ErrAlgorithm},
		"COS-02 text alg":                  {"d8608444a1016131a1054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"COS-02 a signature algorithm":     {"d8608443a10126a1054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"COS-02 text recipient alg":        {"d86084" + gcmBody + "81" + "8340a1016141" + wrap, verify.ErrAlgorithm},
		"COS-06 critical":                  {"d8608447a30101028103" + "0300" + "a1054c" + iv12 + "f681" + kwPart, verify.ErrMalformed},
		"COS-06 critical, well-formed":     {"d8608448a30101028103" + "0300" + "a1054c" + iv12 + "f681" + kwPart, verify.ErrUnsupported},
		"AES-192":                          {"d8608443a10102a1054c" + iv12 + "f681" + kwPart, verify.ErrAlgorithm},
		"no iv":                            {"d8608443a10101a0f681" + kwPart, verify.ErrMalformed},
		"iv of 16 for gcm":                 {"d8608443a10101a10550000102030405060708090a0b0c0d0e0ff681" + kwPart, verify.ErrMalformed},
		"iv of 11":                         {"d8608443a10101a1054b0001020304050607" + "08090af681" + kwPart, verify.ErrMalformed},
		"iv empty":                         {"d8608443a10101a10540f681" + kwPart, verify.ErrMalformed},
		"iv of 12 for ctr":                 {"d8608440a20139fffd054c" + iv12 + "f681" + kwPart, verify.ErrMalformed},
		"iv text":                          {"d8608443a10101a1056161f681" + kwPart, verify.ErrMalformed},
		"iv in both":                       {"d8608451a20101054c" + iv12 + "a1054c" + iv12 + "f681" + kwPart, verify.ErrMalformed},
		"iv protected":                     {"d8608451a20101054c" + iv12 + "a0f681" + kwPart, nil},
		"partial iv":                       {"d8608443a10101a10641" + "00f681" + kwPart, verify.ErrUnsupported},
		"direct":                           {"d86084" + gcmBody + "818340a1012540", nil},
		"direct beside another":            {"d86084" + gcmBody + "828340a1012540" + kwPart, verify.ErrMalformed},
		"direct with a ciphertext":         {"d86084" + gcmBody + "818340a101254100", verify.ErrMalformed},
		"recipient of 2":                   {"d86084" + gcmBody + "818240a10122", verify.ErrMalformed},
		"recipient not an array":           {"d86084" + gcmBody + "8100", verify.ErrMalformed},
		"recipient kid empty":              {"d86084" + gcmBody + "818340a201220440" + wrap, verify.ErrMalformed},
		"recipient ciphertext text":        {"d86084" + gcmBody + "818340a1012260", verify.ErrMalformed},
		"ecdh without a key":               {"d86084" + gcmBody + "81" + ecdhHead + "a0" + wrap, verify.ErrMalformed},
		"ecdh, point off the curve":        {"d86084" + gcmBody + "81" + ecdhHead + "a120a40102200121" + baseX + "22" + baseX + wrap, verify.ErrMalformed},
		"ecdh, y by sign":                  {"d86084" + gcmBody + "81" + ecdhHead + "a120a40102200121" + baseX + "22f5" + wrap, nil},
		"ecdh, y by sign, off the curve":   {"d86084" + gcmBody + "81" + ecdhHead + "a120a401022001215820" + "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" + "22f5" + wrap, verify.ErrMalformed},
		"ecdh, y missing":                  {"d86084" + gcmBody + "81" + ecdhHead + "a120a30102200121" + baseX + wrap, verify.ErrMalformed},
		"ecdh, x of 31 bytes":              {"d86084" + gcmBody + "81" + ecdhHead + "a120a4010220012140" + "22" + baseY + wrap, verify.ErrMalformed},
		"ecdh, y of no bytes":              {"d86084" + gcmBody + "81" + ecdhHead + "a120a40102200121" + baseX + "2240" + wrap, verify.ErrMalformed},
		"CBR-03 label twice":               {"d8608443a10101a2054c" + iv12 + "054c" + iv12 + "f681" + kwPart, verify.ErrMalformed},
		"CBR-04 indefinite length":         {"d8609f" + gcmBody + "81" + kwPart + "ff", verify.ErrMalformed},
		"CBR-02 recipients of 2^32":        {"d86084" + gcmBody + "9affffffff", verify.ErrLimit},
		"unknown recipient of somebody":    {"d86084" + gcmBody + "828340a101390100" + wrap + kwPart, nil},
		"recipient of a recipient":         {"d86084" + gcmBody + "828440a10122" + wrap + "80" + kwPart, nil},
		"critical in somebody's recipient": {"d86084" + gcmBody + "828345a102811863" + "a10122" + wrap + kwPart, nil},
		"ecdh on a curve of somebody":      {"d86084" + gcmBody + "82" + ecdhHead + "a120a40102200221" + baseX + "22" + baseY + wrap + kwPart, nil},
		"ecdh with parties of somebody":    {"d86084" + gcmBody + "82" + ecdhHead + "a2354100" + "20a40102200121" + baseX + "22" + baseY + wrap + kwPart, nil},
	} {
		t.Run(name, func(t *testing.T) {
			info := unhex(test.info)
			_, err := cose.ParseEncryptionInfo(info)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("%v, want %v", err, test.want)
			}
			// No panic and no success with keys of every kind either: none is the right one.
			if _, err := cose.Decrypt(t.Context(), info, make([]byte, 40), everyKind(t)); err == nil && name != "direct" {
				t.Error("decrypted")
			}
		})
	}
	if _, err := cose.ParseEncryptionInfo(make([]byte, cose.MaxEncryptionInfoSize+1)); !errors.Is(err, verify.ErrLimit) {
		t.Errorf("above the limit: %v", err)
	}
}

func everyKind(tb testing.TB) *cose.RecipientKeys {
	tb.Helper()
	return recipientKeys(tb,
		cose.RecipientKey{Wrapper: testkeys.KeyWrapper(1, 16)},
		cose.RecipientKey{Wrapper: testkeys.KeyWrapper(1, 32)},
		cose.RecipientKey{Exchange: testkeys.ECDH(1)},
		cose.RecipientKey{Content: make([]byte, 24)})
}

// Only recipients that nobody here can serve: the reason comes out.
func TestNoUsableRecipient(t *testing.T) {
	for name, test := range map[string]struct {
		recipient string
		want      error
	}{
		"unknown algorithm": {"8340a101390100" + wrap, verify.ErrAlgorithm},
		"nested":            {"8440a10122" + wrap + "80", verify.ErrUnsupported},
		"critical":          {"8345a102811863" + "a10122" + wrap, verify.ErrUnsupported},
		"another curve":     {ecdhHead + "a120a40102200221" + baseX + "22" + baseY + wrap, verify.ErrAlgorithm},
		"parties":           {ecdhHead + "a2354100" + "20a40102200121" + baseX + "22" + baseY + wrap, verify.ErrUnsupported},
	} {
		info := unhex("d86084" + gcmBody + "81" + test.recipient)
		if _, err := cose.Decrypt(t.Context(), info, nil, everyKind(t)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		parsed, err := cose.ParseEncryptionInfo(info)
		if err != nil || !errors.Is(parsed.Recipients()[0].Err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The KDF context binds the recipient's protected header as it was received, in whatever encoding, and
// the salt goes into the derivation. Built here from the standard library alone.
func TestProtectedHeaderAsReceived(t *testing.T) {
	device, ephemeral := testkeys.ECDH(1), testkeys.ECDH(2)
	point := ephemeral.PublicKey().Bytes()
	secret, err := ephemeral.ECDH(device.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ protected, salt []byte }{
		"shortest":         {unhex("a101381c"), nil},
		"longer integer":   {unhex("a10139001c"), nil},
		"another header":   {unhex("a201381c0300"), nil},
		"with a salt":      {unhex("a101381c"), []byte("salt")},
		"salt and another": {unhex("a201381c0300"), []byte("salt")},
	} {
		context := bytes.Join([][]byte{unhex("842283f6f6f683f6f6f6831880"), bstr(test.protected), bstr([]byte("SUIT Payload Encryption"))}, nil)
		kek, err := hkdf.Key(sha256.New, secret, test.salt, string(context), 16)
		if err != nil {
			t.Fatal(err)
		}
		cek := []byte("content key 1234")
		wrapped, err := wrapper(t, kek).WrapKey(t.Context(), cek)
		if err != nil {
			t.Fatal(err)
		}
		header := unhex("a1")
		if test.salt != nil {
			header = append(unhex("a233"), bstr(test.salt)...)
		}
		header = bytes.Join([][]byte{header, unhex("20a40102200121"), bstr(point[1:33]), {0x22}, bstr(point[33:])}, nil)
		info := bytes.Join([][]byte{unhex("d86084" + ctrBody + "8183"), bstr(test.protected), header, bstr(wrapped)}, nil)
		want := whole(t, cose.A128CTR, cek, unhex("000102030405060708090a0b0c0d0e0f"), nil, image)
		got, err := cose.Decrypt(t.Context(), info, image, recipientKeys(t, cose.RecipientKey{Exchange: device}))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// brokenToken fails as a bus fails, not as a wrong key does.
type brokenToken struct{ verify.KeyWrapper }

var errBus = errors.New("bus error")

func (brokenToken) UnwrapKey(context.Context, []byte) ([]byte, error) { return nil, errBus }

type brokenExchange struct{ *ecdh.PrivateKey }

func (brokenExchange) ECDH(*ecdh.PublicKey) ([]byte, error) { return nil, errBus }

func TestBrokenTokens(t *testing.T) {
	w, x := testkeys.KeyWrapper(1, 16), testkeys.ECDH(1)
	info, ciphertext := encrypt(t, cose.A128GCM, image, cose.Recipient{Wrapper: w}, cose.Recipient{Public: x.PublicKey()})
	for _, k := range []cose.RecipientKey{{Wrapper: brokenToken{w}}, {Exchange: brokenExchange{x}}} {
		if _, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, k)); !errors.Is(err, errBus) || !errors.Is(err, verify.ErrDecrypt) {
			t.Errorf("%v", err)
		}
	}
	// Another key that works is enough.
	both := recipientKeys(t, cose.RecipientKey{Wrapper: brokenToken{w}}, cose.RecipientKey{Exchange: x})
	if got, err := cose.Decrypt(t.Context(), info, ciphertext, both); err != nil || !bytes.Equal(got, image) {
		t.Errorf("with a second key: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cose.Decrypt(canceled, info, ciphertext, recipientKeys(t, cose.RecipientKey{Exchange: x})); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Every bit of every published encryption info: what still decrypts gives the published image.
func TestCOS_14_InfoAltered(t *testing.T) {
	plaintext := suitFile(t, "plaintext.bin")
	for _, name := range []string{"aes-kw-aes-gcm", "aes-kw-aes-ctr", "es-ecdh-aes-gcm", "es-ecdh-aes-ctr"} {
		info, ciphertext := suitFile(t, "suit-encryption-info-"+name+".cbor"), suitFile(t, "encrypted-payload-"+name+".bin")
		for bit := range 8 * len(info) {
			bad := bytes.Clone(info)
			bad[bit/8] ^= 1 << (bit % 8)
			got, err := cose.Decrypt(t.Context(), bad, ciphertext, suitKeys(t))
			if err == nil && !bytes.Equal(got, plaintext) && !bytes.HasSuffix([]byte(name), []byte("ctr")) {
				t.Errorf("%s: bit %d flipped: %q", name, bit, got)
			}
		}
		for n := range info {
			if _, err := cose.Decrypt(t.Context(), info[:n], ciphertext, suitKeys(t)); !errors.Is(err, verify.ErrMalformed) {
				t.Errorf("%s: cut to %d bytes: %v", name, n, err)
			}
		}
	}
}
