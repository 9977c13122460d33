// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

var acceptAll = verify.PolicyFunc(func(verify.Evidence) error { return nil })

func TestNothingIsTrustedByDefault(t *testing.T) {
	b := seal(t, goodParts().manifest())
	keys, policy := oneOf(t, signer.Public())
	for name, open := range map[string]func() (*manifest.Verified, error){
		"no keys":    func() (*manifest.Verified, error) { return manifest.OpenBytes(b, nil, policy) },
		"no policy":  func() (*manifest.Verified, error) { return manifest.OpenBytes(b, keys, nil) },
		"nil policy": func() (*manifest.Verified, error) { return manifest.OpenBytes(b, keys, verify.PolicyFunc(nil)) },
		"zero set":   func() (*manifest.Verified, error) { return manifest.OpenBytes(b, new(verify.KeySet), policy) },
	} {
		if v, err := open(); !errors.Is(err, verify.ErrPolicy) || v != nil {
			t.Errorf("%s: got %v, want ErrPolicy", name, err)
		}
	}
}

// Even a policy that accepts everything does not open what nobody signed.
func TestGenerousPolicy(t *testing.T) {
	m := goodParts().manifest()
	keys, _ := oneOf(t, signer.Public())
	stranger, _ := oneOf(t, testkeys.P256(9).Public())
	signed := seal(t, m)
	if _, err := manifest.OpenBytes(signed, keys, acceptAll); err != nil {
		t.Errorf("signed: %v", err)
	}
	var refusal *verify.PolicyError
	_, err := manifest.OpenBytes(signed, stranger, acceptAll)
	if !errors.As(err, &refusal) || !errors.Is(err, verify.ErrSignature) {
		t.Errorf("signed by a stranger: got %v, want a policy error for ErrSignature", err)
	}
	_, err = manifest.OpenBytes(envelope(arr(bstr(sum(bstr(m)))), m), keys, acceptAll)
	if !errors.As(err, &refusal) || !errors.Is(err, verify.ErrThreshold) {
		t.Errorf("unsigned: got %v, want a policy error for ErrThreshold", err)
	}
}

// A policy's own error is found through the *PolicyError.
func TestPolicyErrorIsKept(t *testing.T) {
	own := errors.New("not on a Friday")
	keys, _ := oneOf(t, signer.Public())
	_, err := manifest.OpenBytes(seal(t, goodParts().manifest()), keys, verify.PolicyFunc(func(e verify.Evidence) error {
		if len(e.Keys("")) != 1 {
			t.Errorf("evidence has %d keys, want 1", len(e.Keys("")))
		}
		return own
	}))
	var refusal *verify.PolicyError
	if !errors.As(err, &refusal) || !errors.Is(err, own) || !errors.Is(err, verify.ErrPolicy) {
		t.Errorf("got %v, want a policy error around the policy's own", err)
	}
}

