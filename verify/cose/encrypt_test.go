// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cose_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var image = bytes.Repeat([]byte("firmware image "), 5000) // 75,000 bytes: more than two buffers

func encrypt(tb testing.TB, alg cose.ContentAlgorithm, plaintext []byte, to ...cose.Recipient) (info, ciphertext []byte) {
	tb.Helper()
	info, ciphertext, err := cose.Encrypt(tb.Context(), alg, plaintext, to...)
	if err != nil {
		tb.Fatal(err)
	}
	return info, ciphertext
}

func TestEncryptForManyRecipients(t *testing.T) {
	var to []cose.Recipient
	var keys []cose.RecipientKey
	add := func(r cose.Recipient, k cose.RecipientKey) {
		to, keys = append(to, r), append(keys, k)
	}
	for i := range 5 {
		kid := fmt.Appendf(nil, "device %d", i)
		w, x := testkeys.KeyWrapper(i, 16), testkeys.ECDH(i)
		add(cose.Recipient{KID: kid, Wrapper: w}, cose.RecipientKey{KID: kid, Wrapper: w})
		add(cose.Recipient{Wrapper: testkeys.KeyWrapper(i, 32)}, cose.RecipientKey{Wrapper: testkeys.KeyWrapper(i, 32)})
		add(cose.Recipient{KID: kid, Public: x.PublicKey()}, cose.RecipientKey{KID: kid, Exchange: x})
		add(cose.Recipient{Public: testkeys.ECDH(10 + i).PublicKey()}, cose.RecipientKey{Exchange: testkeys.ECDH(10 + i)})
	}
	for _, alg := range contentAlgorithms {
		info, ciphertext := encrypt(t, alg, image, to...)
		if int64(len(ciphertext)) != int64(len(image))+alg.Overhead() || bytes.Contains(ciphertext, image[:16]) {
			t.Errorf("%v: ciphertext of %d bytes", alg, len(ciphertext))
		}
		for i, k := range keys {
			got, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, k))
			if err != nil || !bytes.Equal(got, image) {
				t.Errorf("%v: recipient %d: %v", alg, i, err)
			}
			nameless := k
			nameless.KID = nil
			if got, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, nameless)); err != nil || !bytes.Equal(got, image) {
				t.Errorf("%v: recipient %d without a name: %v", alg, i, err)
			}
		}
		parsed, err := cose.ParseEncryptionInfo(info)
		if err != nil || parsed.Algorithm() != alg || len(parsed.Recipients()) != len(to) {
			t.Fatalf("%v: %v", alg, err)
		}
		for i, r := range parsed.Recipients() {
			if !bytes.Equal(r.KID, to[i].KID) || r.Err != nil {
				t.Errorf("%v: recipient %d is %v", alg, i, r)
			}
		}
	}
}

func TestDecryptInAnyPieces(t *testing.T) {
	k := testkeys.KeyWrapper(1, 16)
	keys := recipientKeys(t, cose.RecipientKey{Wrapper: k})
	for _, alg := range contentAlgorithms {
		for _, size := range []int{0, 1, 15, 16, 17, 32<<10 - 16, 32<<10 - 1, 32 << 10, 32<<10 + 1, len(image)} {
			info, ciphertext := encrypt(t, alg, image[:size], cose.Recipient{Wrapper: k})
			for _, step := range []int{1, 7, 16, 4096, 32<<10 - 1, 32 << 10, 50_000} {
				if step < 16 && size > 100 {
					continue
				}
				var out bytes.Buffer
				d, err := cose.NewDecrypter(t.Context(), info, keys, &out)
				if err != nil {
					t.Fatal(err)
				}
				for rest := ciphertext; len(rest) > 0; {
					n := min(step, len(rest))
					if taken, err := d.Write(rest[:n]); err != nil || taken != n {
						t.Fatalf("Write = %d, %v", taken, err)
					}
					rest = rest[n:]
					if want := len(ciphertext) - len(rest) - int(alg.Overhead()); out.Len() != max(want, 0) {
						t.Fatalf("%v: %d bytes released, want %d", alg, out.Len(), want)
					}
				}
				if err := d.Close(); err != nil || !bytes.Equal(out.Bytes(), image[:size]) {
					t.Errorf("%v, %d bytes in steps of %d: %v", alg, size, step, err)
				}
				if _, err := d.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("Write after Close: %v", err)
				}
				if err := d.Close(); err != nil {
					t.Errorf("Close again: %v", err)
				}
			}
		}
	}
}

