// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// shape is one kind of repository that other clients are to read: release is there afterwards, fw/gone and fw/none are not.
type shape struct {
	signers map[tuf.Role][]verify.Signer
	make    func(context.Context, *repository.Repository) error
	beside  func(context.Context, *repository.Repository) error // another publisher, in the middle of make
	notGo   string                                              // why go-tuf's client cannot read it
}

var release = map[string][]byte{"fw/v/c/stable.suit": []byte("release"), "fw/plain": []byte("plain")}

// make makes the repository in a directory and returns its first root.
func (c shape) in(t *testing.T, dir string) (root []byte) {
	t.Helper()
	storage, err := repository.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Close()
	r, err := repository.Create(t.Context(), storage, repository.Options{Signers: c.signers, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if root, err = r.Root(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.beside != nil {
		other := r
		o := repository.Options{Signers: c.signers, Now: time.Now}
		if r, err = repository.Open(t.Context(), &between{storage, 12, func() {
			if err := c.beside(t.Context(), other); err != nil {
				t.Error(err)
			}
		}}, o); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.make(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return root
}

func shapes(t *testing.T) map[string]shape {
	t.Helper()
	supplier := testkeys.Ed25519(100)
	newSigner := func(s crypto.Signer, err error) verify.Signer {
		if err != nil {
			t.Fatal(err)
		}
		signer, err := repository.NewSigner(s)
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	rsaKey := newSigner(rsa.GenerateKey(rand.Reader, 2048))
	rsaPublic, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	delegate := newSigner(rsaPublic, nil)
	delegateKey, err := tuf.NewKey(rsaPublic.Public())
	if err != nil {
		t.Fatal(err)
	}
	all := func(s verify.Signer) map[tuf.Role][]verify.Signer {
		return map[tuf.Role][]verify.Signer{tuf.RoleRoot: {s}, tuf.RoleTargets: {s}, tuf.RoleSnapshot: {s}, tuf.RoleTimestamp: {s}, "team": {supplier}, "other": {delegate}, "bin": {supplier}}
	}
	top := func(s verify.Signer) map[tuf.Role][]verify.Signer {
		return map[tuf.Role][]verify.Signer{tuf.RoleRoot: {s}, tuf.RoleTargets: {s}, tuf.RoleSnapshot: {s}, tuf.RoleTimestamp: {s}}
	}
	publish := func(ctx context.Context, r *repository.Repository) error { return r.Publish(ctx, release) }
	bins := func(b repository.Bins) func(context.Context, *repository.Repository) error {
		return func(ctx context.Context, r *repository.Repository) error {
			b.Prefix, b.Keys = "bin", keysOf(t, supplier)
			if err := r.Apply(ctx, repository.Change{Bins: &b}); err != nil {
				return err
			}
			return r.Publish(ctx, release)
		}
	}
	old := map[string][]byte{"fw/plain": []byte("old"), "fw/gone": []byte("gone")}
	return map[string]shape{
		"plain": {signers: all(supplier), make: publish}, "p-256": {signers: all(testkeys.P256(1)), make: publish}, "rsa": {signers: all(rsaKey), make: publish},
		"delegated": {signers: all(testkeys.P256(1)), make: func(ctx context.Context, r *repository.Repository) error {
			return r.Apply(ctx, repository.Change{Delegate: []repository.Delegation{{Role: "team", Keys: keysOf(t, supplier), Paths: []string{"fw/*/*/*"}, Terminating: true}, {Role: "other", Keys: []tuf.Key{delegateKey}, Paths: []string{"fw/plai?"}}}},
				repository.Change{Role: "team", Add: map[string][]byte{"fw/v/c/stable.suit": release["fw/v/c/stable.suit"]}},
				repository.Change{Role: "other", Add: map[string][]byte{"fw/plain": release["fw/plain"]}})
		}},
		"succinct bins":    {signers: all(supplier), make: bins(repository.Bins{Bits: 5})},
		"hash-prefix bins": {signers: all(supplier), make: bins(repository.Bins{Bits: 5, Classic: true}), notGo: "v2.4.2 reads another form of path_hash_prefixes"},
		"two publishers": {signers: all(supplier), make: publish, beside: func(ctx context.Context, r *repository.Repository) error {
			return r.Publish(ctx, map[string][]byte{"fw/plain": []byte("overtaken"), "fw/beside": []byte("beside")})
		}},
		"withdrawn": {signers: all(supplier), make: func(ctx context.Context, r *repository.Repository) error {
			err := r.Publish(ctx, old)
			if err == nil {
				err = r.Publish(ctx, release)
			}
			if err == nil {
				err = r.Withdraw(ctx, "fw/gone")
			}
			return err
		}},
		"collected": {signers: all(supplier), make: func(ctx context.Context, r *repository.Repository) error {
			err := bins(repository.Bins{Bits: 3})(ctx, r)
			for range 3 {
				if err == nil {
					err = r.Publish(ctx, old)
				}
				if err == nil {
					err = r.Publish(ctx, release)
				}
			}
			if err == nil {
				err = r.RotateRoot(ctx, repository.RootChange{Signers: top(rsaKey)})
			}
			if err == nil {
				err = r.Withdraw(ctx, "fw/gone")
			}
			if err == nil {
				_, err = r.Collect(ctx, repository.CollectOptions{Keep: 1})
			}
			return err
		}},
		"ceremony": {signers: all(supplier), make: func(ctx context.Context, r *repository.Repository) error {
			err := r.Stage(ctx, repository.Change{Add: release, Delegate: []repository.Delegation{{Role: "team", Keys: keysOf(t, supplier), Paths: []string{"fw/gone"}}}})
			if err == nil {
				err = r.Sign(ctx, tuf.RoleTargets)
			}
			if err == nil {
				err = r.Complete(ctx, tuf.RoleTargets)
			}
			if err == nil {
				err = r.Apply(ctx, repository.Change{Role: "team", Add: map[string][]byte{"other/file": []byte("not trusted with this path")}})
			}
			return err
		}},
		"key that they do not know": {signers: map[tuf.Role][]verify.Signer{tuf.RoleRoot: {supplier}, tuf.RoleTargets: {supplier, testkeys.MLDSA65(1)}, tuf.RoleSnapshot: {supplier}, tuf.RoleTimestamp: {supplier}},
			make: publish, notGo: "v2.4.2 knows no such key"},
		"rotated root": {signers: all(supplier), make: func(ctx context.Context, r *repository.Repository) error {
			if err := r.Publish(ctx, map[string][]byte{"fw/plain": []byte("old")}); err != nil {
				return err
			}
			for _, next := range []verify.Signer{testkeys.P256(7), rsaKey, testkeys.Ed25519(8)} {
				if err := r.RotateRoot(ctx, repository.RootChange{Signers: top(next)}); err != nil {
					return err
				}
			}
			return r.Publish(ctx, release)
		}},
	}
}