// Section 6.2: nothing inside a manifest is looked at before it is
// authenticated. So an unauthenticated manifest full of
// mistakes is refused for its signature, not for its mistakes.
func TestAuthenticateBeforeParsing(t *testing.T) {
	keys, policy := oneOf(t, testkeys.P256(9).Public())
	for name, m := range map[string][]byte{"not cbor": {0xff, 0xff}, "empty": {}, "unsupported": dict(num(1), num(9))} {
		if _, err := manifest.OpenBytes(seal(t, m), keys, policy); !errors.Is(err, verify.ErrSignature) || errors.Is(err, manifest.ErrUnsupported) {
			t.Errorf("%s: got %v, want only ErrSignature", name, err)
		}
		if _, err := openOwn(t, seal(t, m)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestCOS_05_Digest(t *testing.T) {
	m := goodParts().manifest()
	good := verify.Sum(verify.SHA256, bstr(m)).Bytes()
	wrap := func(digest []byte) []byte {
		block, err := cose.SignSign1(t.Context(), signer, cose.ES256, digest)
		if err != nil {
			t.Fatal(err)
		}
		return envelope(arr(bstr(digest), bstr(block)), m)
	}
	contentOnly := verify.Sum(verify.SHA256, m).Bytes() // without the byte string head
	checkInputs(t, map[string]inputTest{
		"other bytes":  {wrap(arr(num(-16), bstr(make([]byte, 32)))), manifest.ErrDigest},
		"content only": {wrap(arr(num(-16), bstr(contentOnly))), manifest.ErrDigest},
		"truncated":    {wrap(arr(num(-16), bstr(good[:16]))), manifest.ErrDigest},
		"empty":        {wrap(arr(num(-16), bstr())), manifest.ErrDigest},
		"sha-1":        {wrap(arr(num(-14), bstr(good[:20]))), verify.ErrAlgorithm},
		"sha-256/64":   {wrap(arr(num(-15), bstr(good[:8]))), verify.ErrAlgorithm},
		"shake128":     {wrap(arr(num(-18), bstr(good))), verify.ErrAlgorithm},
		"unknown":      {wrap(arr(num(1<<40), bstr(good))), verify.ErrAlgorithm},
		"as text":      {wrap(arr(tstr("sha256"), bstr(good))), manifest.ErrMalformed},
		"wrong name":   {wrap(arr(num(-44), bstr(good))), manifest.ErrDigest},
		"bytes alone":  {wrap(arr(bstr(good))), manifest.ErrMalformed},
	})
	for _, h := range []verify.Hash{verify.SHA384, verify.SHA512} {
		v, err := openOwn(t, wrap(arr(num(int64(h)), bstr(verify.Sum(h, bstr(m)).Bytes()))))
		if err != nil || v.Digest() != verify.Sum(h, bstr(m)) {
			t.Errorf("%v: %v", h, err)
		}
	}
}

// A signature is over one manifest: moved to another, it does not verify.
func TestCOS_12_SwappedManifest(t *testing.T) {
	u, err := manifest.InspectBytes(seal(t, goodParts().manifest()))
	if err != nil {
		t.Fatal(err)
	}
	e := u.Envelope()
	e.Manifest.SequenceNumber++
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openOwn(t, b); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("got %v, want ErrSignature", err)
	}
}

func spoil(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

// changing is a reader whose bytes change after they have been read.
type changing struct {
	b     []byte
	reads int
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	n := copy(p, c.b[off:])
	spoil(c.b[off : off+int64(n)])
	return n, nil
}

// covers: REG-12, REG-13, REG-27
func TestCMD_14_PrivateCopy(t *testing.T) {
	b := seal(t, goodParts().manifest())
	keys, policy := oneOf(t, signer.Public())
	r := &changing{b: bytes.Clone(b)}
	v, err := manifest.Open(r, int64(len(b)), keys, policy)
	if err != nil || r.reads != 1 {
		t.Fatalf("%v after %d reads, want one", err, r.reads)
	}
	mine := bytes.Clone(b)
	w, err := manifest.OpenBytes(mine, keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	spoil(mine)
	mine = bytes.Clone(b)
	u, err := manifest.InspectBytes(mine)
	if err != nil {
		t.Fatal(err)
	}
	spoil(mine)
	if got := u.Envelope().Manifest.Components[0].String(); got != "00" {
		t.Errorf("inspected component %q, want 00", got)
	}
	for _, v := range []*manifest.Verified{v, w} {
		if got := v.Manifest().Components[0].String(); got != "00" {
			t.Errorf("component %q, want 00", got)
		}
	}
}

// What a Verified gives away cannot be used to change it.
func TestVerifiedIsImmutable(t *testing.T) {
	keys, policy := suitKeys(t)
	v, err := manifest.OpenBytes(vector(t, "manifest/example3"), keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	before, err := (&manifest.Envelope{Manifest: v.Manifest()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := v.Manifest()
	m.Components[0][0][0] = 9
	m.Shared[0].Parameters.VendorID[0] = 9
	*m.Shared[1].Sequences[0][0].Parameters.Slot = 9
	seq, _ := v.Section(manifest.SectionInstall)
	*seq[0].Sequences[1][2].Parameters.URI = "http://elsewhere/"
	seq[1].Code = manifest.ConditionAbort
	v.Evidence().Signatures[0] = verify.Signature{}
	after, err := (&manifest.Envelope{Manifest: v.Manifest()}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) || !v.Evidence().Signatures[0].Verified() {
		t.Error("the verified manifest has changed")
	}
}

func TestOpenReads(t *testing.T) {
	b := seal(t, goodParts().manifest())
	keys, policy := oneOf(t, signer.Public())
	size := int64(len(b))
	if _, err := manifest.Open(bytes.NewReader(b), size, keys, policy); err != nil {
		t.Error(err)
	}
	if _, err := manifest.Open(bytes.NewReader(b), size+1, keys, policy); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short reader: got %v, want ErrUnexpectedEOF", err)
	}
	for size, want := range map[int64]error{0: manifest.ErrMalformed, -1: manifest.ErrMalformed, manifest.MaxEnvelopeSize + 1: manifest.ErrLimit} {
		if _, err := manifest.Open(bytes.NewReader(b), size, keys, policy); !errors.Is(err, want) {
			t.Errorf("size %d: got %v, want %v", size, err, want)
		}
		if _, err := manifest.Inspect(bytes.NewReader(b), size); !errors.Is(err, want) {
			t.Errorf("inspect size %d: got %v, want %v", size, err, want)
		}
	}
}

func TestIntegratedPayload(t *testing.T) {
	v, err := openOwn(t, seal(t, goodParts().manifest(), tstr("#a"), bstr([]byte("one")), tstr("#b"), bstr()))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := v.IntegratedPayload("#a"); !ok || string(got) != "one" {
		t.Errorf("#a: got %q, %t", got, ok)
	}
	if got, ok := v.IntegratedPayload("#b"); !ok || len(got) != 0 {
		t.Errorf("#b: got %q, %t", got, ok)
	}
	if _, ok := v.IntegratedPayload("a"); ok {
		t.Error("a: found, want byte for byte comparison")
	}
	checkInputs(t, map[string]inputTest{
		"key with newline": {seal(t, goodParts().manifest(), tstr("#\n"), bstr()), manifest.ErrMalformed},
		"not a bstr":       {seal(t, goodParts().manifest(), tstr("#a"), tstr("")), manifest.ErrMalformed},
	})
}