func TestCOS_14_CiphertextAltered(t *testing.T) {
	k := testkeys.KeyWrapper(1, 16)
	keys := recipientKeys(t, cose.RecipientKey{Wrapper: k})
	for _, alg := range contentAlgorithms {
		info, ciphertext := encrypt(t, alg, []byte("a short image"), cose.Recipient{Wrapper: k})
		bad := map[string][]byte{
			"tag truncated":    ciphertext[:max(len(ciphertext)-1, 0)],
			"tag gone":         ciphertext[:max(len(ciphertext)-16, 0)],
			"nothing":          {},
			"15 bytes":         ciphertext[:min(15, len(ciphertext))],
			"a byte more":      append(bytes.Clone(ciphertext), 0),
			"first byte gone":  ciphertext[1:],
			"zeros":            make([]byte, len(ciphertext)),
			"tag of all zeros": append(bytes.Clone(ciphertext[:max(len(ciphertext)-16, 0)]), make([]byte, 16)...),
		}
		for bit := range 8 * len(ciphertext) {
			b := bytes.Clone(ciphertext)
			b[bit/8] ^= 1 << (bit % 8)
			bad[fmt.Sprint("bit ", bit)] = b
		}
		for name, b := range bad {
			got, err := cose.Decrypt(t.Context(), info, b, keys)
			if !alg.Authenticated() {
				continue // AES-CTR takes anything: why Authenticated exists, see below
			}
			if !errors.Is(err, verify.ErrDecrypt) || got != nil {
				t.Errorf("%v, %s: %d bytes of plaintext, %v", alg, name, len(got), err)
			}
		}
	}
	for _, alg := range contentAlgorithms {
		if want := alg != cose.A128CTR && alg != cose.A256CTR; alg.Authenticated() != want || (alg.Overhead() == 16) != want {
			t.Errorf("%v: Authenticated %v, Overhead %d", alg, alg.Authenticated(), alg.Overhead())
		}
	}
}

