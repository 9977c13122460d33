// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/verify"
)

func good(i int, kid string, groups ...string) verify.Signature {
	return verify.Signature{
		Entry: verify.Entry{KID: []byte(kid), Key: key(i), Groups: groups},
		KID:   []byte(kid),
	}
}

func failed(s verify.Signature, err error) verify.Signature { s.Err = err; return s }

// covers: REG-01
func TestCOS_08_Threshold(t *testing.T) {
	revoked := good(2, "b", "author")
	revoked.Entry.Revoked = true
	for name, test := range map[string]struct {
		n     int
		group string
		sigs  []verify.Signature
		ok    bool
	}{
		"one of one":                        {1, "", []verify.Signature{good(1, "a")}, true},
		"two of two":                        {2, "", []verify.Signature{good(1, "a"), good(2, "b")}, true},
		"no signature":                      {1, "", nil, false},
		"same block twice":                  {2, "", []verify.Signature{good(1, "a"), good(1, "a")}, false},
		"same key under two kids":           {2, "", []verify.Signature{good(1, "a"), good(1, "b")}, false},
		"two keys under one kid":            {2, "", []verify.Signature{good(1, "a"), good(2, "a")}, true},
		"one bad":                           {2, "", []verify.Signature{good(1, "a"), failed(good(2, "b"), verify.ErrSignature)}, false},
		"a bad one beside enough":           {1, "", []verify.Signature{failed(good(2, "b"), verify.ErrSignature), good(1, "a")}, true},
		"outside the group":                 {1, "author", []verify.Signature{good(1, "a", "tester")}, false},
		"in the group":                      {1, "author", []verify.Signature{good(1, "a", "tester", "author")}, true},
		"one of two in the group":           {2, "author", []verify.Signature{good(1, "a", "author"), good(2, "b")}, false},
		"group by one name of the key only": {2, "author", []verify.Signature{good(1, "a", "author"), good(1, "b"), good(2, "c")}, false},
		"zero signatures in a row":          {1, "", make([]verify.Signature, 3), false},
		"revoked":                           {2, "author", []verify.Signature{good(1, "a", "author"), revoked}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := verify.Threshold(test.n, test.group)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Check(verify.Evidence{Signatures: test.sigs})
			if test.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var pe *verify.PolicyError
			if !errors.Is(err, verify.ErrThreshold) || !errors.Is(err, verify.ErrPolicy) || !errors.As(err, &pe) {
				t.Fatalf("err = %v, want ErrThreshold in a *PolicyError", err)
			}
			if len(pe.Evidence.Signatures) != len(test.sigs) {
				t.Errorf("evidence of %d signatures, want %d", len(pe.Evidence.Signatures), len(test.sigs))
			}
		})
	}
}

// covers: REG-02
func TestThresholdNumbers(t *testing.T) {
	for n, want := range map[int]error{0: verify.ErrPolicy, -1: verify.ErrPolicy, verify.MaxCandidates + 1: verify.ErrLimit} {
		if p, err := verify.Threshold(n, ""); p != nil || !errors.Is(err, want) {
			t.Errorf("Threshold(%d) = %v, %v, want %v", n, p, err, want)
		}
	}
}

func TestPolicyErrorCarriesCauses(t *testing.T) {
	p, err := verify.Threshold(1, "")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Check(verify.Evidence{Signatures: []verify.Signature{
		failed(good(1, "a"), verify.ErrSignature), failed(good(2, "b"), verify.ErrKeyRevoked),
	}})
	for _, want := range []error{verify.ErrPolicy, verify.ErrThreshold, verify.ErrSignature, verify.ErrKeyRevoked} {
		if !errors.Is(err, want) {
			t.Errorf("%v: no %v", err, want)
		}
	}
	if errors.Is(err, verify.ErrKeyUnknown) {
		t.Errorf("%v: ErrKeyUnknown found", err)
	}
}

func TestAllOf(t *testing.T) {
	author, err := verify.Threshold(1, "author")
	if err != nil {
		t.Fatal(err)
	}
	tester, err := verify.Threshold(1, "tester")
	if err != nil {
		t.Fatal(err)
	}
	one := verify.Evidence{Signatures: []verify.Signature{good(1, "a", "author")}}
	two := verify.Evidence{Signatures: append(slices.Clone(one.Signatures), good(2, "b", "tester"))}
	var nobody verify.PolicyFunc
	for name, test := range map[string]struct {
		policy verify.Policy
		e      verify.Evidence
		ok     bool
	}{
		"both":         {verify.AllOf(author, tester), two, true},
		"second fails": {verify.AllOf(author, tester), one, false},
		"first fails":  {verify.AllOf(tester, author), one, false},
		"of nothing":   {verify.AllOf(), two, false},
		"with a nil":   {verify.AllOf(author, nil), two, false},
		"nil func":     {nobody, two, false},
		"func":         {verify.PolicyFunc(func(verify.Evidence) error { return nil }), one, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.policy.Check(test.e); (err == nil) != test.ok || (err != nil && !errors.Is(err, verify.ErrPolicy)) {
				t.Errorf("Check = %v, want ok %v", err, test.ok)
			}
		})
	}
}
