// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package cborstream_test

import (
	"bytes"
	"errors"
	"testing"

	. "github.com/firmament-dev/firmament/internal/cborstream"
)

func TestPairs(t *testing.T) {
	p := New(unhex(t, "82 a3 03 82 01 a2 02 00 01 00 6161 f6 01 20 07"), roomyFuzz)
	if _, err := p.Array(); err != nil {
		t.Fatal(err)
	}
	pairs, err := p.Pairs()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"03", "82 01 a2 02 00 01 00", "6161", "f6", "01", "20"}
	if len(pairs) != 3 {
		t.Fatalf("%d pairs", len(pairs))
	}
	for i, pair := range pairs {
		if !bytes.Equal(pair.Key, unhex(t, want[2*i])) || !bytes.Equal(pair.Value, unhex(t, want[2*i+1])) {
			t.Errorf("pair %d is %x", i, pair)
		}
	}
	n, err := p.Uint()
	if p.End(); n != 7 || err != nil || p.Done() != nil {
		t.Errorf("after the map: %d, %v, %v", n, err, p.Done())
	}
	for _, bad := range []string{"", "80", "a1 01", "a2 01 00 01 00"} {
		p := New(unhex(t, bad), roomyFuzz)
		if pairs, err := p.Pairs(); !errors.Is(err, ErrMalformed) || pairs != nil || p.Done() == nil {
			t.Errorf("%s: %v, %v", bad, pairs, err)
		}
	}
}

func TestCOSE(t *testing.T) {
	for _, test := range []struct {
		in    string
		plain error // without COSE
		want  error
	}{
		{"a2 02 00 01 00", nil, nil},
		{"a1 1801 00", ErrNotCanonical, nil},
		{"a1 01 1b0000000000000000", ErrNotCanonical, nil},
		{"a2 01 00 1801 00", ErrNotCanonical, ErrMalformed},
		{"a1 05 a2 6161 00 7801 61 00", ErrNotCanonical, ErrMalformed},
		{"a1 05 a2 6161 00 78016 2 00", ErrNotCanonical, nil},
		{"a1 01 c1 00", nil, ErrMalformed},
		{"a1 81 01 00", nil, ErrMalformed},
		{"a1 01 9a ffffffff", ErrMalformed, ErrLimit},
		{"a1 01 9f ff", ErrNotCanonical, ErrMalformed},
	} {
		for _, cose := range []bool{false, true} {
			p, want := New(unhex(t, test.in), roomyFuzz), test.plain
			if cose {
				p, want = NewCOSE(unhex(t, test.in), roomyFuzz), test.want
			}
			_, err := p.Pairs()
			if err == nil {
				err = p.Done()
			}
			if !errors.Is(err, want) {
				t.Errorf("%s, COSE %v: %v, want %v", test.in, cose, err, want)
			}
		}
	}
}