// A stream ends in an error that stays, and says so at Close at the latest.
func TestCOS_14_StreamAltered(t *testing.T) {
	k := testkeys.KeyWrapper(1, 32)
	info, ciphertext := encrypt(t, cose.A128GCM, image, cose.Recipient{Wrapper: k})
	ciphertext[0] ^= 1
	var out bytes.Buffer
	d, err := cose.NewDecrypter(t.Context(), info, recipientKeys(t, cose.RecipientKey{Wrapper: k}), &out)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(d, iotest.OneByteReader(bytes.NewReader(ciphertext))); err != nil || n != int64(len(ciphertext)) {
		t.Fatalf("copy: %d, %v", n, err)
	}
	for range 2 {
		if err := d.Close(); !errors.Is(err, verify.ErrDecrypt) {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestCOS_14_WrongRecipient(t *testing.T) {
	kid := []byte("device")
	w, x := testkeys.KeyWrapper(1, 16), testkeys.ECDH(1)
	infoKW, ctKW := encrypt(t, cose.A128GCM, image, cose.Recipient{KID: kid, Wrapper: w})
	infoEC, ctEC := encrypt(t, cose.A128GCM, image, cose.Recipient{KID: kid, Public: x.PublicKey()})
	for name, test := range map[string]struct {
		info, ciphertext []byte
		keys             []cose.RecipientKey
		want             error
	}{
		"another key of that name":      {infoKW, ctKW, []cose.RecipientKey{{KID: kid, Wrapper: testkeys.KeyWrapper(2, 16)}}, verify.ErrDecrypt},
		"both keys of that name":        {infoKW, ctKW, []cose.RecipientKey{{KID: kid, Wrapper: testkeys.KeyWrapper(2, 16)}, {KID: kid, Wrapper: w}}, nil},
		"the key under another name":    {infoKW, ctKW, []cose.RecipientKey{{KID: []byte("other"), Wrapper: w}}, verify.ErrKeyUnknown},
		"a longer key of that name":     {infoKW, ctKW, []cose.RecipientKey{{KID: kid, Wrapper: testkeys.KeyWrapper(1, 32)}}, verify.ErrKeyUnknown},
		"an ecdh key for a wrapped one": {infoKW, ctKW, []cose.RecipientKey{{KID: kid, Exchange: x}}, verify.ErrKeyUnknown},
		"a content key for a wrapped":   {infoKW, ctKW, []cose.RecipientKey{{KID: kid, Content: make([]byte, 16)}}, verify.ErrKeyUnknown},
		"another ecdh key":              {infoEC, ctEC, []cose.RecipientKey{{KID: kid, Exchange: testkeys.ECDH(2)}}, verify.ErrDecrypt},
		"an ecdh key under no name":     {infoEC, ctEC, []cose.RecipientKey{{Exchange: testkeys.ECDH(2)}, {Exchange: x}}, nil},
		"another message's ciphertext":  {infoKW, ctEC, []cose.RecipientKey{{KID: kid, Wrapper: w}}, verify.ErrDecrypt},
	} {
		got, err := cose.Decrypt(t.Context(), test.info, test.ciphertext, recipientKeys(t, test.keys...))
		if !errors.Is(err, test.want) || (err == nil) != bytes.Equal(got, image) {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(got), err, test.want)
		}
	}
	if _, err := cose.Decrypt(t.Context(), infoKW, ctKW, nil); !errors.Is(err, verify.ErrKeyUnknown) {
		t.Errorf("no keys: %v", err)
	}
}

// Key, IV and ephemeral key are new each time, and no caller can bring its own.
func TestCOS_14_NonceReuse(t *testing.T) {
	k, x := testkeys.KeyWrapper(1, 16), testkeys.ECDH(1)
	seen := make(map[string]bool)
	for range 50 {
		for _, alg := range contentAlgorithms {
			info, ciphertext := encrypt(t, alg, image[:32], cose.Recipient{Wrapper: k}, cose.Recipient{Public: x.PublicKey()})
			iv := bytes.Index(info, []byte{5, 0x4c})
			if !alg.Authenticated() {
				iv = bytes.Index(info, []byte{5, 0x50})
			}
			for _, part := range [][]byte{info[iv : iv+14], info[len(info)-24:], ciphertext[:16]} {
				if seen[string(part)] {
					t.Fatalf("%v: %x twice", alg, part)
				}
				seen[string(part)] = true
			}
		}
	}
}

func TestBoundedAttempts(t *testing.T) {
	var to []cose.Recipient
	for i := range 9 {
		to = append(to, cose.Recipient{Wrapper: testkeys.KeyWrapper(i, 16)})
	}
	info, ciphertext := encrypt(t, cose.A128CTR, image[:1], to...)
	calls := 0
	var keys []cose.RecipientKey
	for i := range 8 {
		keys = append(keys, cose.RecipientKey{Wrapper: countingWrapper{testkeys.KeyWrapper(100+i, 16), &calls}})
	}
	if _, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, keys...)); !errors.Is(err, verify.ErrLimit) || calls != verify.MaxCandidates {
		t.Errorf("%d attempts, %v", calls, err)
	}
	// A name needs no search: among 1024 recipients, one attempt.
	to = nil
	for i := range cose.MaxRecipients {
		to = append(to, cose.Recipient{KID: fmt.Appendf(nil, "device %d", i), Wrapper: testkeys.KeyWrapper(i, 16)})
	}
	info, ciphertext = encrypt(t, cose.A128CTR, image[:1], to...)
	calls = 0
	last := recipientKeys(t, cose.RecipientKey{KID: []byte("device 1023"), Wrapper: countingWrapper{testkeys.KeyWrapper(1023, 16), &calls}})
	if got, err := cose.Decrypt(t.Context(), info, ciphertext, last); err != nil || got[0] != image[0] || calls != 1 {
		t.Errorf("%d attempts, %v", calls, err)
	}
	calls = 0
	namelessFirst := recipientKeys(t, cose.RecipientKey{Wrapper: countingWrapper{testkeys.KeyWrapper(2000, 16), &calls}},
		cose.RecipientKey{KID: []byte("device 1023"), Wrapper: testkeys.KeyWrapper(1023, 16)})
	if _, err := cose.Decrypt(t.Context(), info, ciphertext, namelessFirst); err != nil || calls != 0 {
		t.Errorf("%d attempts with a nameless key although another is named, %v", calls, err)
	}
	if _, _, err := cose.Encrypt(t.Context(), cose.A128CTR, image[:1], append(to, to[0])...); !errors.Is(err, verify.ErrLimit) {
		t.Errorf("one recipient too many: %v", err)
	}
}

