// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// indexed returns a repository whose targets delegate to A, the Set that holds it, and the index of the top-level targets.
func indexed(t testing.TB) (r *tuftest.Repo, s *tuf.Set, index []byte) {
	r = many(500)
	r.Delegate(tuf.RoleTargets, "A", map[string]any{"paths": []any{"a/*"}})
	r.DelegatedTargets["A"]["a/x"] = []byte("x")
	r.Hashes = true
	r.Publish("A")
	r.Publish()
	s, err := tuf.NewSet(r.Root(1))
	if err == nil {
		err = refresh(s, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, s, s.Targets().Index()
}

// restarted is a Set with everything but the targets.
func restarted(t testing.TB, r *tuftest.Repo, root int) *tuf.Set {
	s, err := tuf.NewSet(r.Root(1))
	for i := 2; i <= root && err == nil; i++ {
		err = s.UpdateRoot(r.Root(i))
	}
	if err == nil {
		err = s.RestoreTimestamp(r.Files[r.Name(tuf.RoleTimestamp)])
	}
	if err == nil {
		err = s.RestoreSnapshot(r.Files[r.Name(tuf.RoleSnapshot)])
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With an index nothing of the file is read until a target is looked up, and all is as it was.
func TestIndex(t *testing.T) {
	r, before, index := indexed(t)
	file := &counted{data: r.Files[r.Name(tuf.RoleTargets)]}
	s := restarted(t, r, 1)
	if err := s.RestoreTargetsIndex(file, int64(len(file.data)), index); err != nil {
		t.Fatal(err)
	}
	if file.total != 0 || !s.TargetsCurrent() || s.Check(r.Now) != nil {
		t.Errorf("%d bytes read, current %v, %v", file.total, s.TargetsCurrent(), s.Check(r.Now))
	}
	if got, want := s.Targets(), before.Targets(); got.Len() != want.Len() || got.Version() != want.Version() || !got.Expires().Equal(want.Expires()) {
		t.Error("another header")
	}
	if got, err := s.Targets().Target("fw/model-0000250.bin"); err != nil || got.Verify(r.Targets["fw/model-0000250.bin"]) != nil {
		t.Error(err)
	}
	if !bytes.Equal(s.Targets().Index(), index) {
		t.Error("its index is another")
	}
	d := s.Targets().Delegations("a/x")
	if len(d) != 1 {
		t.Fatalf("%d delegations", len(d))
	}
	data := r.Files[r.Name("A")]
	a, err := s.OpenDelegated(d[0], data, r.Now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.OpenDelegatedIndex(d[0], bytes.NewReader(data), int64(len(data)), a.Index(), r.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Target("a/x"); err != nil {
		t.Error(err)
	}
	if _, err := s.OpenDelegatedIndex(d[0], bytes.NewReader(data), int64(len(data)), a.Index(), r.Now.AddDate(1, 0, 0)); !errors.Is(err, tuf.ErrFreeze) {
		t.Errorf("expired: %v, want ErrFreeze", err)
	}
	if _, err := s.OpenDelegatedIndex(d[0], bytes.NewReader(data), int64(len(data)), index, r.Now); err == nil {
		t.Error("the index of another role fits")
	}
}

// An index is for one file, one role, one set of keys.
func TestTUF_18_IndexFitsNothingElse(t *testing.T) {
	r, _, index := indexed(t)
	data := r.Files[r.Name(tuf.RoleTargets)]
	try := func(s *tuf.Set, data, index []byte) error {
		return s.RestoreTargetsIndex(bytes.NewReader(data), int64(len(data)), index)
	}
	if err := try(restarted(t, r, 1), data, index); err != nil {
		t.Fatal(err)
	}
	if err := try(restarted(t, r, 1), data[1:], index); err == nil {
		t.Error("another length fits")
	}
	other := slices.Clone(data)
	other[len(other)/2] ^= 1
	s := restarted(t, r, 1)
	if err := try(s, other, index); err != nil {
		t.Fatal(err)
	}
	if err := s.Targets().CheckFile(); !errors.Is(err, tuf.ErrCache) {
		t.Errorf("other bytes: %v", err)
	}
	for i := 0; i < len(index); i += 7 {
		if err := try(restarted(t, r, 1), data, index[:i]); err == nil {
			t.Fatalf("%d bytes of %d fit", i, len(index))
		}
	}
	if err := try(restarted(t, r, 1), data, append(slices.Clone(index), 0)); err == nil {
		t.Error("one byte more fits")
	}
	// A snapshot that lists another digest: the file is there, but not current.
	r.Targets["fw/new"] = nil
	r.Publish()
	s = restarted(t, r, 1)
	if err := try(s, data, index); err != nil || s.TargetsCurrent() {
		t.Errorf("%v, current %v", err, s.TargetsCurrent())
	}
	// Another threshold or another key, even one more, is another verification.
	r.Keys[tuf.RoleTargets] = append(r.Keys[tuf.RoleTargets], testkeys.Ed25519(9))
	r.Publish(tuf.RoleRoot)
	if err := try(restarted(t, r, 2), data, index); err == nil {
		t.Error("the index fits other keys")
	}
	r.Keys[tuf.RoleTargets] = []verify.Signer{r.Keys[tuf.RoleTargets][0]}
	r.Publish(tuf.RoleRoot)
	if err := try(restarted(t, r, 3), data, index); err != nil {
		t.Errorf("the keys are again what they were: %v", err)
	}
}

// FuzzIndex: an index has to be authentic, but one that is not does no worse than lie: nothing panics, and whatever is read is
// compared with what it says.
func FuzzIndex(f *testing.F) {
	r, s, index := indexed(f)
	data := r.Files[r.Name(tuf.RoleTargets)]
	f.Add(index)
	f.Add(index[:100])
	f.Add([]byte("FMtufix1"))
	base := *s
	f.Fuzz(func(t *testing.T, index []byte) {
		s := base
		if s.RestoreTargetsIndex(bytes.NewReader(data), int64(len(data)), index) != nil {
			return
		}
		for range s.Targets().All() {
		}
		for _, name := range []string{"fw/model-0000250.bin", "a", "zzz"} {
			if file, err := s.Targets().Target(name); err == nil && file.Path != name {
				t.Errorf("%q for %q", file.Path, name)
			}
		}
	})
}
