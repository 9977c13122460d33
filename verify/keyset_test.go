// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/verify"
)

func key(i int) verify.Key { return testkeys.P256(i).Public() }

func TestNewKeySetRefuses(t *testing.T) {
	many := make([]verify.Entry, verify.MaxCandidates+1)
	for i := range many {
		many[i] = verify.Entry{KID: fmt.Append(nil, i), Key: key(0)}
	}
	kid := []byte("a")
	for name, test := range map[string]struct {
		entries []verify.Entry
		want    error
	}{
		"nothing":              {nil, verify.ErrPolicy},
		"no key":               {[]verify.Entry{{KID: kid}}, verify.ErrPolicy},
		"empty kid":            {[]verify.Entry{{KID: []byte{}, Key: key(1)}}, verify.ErrPolicy},
		"same entry twice":     {[]verify.Entry{{KID: kid, Key: key(1)}, {KID: kid, Key: key(1)}}, verify.ErrPolicy},
		"same unnamed twice":   {[]verify.Entry{{Key: key(1)}, {Key: key(1)}}, verify.ErrPolicy},
		"COS-03 kid of 1 MiB":  {[]verify.Entry{{KID: make([]byte, 1<<20), Key: key(1)}}, verify.ErrLimit},
		"COS-07 too many keys": {many, verify.ErrLimit},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := verify.NewKeySet(test.entries...); !errors.Is(err, test.want) || s != nil {
				t.Errorf("NewKeySet = %v, %v, want %v", s, err, test.want)
			}
		})
	}
	if _, err := verify.NewKeySet(many[1:]...); err != nil {
		t.Errorf("%d keys: %v", verify.MaxCandidates, err)
	}
}

func TestCOS_03_Lookup(t *testing.T) {
	a, b, both := []byte("a"), []byte("b"), []byte("both")
	s, err := verify.NewKeySet(
		verify.Entry{KID: a, Key: key(1), Groups: []string{"author"}},
		verify.Entry{KID: b, Key: key(1)},
		verify.Entry{KID: both, Key: key(2)},
		verify.Entry{KID: both, Key: key(3)},
		verify.Entry{Key: key(4)},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		kid  []byte
		want []verify.Key
	}{
		"one name":              {a, []verify.Key{key(1), key(4)}},
		"second name":           {b, []verify.Key{key(1), key(4)}},
		"two keys of one name":  {both, []verify.Key{key(2), key(3), key(4)}},
		"no name: all":          {nil, []verify.Key{key(1), key(1), key(2), key(3), key(4)}},
		"empty name: none":      {[]byte{}, nil},
		"unknown":               {[]byte("c"), []verify.Key{key(4)}},
		"prefix of a name":      {[]byte("bot"), []verify.Key{key(4)}},
		"name with more behind": {[]byte("a\x00"), []verify.Key{key(4)}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []verify.Key
			for _, e := range s.Lookup(test.kid) {
				got = append(got, e.Key)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("Lookup(%q) = %v, want %v", test.kid, got, test.want)
			}
		})
	}
	if got := s.Group(""); !slices.Equal(got, []verify.Key{key(1), key(2), key(3), key(4)}) {
		t.Errorf("Group(\"\") = %v", got)
	}
	if got := s.Group("author"); !slices.Equal(got, []verify.Key{key(1)}) {
		t.Errorf("Group(author) = %v", got)
	}

	// The set shares no memory with its caller.
	a[0] = 'x'
	s.Lookup([]byte("a"))[0].Groups[0] = "root"
	if got := s.Lookup([]byte("a")); len(got) != 2 || got[0].Groups[0] != "author" {
		t.Errorf("after changing what went in and came out: %v", got)
	}
	var none *verify.KeySet
	if none.Lookup(nil) != nil || none.Group("") != nil || none.Len() != 0 || s.Len() != 5 {
		t.Error("a nil set is not empty")
	}
}

func TestCOS_15_RevokedUnderEveryName(t *testing.T) {
	s, err := verify.NewKeySet(
		verify.Entry{KID: []byte("old"), Key: key(1)},
		verify.Entry{KID: []byte("new"), Key: key(1), Revoked: true},
		verify.Entry{KID: []byte("other"), Key: key(2)},
	)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Lookup([]byte("old"))[0].Revoked || s.Lookup([]byte("other"))[0].Revoked {
		t.Error("revocation does not follow the public key")
	}
	if got := s.Group(""); !slices.Equal(got, []verify.Key{key(2)}) {
		t.Errorf("Group = %v, want the key that is not revoked", got)
	}
}

// What a key set has parsed is of use for that key alone.
func TestEntryVerifyRaw(t *testing.T) {
	message := []byte("message")
	mine, other := key(0), key(1)
	der, err := testkeys.P256(0).Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := verify.RawSignature(der)
	if err != nil {
		t.Fatal(err)
	}
	set, err := verify.NewKeySet(verify.Entry{Key: mine})
	if err != nil {
		t.Fatal(err)
	}
	entry := set.Lookup(nil)[0]
	if err := entry.VerifyRaw(message, sig); err != nil {
		t.Error(err)
	}
	if err := (verify.Entry{Key: mine}).VerifyRaw(message, sig); err != nil {
		t.Errorf("not from a set: %v", err)
	}
	if err := entry.VerifyRaw([]byte("another"), sig); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("another message: %v", err)
	}
	entry.Key = other
	if err := entry.VerifyRaw(message, sig); !errors.Is(err, verify.ErrSignature) {
		t.Errorf("another key: %v", err)
	}
	if err := new(verify.Entry).VerifyRaw(message, sig); !errors.Is(err, verify.ErrAlgorithm) {
		t.Errorf("no key: %v", err)
	}
}