// What is encrypted, every recipient decrypts: one without a name finds their place among as many as attempts are made at, after
// however many with names; more than can be found are refused.
func TestEncryptOnlyForWhoCanDecrypt(t *testing.T) {
	var to []cose.Recipient
	for i := range 3 * verify.MaxCandidates {
		to = append(to, cose.Recipient{KID: fmt.Appendf(nil, "device %d", i), Wrapper: testkeys.KeyWrapper(1000+i, 16)})
	}
	for i := range verify.MaxCandidates {
		to = append(to, cose.Recipient{Wrapper: testkeys.KeyWrapper(i, 16)})
	}
	for i := range verify.MaxCandidates {
		to = append(to, cose.Recipient{KID: []byte("all of one kind"), Wrapper: testkeys.KeyWrapper(500+i, 16)})
	}
	info, ciphertext := encrypt(t, cose.A128GCM, image[:32], to...)
	for i, r := range to {
		got, err := cose.Decrypt(t.Context(), info, ciphertext, recipientKeys(t, cose.RecipientKey{KID: r.KID, Wrapper: r.Wrapper}))
		if err != nil || !bytes.Equal(got, image[:32]) {
			t.Fatalf("recipient %d: %v", i, err)
		}
	}
	for _, kid := range [][]byte{nil, []byte("all of one kind")} {
		more := append(to, cose.Recipient{KID: kid, Wrapper: testkeys.KeyWrapper(1, 16)})
		if _, _, err := cose.Encrypt(t.Context(), cose.A128GCM, image[:32], more...); !errors.Is(err, verify.ErrLimit) {
			t.Errorf("one more named %q: got %v, want ErrLimit", kid, err)
		}
	}
}

type countingWrapper struct {
	verify.KeyWrapper
	calls *int
}

func (c countingWrapper) UnwrapKey(ctx context.Context, wrapped []byte) ([]byte, error) {
	*c.calls++
	return c.KeyWrapper.UnwrapKey(ctx, wrapped)
}

