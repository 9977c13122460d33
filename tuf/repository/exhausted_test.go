// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// thief replaces what is published by whoever has the keys of roles.
type thief struct {
	t *testing.T
	s repository.Storage
	o repository.Options
}

// sign changes the newest file of a role and writes it as name.
func (th thief) sign(role tuf.Role, from, name string, edit func(map[string]any)) {
	th.t.Helper()
	data, _, err := th.s.Get(th.t.Context(), "metadata/"+from, 1<<20)
	if err != nil {
		th.t.Fatal(err)
	}
	signed, signatures := tuftest.Open(data)
	edit(signed)
	var list []any
	for i, s := range th.o.Signers[role] {
		signature := tuftest.Signature(signed, s)
		signature["keyid"] = signatures[i].(map[string]any)["keyid"]
		list = append(list, signature)
	}
	_, tag, err := th.s.Get(th.t.Context(), "metadata/"+name, 1<<20)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = th.s.Put(th.t.Context(), "metadata/"+name, bytes.NewReader(tuftest.Envelope(signed, list)), tag)
	}
	if err != nil {
		th.t.Fatal(err)
	}
}

// drive gives a role, and those that list it, that version.
func (th thief) drive(role tuf.Role, version int64) {
	th.t.Helper()
	to := func(v int64, meta map[string]any) func(map[string]any) {
		return func(signed map[string]any) {
			signed["version"] = v
			if meta != nil {
				signed["meta"] = meta
			}
		}
	}
	list := func(role tuf.Role, v int64) map[string]any {
		return map[string]any{role.Filename(): map[string]any{"version": v}}
	}
	snapshot := int64(2)
	switch role {
	case tuf.RoleTargets:
		th.sign(role, "2.targets.json", fmt.Sprintf("%d.targets.json", version), to(version, nil))
		snapshot = 3
		th.sign(tuf.RoleSnapshot, "2.snapshot.json", "3.snapshot.json", to(3, list(role, version)))
	case tuf.RoleSnapshot:
		snapshot = version
		th.sign(role, "2.snapshot.json", fmt.Sprintf("%d.snapshot.json", version), to(version, nil))
	case tuf.RoleTimestamp:
		th.sign(role, "timestamp.json", "timestamp.json", to(version, nil))
		return
	}
	th.sign(tuf.RoleTimestamp, "timestamp.json", "timestamp.json", to(3, list(tuf.RoleSnapshot, snapshot)))
}

// TestTUF_05_VersionsUsedUp: whoever had the online keys has used up the version numbers. Nothing can be published until a root revokes the keys;
// then versions begin again, for devices that saw those numbers and for others.
func TestTUF_05_VersionsUsedUp(t *testing.T) {
	for _, role := range []tuf.Role{tuf.RoleTimestamp, tuf.RoleSnapshot, tuf.RoleTargets} {
		for _, version := range []int64{1<<53 - 1, 1 << 53, math.MaxInt64 - 1, math.MaxInt64} {
			t.Run(fmt.Sprint(role, " ", version), func(t *testing.T) {
				ctx, now, memory := t.Context(), start, repository.NewMemory()
				o := options(&now)
				r, root := created(t, memory, o, map[string][]byte{"fw/a": []byte("one")})
				thief{t, memory, o}.drive(role, version)
				device := deviceOf(t, memory, root, now)
				if err := device.Refresh(ctx); err != nil {
					t.Fatal(err)
				}
				publish := func(content string) error { return r.Publish(ctx, map[string][]byte{"fw/a": []byte(content)}) }
				if err := publish("two"); !errors.Is(err, repository.ErrVersions) {
					t.Errorf("publish: %v, want ErrVersions", err)
				}
				rotate := func(signers map[tuf.Role][]verify.Signer) error {
					return r.RotateRoot(ctx, repository.RootChange{Signers: signers})
				}
				if err := rotate(nil); !errors.Is(err, repository.ErrVersions) {
					t.Errorf("a root that revokes no online key: %v, want ErrVersions", err)
				}
				if err := device.Refresh(ctx); err != nil {
					t.Errorf("after what was refused: %v", err)
				}
				// One of the two keys is enough for clients to forget; whatever was driven up is signed anew.
				change := map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.P256(80)}}
				if version&1 == 0 {
					change = map[tuf.Role][]verify.Signer{tuf.RoleSnapshot: {testkeys.P256(81)}}
				}
				if err := rotate(change); err != nil {
					t.Fatal(err)
				}
				for _, content := range []string{"three", "four"} {
					if err := publish(content); err != nil {
						t.Fatal(err)
					}
					if data, err := device.Find(ctx, "fw/a"); err != nil || string(data) != content {
						t.Errorf("the device that saw them: %q, %v", data, err)
					}
					if data, err := deviceOf(t, memory, root, now).Find(ctx, "fw/a"); err != nil || string(data) != content {
						t.Errorf("another device: %q, %v", data, err)
					}
				}
				collect(t, r, 1)
				if err := deviceOf(t, memory, root, now).Refresh(ctx); err != nil {
					t.Errorf("after a collection: %v", err)
				}
			})
		}
	}
}

// A supplier cannot hand in a version that nothing can follow.
func TestTUF_05_AcceptedVersionsEnd(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	for version, want := range map[int]error{
		1<<53 - 2: repository.ErrVersions, 1<<53 - 1: repository.ErrVersions, math.MaxInt64: repository.ErrVersions, repository.MaxAccepted: nil,
	} {
		if err := r.Accept(ctx, "acme", acme.targets(t, version, map[string]any{}), nil); !errors.Is(err, want) {
			t.Errorf("version %d: %v, want %v", version, err, want)
		}
	}
}
