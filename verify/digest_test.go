// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/verify"
)

func TestDigestKnownValues(t *testing.T) {
	// FIPS 180-4 example "abc".
	for _, want := range []string{
		"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
		"sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	} {
		d, err := verify.ParseDigest(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := verify.Sum(d.Hash(), []byte("abc")); got != d {
			t.Errorf("Sum(abc) = %v, want %v", got, want)
		}
		got, n, err := verify.SumReader(d.Hash(), strings.NewReader("abc"))
		if err != nil || n != 3 || got != d {
			t.Errorf("SumReader(abc) = %v, %d, %v, want %v", got, n, err, want)
		}
		if again, err := verify.NewDigest(d.Hash(), d.Bytes()); err != nil || again != d {
			t.Errorf("NewDigest(Bytes) = %v, %v, want %v", again, err, d)
		}
	}
}

func TestCOS_05_NewDigest(t *testing.T) {
	for name, test := range map[string]struct {
		hash verify.Hash
		size int
		want error
	}{
		"no algorithm":        {0, 32, verify.ErrAlgorithm},
		"sha-1":               {-14, 20, verify.ErrAlgorithm},
		"sha-256/64":          {-15, 8, verify.ErrAlgorithm},
		"shake128":            {-18, 32, verify.ErrAlgorithm},
		"empty":               {verify.SHA256, 0, verify.ErrMalformed},
		"truncated":           {verify.SHA256, 31, verify.ErrMalformed},
		"too long":            {verify.SHA256, 33, verify.ErrMalformed},
		"length of another":   {verify.SHA384, 32, verify.ErrMalformed},
		"sha256 as long as 5": {verify.SHA256, 64, verify.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := verify.NewDigest(test.hash, make([]byte, test.size))
			if !errors.Is(err, test.want) || !d.IsZero() {
				t.Errorf("NewDigest = %v, %v, want %v", d, err, test.want)
			}
		})
	}
	// An all-zero value is a digest, and not the zero Digest.
	if d, err := verify.NewDigest(verify.SHA256, make([]byte, 32)); err != nil || d.IsZero() {
		t.Errorf("digest of zeros = %v, %v", d, err)
	}
}

func TestParseDigestOneForm(t *testing.T) {
	good := verify.Sum(verify.SHA256, nil).String()
	for name, text := range map[string]string{
		"empty":         "",
		"no colon":      "sha256" + good[7:],
		"upper case":    "sha256:" + strings.ToUpper(good[7:]),
		"upper name":    "SHA256:" + good[7:],
		"short":         good[:len(good)-2],
		"odd":           good[:len(good)-1],
		"long":          good + "00",
		"space":         good + " ",
		"not hex":       good[:len(good)-1] + "g",
		"other hash":    "sha512:" + good[7:],
		"unknown":       "md5:d41d8cd98f00b204e9800998ecf8427e",
		"none":          "none",
		"colon in text": "sha256::" + good[8:],
	} {
		t.Run(name, func(t *testing.T) {
			_, err := verify.ParseDigest(text)
			if !errors.Is(err, verify.ErrMalformed) && !errors.Is(err, verify.ErrAlgorithm) {
				t.Errorf("ParseDigest(%q): %v", text, err)
			}
		})
	}
}

func TestZeroDigest(t *testing.T) {
	var zero verify.Digest
	if !zero.IsZero() || zero.Bytes() != nil || zero.Hash() != 0 || zero.String() != "none" {
		t.Errorf("zero digest: %v %v %v", zero.Bytes(), zero.Hash(), zero)
	}
	if _, err := json.Marshal(zero); err == nil {
		t.Error("the zero digest marshals")
	}
	d := verify.Sum(verify.SHA384, []byte("x"))
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back verify.Digest
	if err := json.Unmarshal(text, &back); err != nil || back != d {
		t.Errorf("json round trip = %v, %v, want %v", back, err, d)
	}
	if err := json.Unmarshal([]byte(`"none"`), &back); !errors.Is(err, verify.ErrMalformed) || back != d {
		t.Errorf("unmarshal none = %v, %v", back, err)
	}
}

func TestDigestIs(t *testing.T) {
	d := verify.Sum(verify.SHA256, []byte("a"))
	if !d.Is(verify.SHA256, d.Bytes()) {
		t.Error("not itself")
	}
	other := d.Bytes()
	other[31] ^= 1
	var zero verify.Digest
	for name, is := range map[string]bool{
		"other value":     d.Is(verify.SHA256, other),
		"cut":             d.Is(verify.SHA256, d.Bytes()[:31]),
		"nothing":         d.Is(verify.SHA256, nil),
		"other algorithm": d.Is(verify.SHA384, d.Bytes()),
		"zero":            zero.Is(0, nil),
	} {
		if is {
			t.Errorf("%s: is the digest", name)
		}
	}
}
