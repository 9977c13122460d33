// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// FuzzParametersACL: a dependency whose signer may only say where a component is fetched from changes no other parameter of
// it, whatever its commands; what it does not attempt runs.
//
// covers: CMD-06
func FuzzParametersACL(f *testing.F) {
	supplier := testkeys.Ed25519(2)
	keys, err := verify.NewKeySet(verify.Entry{Key: signer.Public(), Groups: []string{"author"}}, verify.Entry{Key: supplier.Public(), Groups: []string{"supplier"}})
	if err != nil {
		f.Fatal(err)
	}
	allowed := []manifest.ParameterKey{manifest.ParameterURI, manifest.ParameterSoftFailure, manifest.ParameterStrictOrder}
	acl := processor.ACL{{Group: "author"}, {Group: "supplier", Parameters: allowed}}
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		f.Add(randomProgram(rnd)[:40])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		g := program{tb: t, in: in[:min(len(in), 300)], doomed: true}
		g.m = release(2, nil, seq{index(0)}, nil)
		for range 1 + g.next(6) {
			g.command(&g.m.Install.Sequence)
		}
		child, digest, err := signBy(t, supplier, g.m)
		if err != nil {
			return // not every program is a manifest
		}
		protected := manifest.Parameters{VendorID: &vendor, ClassID: &class, ImageDigest: &digest, ImageSize: new(uint64(len(child))), Slot: new(uint64(0)),
			Content: []byte("signed"), SourceComponent: new(uint64(1)), UseBefore: new(uint64(today + 1)), InvokeArgs: []byte("args")}
		withURI := protected
		withURI.URI = new("u1")
		root := release(2, shared(all(), override(withURI)), seq{index(2), integrity, command(manifest.DirectiveProcessDependency), indices(0, 1), {Code: -257, Custom: "x"}}, nil)
		root.Components = append(root.Components, envelopeID)
		root.Dependencies = []manifest.Dependency{{Index: 2}}
		b, err := sign(t, registry, root)
		if err != nil {
			t.Fatal(err)
		}
		v, err := registry.OpenBytes(b, keys, one(t))
		if err != nil {
			t.Fatal(err)
		}
		w := &witness{store: newStore(map[string]string{"00": "A", "01": "BB", "dd": string(child)})}
		o := processor.Options{Platform: w, Identity: identity, Access: acl, Decrypter: recipient(), Dependencies: &processor.Dependencies{Floor: noFloor,
			Open: func(b []byte) (*manifest.Verified, error) { return registry.OpenBytes(b, keys, one(t)) }}}
		err = startWith(t, v, o, manifest.SectionInstall)
		for _, got := range w.seen {
			got.URI = nil
			if diff := cmp.Diff(protected, got, sameDigest); diff != "" {
				t.Fatalf("the supplier has changed (%v):\n%s", err, diff)
			}
		}
		if err == nil && len(w.seen) == 0 {
			t.Fatal("nothing was seen")
		}
	})
}

// signBy signs m with another key than the tests' own.
func signBy(t *testing.T, by verify.Signer, m manifest.Manifest) ([]byte, verify.Digest, error) {
	t.Helper()
	e := manifest.Envelope{Manifest: m, Options: registry}
	signed, err := e.SignedBytes()
	if err != nil {
		return nil, verify.Digest{}, err
	}
	block, err := cose.SignSign1(t.Context(), by, cose.Ed25519, signed)
	if err != nil {
		t.Fatal(err)
	}
	e.Authentication = [][]byte{block}
	b, err := e.Encode()
	if err != nil {
		return nil, verify.Digest{}, err
	}
	d, err := e.Digest()
	return b, d, err
}

// witness is a store that sees the parameters with which its components' own directive is run by the author.
type witness struct {
	*store
	seen []manifest.Parameters
}

func (w *witness) Component(id manifest.ComponentID) (processor.Component, error) {
	c, err := w.store.Component(id)
	return seeing{c.(*cell), w}, err
}

type seeing struct {
	*cell
	w *witness
}

func (c seeing) Command(ctx context.Context, r processor.CustomRequest) error {
	if r.Code == -257 && r.Argument == "x" {
		c.w.seen = append(c.w.seen, r.Manifest)
	}
	return c.cell.Command(ctx, r)
}

func (c seeing) Swap(ctx context.Context, r processor.SwapRequest) error {
	r.With = r.With.(seeing).cell
	return c.cell.Swap(ctx, r)
}
