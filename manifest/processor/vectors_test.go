// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/vectors"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
)

// example opens an example of the specification's appendix B.
func example(tb testing.TB, name string) *manifest.Verified {
	tb.Helper()
	pem, err := fs.ReadFile(vectors.SUIT(), "suit-p256-public.pem")
	if err != nil {
		tb.Fatal(err)
	}
	key, err := verify.ParsePublicKeyPEM(pem)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := fs.ReadFile(vectors.SUIT(), name)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := manifest.OpenBytes(b, keySet(tb, key), one(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func parseDigest(tb testing.TB, s string) verify.Digest {
	tb.Helper()
	d, err := verify.ParseDigest(s)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

const (
	digestA = "sha256:00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"
	digestB = "sha256:0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"
)

// Example 0: secure boot.
func TestExample0(t *testing.T) {
	v := example(t, "manifest/example0.cbor")
	d := newDevice(1)
	boot := []manifest.Section{manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}
	if err := start(t, v, d, boot...); !errors.Is(err, manifest.ErrCondition) || !errors.Is(err, manifest.ErrDigest) {
		t.Errorf("wrong image: got %v, want ErrCondition and ErrDigest", err)
	}
	if got := d.effects(); got != nil {
		t.Errorf("wrong image: %v", got)
	}

	d = newDevice(1)
	d.components["00"].content = parseDigest(t, digestA)
	if err := start(t, v, d, boot...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"match 00", "invoke 00 "}, d.log); diff != "" {
		t.Error(diff)
	}
}

// Example 1: download and installation.
func TestExample1(t *testing.T) {
	v := example(t, "manifest/example1.cbor")
	d := newDevice(1)
	if err := start(t, v, d, update...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fetch 00 http://example.com/file.bin", "match 00", "match 00"}, d.log); diff != "" {
		t.Error(diff)
	}
	want := processor.FetchRequest{
		Component: componentID(0),
		URI:       "http://example.com/file.bin",
		Size:      34768,
		Digest:    parseDigest(t, digestA),
		Sequence:  1,
		Manifest:  parseDigest(t, "sha256:1f2e7acca0dc2786f2fe4eb947f50873a6a3cfaa98866c5b02e621f42074daf2"),
	}
	if diff := cmp.Diff(want, d.requests[0], sameDigest); diff != "" {
		t.Error(diff)
	}
}

var sameDigest = cmp.Comparer(func(x, y verify.Digest) bool { return x == y })

// Example 3: A/B images.
func TestExample3(t *testing.T) {
	v := example(t, "manifest/example3.cbor")
	tests := []struct {
		name, uri, digest string
		slot              uint64
		size              int64
		want              error
	}{
		{name: "slot 0", slot: 0, uri: "http://example.com/file1.bin", digest: digestA, size: 34768},
		{name: "slot 1", slot: 1, uri: "http://example.com/file2.bin", digest: digestB, size: 76834},
		{name: "slot 2", slot: 2, want: manifest.ErrCondition},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			d.slot = tt.slot
			if err := start(t, v, d, update...); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				if len(d.log) != 0 {
					t.Errorf("refused, but %v", d.log)
				}
				return
			}
			r := d.requests[0]
			if r.URI != tt.uri || r.Size != tt.size || r.Digest.String() != tt.digest {
				t.Errorf("fetched %s, %d bytes, %v", r.URI, r.Size, r.Digest)
			}
		})
	}
}

// Example 2 with its install section cut off can be validated, not installed.
func TestCMD_10_SeveredSection(t *testing.T) {
	v := example(t, "manifest/example2-severed.cbor")
	d := newDevice(1)
	err := start(t, v, d, update...)
	if !errors.Is(err, processor.ErrSevered) || !errors.Is(err, manifest.ErrDigest) || len(d.log) != 0 {
		t.Errorf("got %v after %v, want ErrSevered", err, d.log)
	}
	d.components["00"].content = parseDigest(t, digestA)
	if err := start(t, v, d, manifest.SectionValidate); err != nil {
		t.Error(err)
	}
}

// Example 2, with its install section, and example 5: download, installation and secure boot of one image and of two.
func TestExamples2And5(t *testing.T) {
	whole := append(slices.Clone(update), manifest.SectionInvoke)
	for name, want := range map[string][]string{
		"example2": {"fetch 00 http://example.com/very/long/path/to/file/file.bin", "match 00", "match 00", "invoke 00 "},
		"example5": {"fetch 00 http://example.com/file1.bin", "match 00", "fetch 01 http://example.com/file2.bin", "match 01",
			"match 00", "match 01", "invoke 00 "},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(2)
			if err := start(t, example(t, "manifest/"+name+".cbor"), d, whole...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, d.log); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Example 4: load from external storage. Its fetch has no image-size, which CompatNoSize alone allows, and its digests
// are made up, so that no copy can have them: it is followed up to there. TestExample4Runs goes on with others.
func TestExample4(t *testing.T) {
	v := example(t, "manifest/example4.cbor")
	contents := map[string]string{"00": "internal", "01": "external", "02": "ram"}
	s := newStore(contents)
	err := startOn(t, v, s, update...)
	if e, ok := errors.AsType[*processor.Error](err); !ok || e.Section != manifest.SectionPayloadFetch || e.Command != manifest.DirectiveFetch {
		t.Errorf("got %v, want an error of the fetch", err)
	}
	s.refused(t, err, processor.ErrParameter)
	for _, section := range []manifest.Section{manifest.SectionInstall, manifest.SectionLoad} {
		s.refused(t, startOn(t, v, s, section), manifest.ErrDigest)
	}
	err = startOn(t, v, s, manifest.SectionValidate)
	if !errors.Is(err, manifest.ErrCondition) {
		t.Errorf("validate: got %v", err)
	}
	s.refused(t, err, manifest.ErrDigest)
	s.refused(t, startOn(t, v, s, manifest.SectionInvoke), manifest.ErrCondition)
	for name, want := range contents {
		if got := string(s.cells[name].content); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// startOn is start on a platform with contents.
func startOn(tb testing.TB, v *manifest.Verified, s *store, sections ...manifest.Section) error {
	tb.Helper()
	return startWith(tb, v, processor.Options{Platform: s, Identity: identity}, sections...)
}

func TestExamplesForOthers(t *testing.T) {
	for _, name := range []string{"example0", "example1", "example3"} {
		for _, id := range []processor.Identity{{VendorID: other, ClassID: class}, {VendorID: vendor, ClassID: other}} {
			d := newDevice(1)
			_, err := processor.New(t.Context(), example(t, "manifest/"+name+".cbor"), processor.Options{Platform: d, Identity: id})
			if !errors.Is(err, manifest.ErrNotApplicable) || len(d.log) != 0 {
				t.Errorf("%s: got %v after %v, want ErrNotApplicable", name, err, d.log)
			}
		}
	}
}
