// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// template is the dependent manifest of the templates of trust-domains-12, sections 6.1 and 6.2: the digest of the dependency in the shared
// sequence, its URI where it is fetched, and no size.
func template(d verify.Digest, validate manifest.Command, fetched manifest.Parameters) manifest.Manifest {
	set := func(p manifest.Parameters) manifest.Command {
		return manifest.Command{Code: manifest.DirectiveSetParameters, Parameters: &p}
	}
	m := release(2, shared(index(1), set(manifest.Parameters{ImageDigest: &d})), seq{index(1), process}, seq{index(1), validate, process})
	m.Dependencies = []manifest.Dependency{{Index: 1}}
	m.DependencyResolution.Sequence = seq{index(1), set(fetched), fetch, integrity, process}
	return m
}

// seal returns an envelope with m, signed by each of the signers.
func seal(t *testing.T, m manifest.Manifest, signers ...verify.Signer) []byte {
	t.Helper()
	e := manifest.Envelope{Manifest: m}
	signed, err := e.SignedBytes()
	for _, s := range signers {
		var block []byte
		if err == nil {
			block, err = cose.SignSign1(t.Context(), s, cose.Ed25519, signed)
		}
		e.Authentication = append(e.Authentication, block)
	}
	var b []byte
	if err == nil {
		b, err = e.Encode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A dependency is fetched by its digest alone. It is the same one in an envelope that others have signed, too, or that was severed, whatever its
// image-size was: only what is no such envelope is refused (trust-domains-12, sections 5.2.2, 6.1 and 6.2).
func TestDependencyTemplates(t *testing.T) {
	child := newTree(t).child
	child.Text.Texts = []manifest.Text{{Language: "en", Manifest: map[manifest.TextKey]string{1: "what it is for"}}}
	if err := child.MakeSeverable(verify.SHA256, manifest.MemberText); err != nil {
		t.Fatal(err)
	}
	mine, other := signer, testkeys.Ed25519(2)
	whole := seal(t, child, mine)
	u, err := manifest.InspectBytes(whole)
	if err != nil {
		t.Fatal(err)
	}
	severed := child
	if _, err := severed.Sever(manifest.MemberText); err != nil {
		t.Fatal(err)
	}
	another := child
	another.SequenceNumber++
	none := func(*manifest.Parameters) {}
	sized := func(n int) func(*manifest.Parameters) {
		return func(p *manifest.Parameters) { p.ImageSize = new(uint64(n)) }
	}
	for _, tt := range []struct {
		name string
		copy []byte
		with func(*manifest.Parameters)
		want error
	}{
		{"as it was", whole, none, nil},
		{"countersigned", seal(t, child, mine, other), none, nil},
		{"severed", seal(t, severed, mine), none, nil},
		{"with its size", whole, sized(len(whole)), nil},
		{"countersigned, with its size before", seal(t, child, other, mine), sized(len(whole)), nil},
		{"severed, with its size before", seal(t, severed, mine), sized(len(whole)), nil},
		{"with a size that is no envelope's", whole, sized(manifest.MaxEnvelopeSize + 1), nil},
		{"another manifest", seal(t, another, mine), none, manifest.ErrDigest},
		{"another manifest of that size", seal(t, another, mine), sized(len(whole)), manifest.ErrDigest},
		{"signed by somebody else", seal(t, child, other), none, verify.ErrPolicy},
		{"cut", whole[:len(whole)-1], none, manifest.ErrMalformed},
		{"larger than any envelope", make([]byte, manifest.MaxEnvelopeSize+1), none, manifest.ErrLimit},
	} {
		info, ciphertext, err := cose.Encrypt(t.Context(), cose.A128CTR, tt.copy, cose.Recipient{Wrapper: testkeys.KeyWrapper(1, 16)})
		if err != nil {
			t.Fatal(err)
		}
		for kind, fetched := range map[string]manifest.Parameters{"plain": {URI: new("plain")}, "encrypted": {URI: new("secret"), EncryptionInfo: info}} {
			t.Run(kind+" "+tt.name, func(t *testing.T) {
				tt.with(&fetched)
				s := newStore(map[string]string{"00": "zero", "01": ""})
				s.uris["plain"], s.uris["secret"] = tt.copy, ciphertext
				check, o := integrity, manifest.Options{}
				if kind == "encrypted" { // its validate sequence matches the image instead
					check, o.Compat = imageMatch, manifest.CompatUncheckedDependency
				}
				v, err := openWith(t, o, template(u.Digest(), check, fetched))
				if err != nil {
					t.Fatal(err)
				}
				err = startWith(t, v, processor.Options{Platform: s, Identity: identity, Decrypter: recipient(), Dependencies: &processor.Dependencies{Floor: noFloor,
					Open: func(b []byte) (*manifest.Verified, error) {
						return manifest.OpenBytes(b, keySet(t, mine.Public()), one(t))
					}}},
					manifest.SectionDependencyResolution, manifest.SectionInstall, manifest.SectionValidate)
				if tt.want == nil {
					if diff := cmp.Diff([]string{"fetch 01", "write 00"}, s.log); err != nil || diff != "" || !bytes.Equal(s.cells["01"].content, tt.copy) {
						t.Errorf("got %v, %s", err, diff)
					}
					return
				}
				want := []string{"fetch 01"} // it is opened afterwards
				if kind == "encrypted" || len(tt.copy) > manifest.MaxEnvelopeSize {
					want = nil
				}
				wantErr := tt.want
				if kind == "plain" && want == nil {
					wantErr = manifest.ErrDigest // as this platform says it
				}
				if !errors.Is(err, wantErr) || !slices.Equal(s.log, want) {
					t.Errorf("got %v after %v, want %v", err, s.log, wantErr)
				}
			})
		}
	}
}
