// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

var (
	classical   = tuf.Group{tuf.SchemeEd25519, tuf.SchemeP256}
	postQuantum = tuf.Group{tuf.SchemeMLDSA65}
	hybrid      = []tuf.Group{classical, postQuantum}
)

// TestTUF_14: with a policy of two groups a thief of all keys of one scheme is as powerless as one of too few keys, though the
// threshold that metadata states be met: for every role, in every step.
func TestTUF_14_HybridPolicy(t *testing.T) {
	both := func(i int) []verify.Signer {
		return []verify.Signer{testkeys.Ed25519(500 + i), testkeys.MLDSA65(500 + i)}
	}
	for _, role := range append(allRoles, "A") {
		for i, thief := range []verify.Signer{both(9)[0], both(9)[1]} {
			r := tuftest.New()
			for j, listed := range append(allRoles, "A") {
				r.Keys[listed] = both(j)
			}
			r.Keys[role] = both(9)
			r.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"a/*"}})
			r.DelegatedTargets["A"]["a/x"] = []byte("x")
			r.Signers[tuf.RoleRoot] = append(r.Keys[tuf.RoleRoot], testkeys.Ed25519(0))
			r.Publish(tuf.RoleRoot, "A")
			r.Publish()
			delete(r.Signers, tuf.RoleRoot)
			policy := tuf.Policy{Groups: map[tuf.Role][]tuf.Group{role: hybrid}}
			if role == "A" {
				policy = tuf.Policy{Delegated: hybrid}
			}
			r.Files["metadata/1.root.json"] = r.Root(2) // the device is provisioned with it
			s, err := tuf.NewSetUnder(r.Root(1), policy)
			if err == nil {
				err = refresh(s, r)
			}
			if err != nil {
				t.Fatal(err)
			}
			delete(policy.Groups, role) // what the caller does with it afterwards is nothing to the Set
			open := func() error {
				d, _ := s.Targets().Delegation("A")
				_, err := s.OpenDelegated(d, r.Files[r.Name("A")], r.Now)
				return err
			}
			if err := open(); err != nil {
				t.Fatal(err)
			}
			r.Signers[role] = []verify.Signer{thief}
			r.Publish(role)
			if role != tuf.RoleRoot {
				r.Publish()
			}
			err = refresh(s, r)
			if role == "A" && err == nil {
				err = open()
			}
			if !errors.Is(err, tuf.ErrThreshold) {
				t.Errorf("%s signed by key %d alone: %v, want ErrThreshold", role, i, err)
			}
			delete(r.Signers, role)
			r.Put(role)
			if role != tuf.RoleRoot {
				r.Publish()
			}
			if err := errors.Join(refresh(s, r), open()); err != nil {
				t.Errorf("%s signed by both: %v", role, err)
			}
		}
	}
}

// A root that does not satisfy the policy is not provisioned, and one cannot follow, though its own keys and the old ones signed it.
func TestTUF_15_HybridRoot(t *testing.T) {
	policy := tuf.Policy{Groups: map[tuf.Role][]tuf.Group{tuf.RoleRoot: hybrid}}
	r := tuftest.New()
	if _, err := tuf.NewSetUnder(r.Root(1), policy); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("a root of one scheme: %v", err)
	}
	r = tuftest.New()
	r.Keys[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(1), testkeys.MLDSA65(1)}
	r.Publish(tuf.RoleRoot)
	s, err := tuf.NewSetUnder(r.Root(2), policy)
	if err != nil {
		t.Fatal(err)
	}
	r.Keys[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(1), testkeys.Ed25519(2)}
	r.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(1), testkeys.MLDSA65(1), testkeys.Ed25519(2)}
	if err := s.UpdateRoot(func() []byte { r.Version[tuf.RoleRoot] = 3; return r.Build(tuf.RoleRoot) }()); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("rotation to one scheme: %v, want ErrThreshold", err)
	}
	r.Keys[tuf.RoleRoot] = []verify.Signer{testkeys.P256(3), testkeys.MLDSA65(3)}
	r.Signers[tuf.RoleRoot] = []verify.Signer{testkeys.Ed25519(1), testkeys.MLDSA65(1), testkeys.P256(3), testkeys.MLDSA65(3)}
	if err := s.UpdateRoot(r.Build(tuf.RoleRoot)); err != nil {
		t.Errorf("rotation of both: %v", err)
	}
}

// What was verified under one policy has to be verified again under another.
func TestTUF_18_IndexUnderAnotherPolicy(t *testing.T) {
	r, _, index := indexed(t)
	data := r.Files[r.Name(tuf.RoleTargets)]
	s, err := tuf.NewSetUnder(r.Root(1), tuf.Policy{Groups: map[tuf.Role][]tuf.Group{tuf.RoleTargets: {classical}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RestoreTargetsIndex(bytes.NewReader(data), int64(len(data)), index); err == nil {
		t.Error("the index of another policy fits")
	}
	if err := s.RestoreTargets(data); err != nil {
		t.Error(err)
	}
}
