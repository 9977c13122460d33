// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"fmt"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// A role that clients find by one delegator stays what they accept when another one trusts it, too, with another key; what can be signed for both is.
func TestTUF_18_SecondDelegator(t *testing.T) {
	k1, k2, kb := testkeys.Ed25519(101), testkeys.Ed25519(102), testkeys.Ed25519(103)
	to := func(by tuf.Role, keys ...verify.Signer) repository.Change {
		return repository.Change{Role: by, Delegate: []repository.Delegation{{Role: "x", Keys: keysOf(t, keys...), Paths: []string{"x/*"}}}}
	}
	content := repository.Change{Role: "x", Add: map[string][]byte{"x/a": []byte("a")}}
	b := repository.Change{Delegate: []repository.Delegation{{Role: "b", Keys: keysOf(t, kb), Paths: []string{"*/*"}}}}
	for _, c := range []struct {
		name         string
		before       []verify.Signer // of x
		first        []repository.Change
		after        []verify.Signer
		second       repository.Change
		version      int // of x in the end
		signatures   int
		foundByFirst bool
	}{
		{"both keys at hand", []verify.Signer{k1}, []repository.Change{to("targets", k1), b, content}, []verify.Signer{k1, k2}, to("b", k2), 3, 2, true},
		{"both, and clients come by the second first", []verify.Signer{k1}, []repository.Change{b, to("targets", k1), content}, []verify.Signer{k1, k2}, to("b", k2), 3, 2, true},
		{"the first one's key is away", []verify.Signer{k1}, []repository.Change{to("targets", k1), b, content}, []verify.Signer{k2}, to("b", k2), 2, 1, true},
		{"the second one's key is away", []verify.Signer{k1}, []repository.Change{to("targets", k1), b, content}, []verify.Signer{k1}, to("b", k2), 2, 1, true},
		{"no metadata yet, the first one's key is away", nil, []repository.Change{to("targets", k1), b}, []verify.Signer{k2}, to("b", k2), 0, 0, false},
		{"the top delegates second", []verify.Signer{k2}, []repository.Change{b, to("b", k2), content}, []verify.Signer{k1, k2}, to("targets", k1), 3, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, now, memory := t.Context(), start, repository.NewMemory()
			open := func(x []verify.Signer) *repository.Repository {
				o := options(&now)
				o.Signers["b"] = []verify.Signer{kb}
				if x != nil {
					o.Signers["x"] = x
				}
				r, err := repository.Open(ctx, memory, o)
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			if _, err := repository.Create(ctx, memory, options(&now)); err != nil {
				t.Fatal(err)
			}
			r := open(c.before)
			for _, change := range c.first {
				if err := r.Apply(ctx, change); err != nil {
					t.Fatal(err)
				}
			}
			root, err := r.Root(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := open(c.after).Apply(ctx, c.second); err != nil {
				t.Fatal(err)
			}
			if data, err := deviceOf(t, memory, root, now).Find(ctx, "x/a"); (err == nil) != c.foundByFirst || err == nil && string(data) != "a" {
				t.Errorf("%q, %v", data, err)
			}
			if c.version == 0 {
				return
			}
			files := matching(t, memory, "metadata", `\.x\.json$`)
			if len(files) != c.version {
				t.Fatalf("%d versions, want %d", len(files), c.version)
			}
			if _, signatures := tuftest.Open(files[fmt.Sprintf("metadata/%d.x.json", c.version)]); len(signatures) != c.signatures {
				t.Errorf("%d signatures, want %d", len(signatures), c.signatures)
			}
		})
	}
}