func TestEncryptRefuses(t *testing.T) {
	k := cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		alg  cose.ContentAlgorithm
		to   []cose.Recipient
		want error
	}{
		"nobody":       {t.Context(), cose.A128GCM, nil, verify.ErrLimit},
		"A192GCM":      {t.Context(), 2, []cose.Recipient{k}, verify.ErrAlgorithm},
		"no algorithm": {t.Context(), 0, []cose.Recipient{k}, verify.ErrAlgorithm},
		"no key":       {t.Context(), cose.A128GCM, []cose.Recipient{{}}, verify.ErrPolicy},
		"two keys":     {t.Context(), cose.A128GCM, []cose.Recipient{{Wrapper: k.Wrapper, Public: testkeys.ECDH(1).PublicKey()}}, verify.ErrPolicy},
		"a macer":      {t.Context(), cose.A128GCM, []cose.Recipient{{Macer: testkeys.Macer(1)}}, verify.ErrUnsupported},
		"P-384":        {t.Context(), cose.A128GCM, []cose.Recipient{{Public: p384(t).PublicKey()}}, verify.ErrAlgorithm},
		"empty kid":    {t.Context(), cose.A128GCM, []cose.Recipient{{KID: []byte{}, Wrapper: k.Wrapper}}, verify.ErrLimit},
		"long kid":     {t.Context(), cose.A128GCM, []cose.Recipient{{KID: make([]byte, verify.MaxKIDSize+1), Wrapper: k.Wrapper}}, verify.ErrLimit},
		"canceled":     {canceled, cose.A128GCM, []cose.Recipient{k}, context.Canceled},
	} {
		if _, _, err := cose.Encrypt(test.ctx, test.alg, image, test.to...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestRecipientKeysRefuses(t *testing.T) {
	w := testkeys.KeyWrapper(1, 16)
	for name, test := range map[string]struct {
		keys []cose.RecipientKey
		want error
	}{
		"none":        {nil, verify.ErrPolicy},
		"no secret":   {[]cose.RecipientKey{{KID: []byte("k")}}, verify.ErrPolicy},
		"two secrets": {[]cose.RecipientKey{{Wrapper: w, Content: []byte{1}}}, verify.ErrPolicy},
		"P-384":       {[]cose.RecipientKey{{Exchange: p384(t)}}, verify.ErrAlgorithm},
		"empty kid":   {[]cose.RecipientKey{{KID: []byte{}, Wrapper: w}}, verify.ErrLimit},
		"too many":    {make([]cose.RecipientKey, verify.MaxCandidates+1), verify.ErrLimit},
	} {
		if _, err := cose.NewRecipientKeys(test.keys...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	key := cose.RecipientKey{Content: []byte("secret secret!!!")}
	set := recipientKeys(t, key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		text := fmt.Sprintf(strings.Repeat(verb, 3), key, &key, set)
		if strings.Contains(text, "secret secret") || strings.Contains(text, "736563") || strings.Contains(text, "115 101") {
			t.Errorf("%s prints the secret: %s", verb, text)
		}
	}
}

// failingWriter takes n bytes.
type failingWriter struct{ n int }

var errDisk = errors.New("disk full")

func (f *failingWriter) Write(p []byte) (int, error) {
	if len(p) > f.n {
		return f.n, errDisk
	}
	f.n -= len(p)
	return len(p), nil
}

// shortWriter writes less than it was given and says nothing.
type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestStreamErrors(t *testing.T) {
	k := testkeys.KeyWrapper(1, 16)
	keys := recipientKeys(t, cose.RecipientKey{Wrapper: k})
	info, ciphertext := encrypt(t, cose.A128GCM, image, cose.Recipient{Wrapper: k})
	for name, test := range map[string]struct {
		dst  io.Writer
		room int64
		want error
	}{
		"disk full":   {&failingWriter{40_000}, 1 << 30, errDisk},
		"short write": {shortWriter{}, 1 << 30, io.ErrShortWrite},
		"too long":    {io.Discard, int64(len(image) - 1), verify.ErrLimit},
		"just fits":   {io.Discard, int64(len(image)), nil},
	} {
		d, err := cose.NewDecrypter(t.Context(), info, keys, test.dst)
		if err != nil {
			t.Fatal(err)
		}
		d.ShortenRoom(test.room)
		_, err = d.Write(ciphertext)
		if closed := d.Close(); !errors.Is(err, test.want) || !errors.Is(closed, test.want) {
			t.Errorf("decrypt, %s: %v, then %v, want %v", name, err, closed, test.want)
		}
		if f, ok := test.dst.(*failingWriter); ok {
			f.n = 40_000
		}
		e, err := cose.NewEncrypter(t.Context(), cose.A128GCM, test.dst, cose.Recipient{Wrapper: k})
		if err != nil {
			t.Fatal(err)
		}
		e.ShortenRoom(test.room)
		_, err = e.Write(image)
		if closed := e.Close(); !errors.Is(err, test.want) || !errors.Is(closed, test.want) {
			t.Errorf("encrypt, %s: %v, then %v, want %v", name, err, closed, test.want)
		}
		if _, err := e.Write(image); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("encrypt after Close: %v", err)
		}
	}
}

// A key of the wrong length does not hide the right one behind it.
func TestContentKeyLength(t *testing.T) {
	info := unhex("d86084" + ctrBody + "818340a1012540")
	right := bytes.Repeat([]byte{1}, 16)
	keys := recipientKeys(t, cose.RecipientKey{Content: make([]byte, 24)}, cose.RecipientKey{Content: right})
	want := whole(t, cose.A128CTR, right, unhex("000102030405060708090a0b0c0d0e0f"), nil, image)
	if got, err := cose.Decrypt(t.Context(), info, image, keys); err != nil || !bytes.Equal(got, want) {
		t.Errorf("second key: %v", err)
	}
	if _, err := cose.Decrypt(t.Context(), info, image, recipientKeys(t, cose.RecipientKey{Content: make([]byte, 24)})); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("wrong length alone: %v", err)
	}
}
