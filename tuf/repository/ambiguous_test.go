// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// shared is a repository that has one of two keys of a role called acme, whose supplier has the other; either is enough.
func shared(t *testing.T, o repository.Options) (*repository.Repository, *repository.Memory, supplier) {
	t.Helper()
	memory, own, acme := repository.NewMemory(), testkeys.Ed25519(101), supplier{testkeys.Ed25519(100)}
	o.Signers["acme"] = []verify.Signer{own}
	r, err := repository.Create(t.Context(), memory, o)
	if err == nil {
		err = r.Apply(t.Context(), repository.Change{Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, own, acme), Paths: []string{"acme/*"}}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, memory, acme
}

// What is signed anew is what was published, not what members of almost the same names say; and it holds up nobody else.
func TestTUF_20_FoldedNames(t *testing.T) {
	good, bad := entry([]byte("good")), entry([]byte("evil"))
	folded := entry([]byte("good"))
	folded["Length"] = 9
	digest := entry([]byte("good"))
	digest["hasheſ"] = bad["hashes"]
	custom := entry([]byte("good"))
	custom["Custom"] = map[string]any{"x": 1}
	for name, c := range map[string]struct {
		entry map[string]any
		more  map[string]any
		want  error
	}{
		"plain":       {good, map[string]any{"x-acme": map[string]any{"Targets": 1}}, nil},
		"targets":     {good, map[string]any{"targetſ": map[string]any{"acme/x": bad, "acme/y": bad}}, repository.ErrAmbiguous},
		"delegations": {good, map[string]any{"Delegations": map[string]any{"keys": map[string]any{}, "roles": []any{}}}, repository.ErrAmbiguous},
		"expires":     {good, map[string]any{"expireſ": "2040-01-01T00:00:00Z"}, repository.ErrAmbiguous},
		"overruled":   {folded, nil, nil},
		"digest":      {digest, nil, repository.ErrAmbiguous},
		"custom":      {custom, nil, repository.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, now := t.Context(), start
			r, memory, acme := shared(t, options(&now))
			root, err := r.Root(ctx)
			if err != nil {
				t.Fatal(err)
			}
			data := acme.targets(t, 5, map[string]any{"acme/x": c.entry}, c.more)
			if err := r.Accept(ctx, "acme", data, map[string][]byte{"acme/x": []byte("good")}); err != nil {
				t.Fatal(err)
			}
			now = now.AddDate(0, 0, 25)
			signed, err := r.Refresh(ctx)
			if !errors.Is(err, c.want) || !slices.Contains(signed, tuf.RoleTimestamp) || slices.Contains(signed, "acme") != (c.want == nil) {
				t.Errorf("signed %q, %v, want %v", signed, err, c.want)
			}
			if got, err := deviceOf(t, memory, root, now).Find(ctx, "acme/x"); err != nil || string(got) != "good" {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := deviceOf(t, memory, root, now).Find(ctx, "acme/y"); !errors.Is(err, tuf.ErrTargetUnknown) {
				t.Errorf("what nobody published: %v", err)
			}
			if err := r.Apply(ctx, repository.Change{Role: "acme", Add: map[string][]byte{"acme/z": nil}}); !errors.Is(err, c.want) {
				t.Errorf("apply: %v, want %v", err, c.want)
			}
		})
	}
}
