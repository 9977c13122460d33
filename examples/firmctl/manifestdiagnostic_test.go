// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
)

// Items of RFC 8949, appendix A, and what is no item.
func TestDiagnostic(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"00", "0"}, {"1bffffffffffffffff", "18446744073709551615"}, {"3bffffffffffffffff", "-18446744073709551616"},
		{"20", "-1"}, {"3903e7", "-1000"}, {"f97bff", "65504.0_1"}, {"f90001", "5.960464477539063e-08_1"}, {"fa47c35000", "100000.0_2"},
		{"fb3ff199999999999a", "1.1_3"}, {"f9c400", "-4.0_1"}, {"f97c00", "Infinity_1"}, {"f97e00", "NaN_1"}, {"f9fc00", "-Infinity_1"},
		{"f4", "false"}, {"f5", "true"}, {"f6", "null"}, {"f7", "undefined"}, {"f0", "simple(16)"}, {"f8ff", "simple(255)"},
		{"c11a514b67b0", "1(1363896240)"}, {"d818456449455446", "24(h'6449455446')"}, {"40", "h''"},
		{"62225c", `"\"\\"`}, {"63e6b0b4", `"水"`}, {"63e280ae", `"\u202e"`}, {"611b", `"\u001b"`},
		{"8301820203820405", "[1, [2, 3], [4, 5]]"}, {"a201020304", "{1: 2, 3: 4}"}, {"826161a161626163", `["a", {"b": "c"}]`},
		// Refused.
		{"", ""}, {"18", ""}, {"1c", ""}, {"5f42010243030405ff", ""}, {"9fff", ""}, {"ff", ""}, {"f818", ""}, {"4201", ""}, {"61ff", ""},
		{"0000", ""}, {"81", ""}, {"9bffffffffffffffff", ""}, {"bb7fffffffffffffff", ""}, {"5bffffffffffffffff", ""}, {strings.Repeat("81", 80) + "00", ""},
	} {
		b, err := hex.DecodeString(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := diagnostic(b, nil)
		if (err != nil) != (tt.want == "") || err == nil && got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
}

// A byte string is opened where the specification says so, and nowhere else.
func TestDiagnosticEmbedded(t *testing.T) {
	in := []byte{0x82, 0x41, 0x01, 0x41, 0x01} // [h'01', h'01']
	got, err := diagnostic(in, &shape{elements: []*shape{embedded}})
	if err != nil || got != "[<<1>>, h'01']" {
		t.Errorf("got %s, %v", got, err)
	}
	in = []byte{0x81, 0x42, 0x01, 0x01} // two items inside
	if got, err = diagnostic(in, &shape{elements: []*shape{embedded}}); err != nil || got != "[h'0101']" {
		t.Errorf("got %s, %v", got, err)
	}
}

// Every published envelope is shown to the last command, and no damage to one breaks the writer.
func TestDiagnosticVectors(t *testing.T) {
	n := 0
	err := fs.WalkDir(vectors.SUIT(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".cbor" || strings.Contains(name, "encryption-info") {
			return err
		}
		b, err := fs.ReadFile(vectors.SUIT(), name)
		if err != nil {
			return err
		}
		u, err := options(true).InspectBytes(b)
		if err != nil {
			return nil // the index says which ones are refused
		}
		n++
		got, err := diagnostic(b, envelopeShape)
		if err != nil || !strings.Contains(got, "/ manifest-sequence-number / 2: ") {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		m := u.Envelope().Manifest
		if len(manifestNodes(&m)) < 2 {
			t.Errorf("%s: %+v", name, manifestNodes(&m))
		}
		for _, s := range sectionNames {
			if _, ok := m.Section(s); ok && !strings.Contains(got, "/ "+s.String()+" / ") {
				t.Errorf("%s: %v is not in\n%s", name, s, got)
			}
		}
		for i := range b {
			for _, bit := range []byte{1, 0x20, 0x80} {
				damaged := append([]byte(nil), b...)
				damaged[i] ^= bit
				_, _ = diagnostic(damaged, envelopeShape)
			}
			if _, err := diagnostic(b[:i], envelopeShape); err == nil {
				t.Errorf("%s: %d bytes of it are an item", name, i)
			}
		}
		return nil
	})
	if err != nil || n < 10 {
		t.Errorf("%d envelopes: %v", n, err)
	}
}

// Whatever parameters say, each is shown.
func TestParameterNodes(t *testing.T) {
	yes, uri, size := true, "\"#\"", uint64(1<<40)
	got := parameterNodes(&manifest.Parameters{StrictOrder: &yes, URI: &uri, ImageSize: &size, Content: []byte{}, VendorPEN: []byte{1},
		EncryptionInfo: []byte{0}, Custom: []manifest.CustomParameter{{Key: -300, Value: "\x1b[2J"}}})
	var lines []string
	for _, n := range got {
		lines = append(lines, n.Name+"="+n.Value)
	}
	want := []string{"vendor-identifier=112(h'01')", "strict-order=true", "image-size=1099511627776", "content=h''",
		"encryption-info=not usable", `uri="\"#\""`, `parameter(-300)="\u001b[2J"`}
	if len(lines) != len(want) {
		t.Fatalf("got %q", lines)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got %s, want %s", lines[i], want[i])
		}
	}
}
