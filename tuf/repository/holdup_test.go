// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// A delegate who shares a role with the repository cannot drive its version so high that the repository cannot follow; one who did so before holds up nobody.
func TestTUF_05_DelegateVersion(t *testing.T) {
	for _, version := range []int64{repository.MaxAccepted + 1, 1<<53 - 2, 1<<53 - 1, math.MaxInt64} {
		ctx, now := t.Context(), start
		o := options(&now)
		r, memory, acme := shared(t, o)
		root, err := r.Root(ctx)
		if err != nil {
			t.Fatal(err)
		}
		data := acme.targets(t, int(version), map[string]any{})
		if err := r.Accept(ctx, "acme", data, nil); !errors.Is(err, repository.ErrVersions) {
			t.Errorf("version %d: %v, want ErrVersions", version, err)
		}
		if err := memory.Put(ctx, fmt.Sprintf("metadata/%d.acme.json", version), bytes.NewReader(data), ""); err != nil {
			t.Fatal(err)
		}
		th := thief{t, memory, o}
		th.sign(tuf.RoleSnapshot, "2.snapshot.json", "3.snapshot.json", func(signed map[string]any) {
			signed["version"] = 3
			signed["meta"].(map[string]any)["acme.json"] = map[string]any{"version": version}
		})
		th.sign(tuf.RoleTimestamp, "timestamp.json", "timestamp.json", func(signed map[string]any) {
			signed["version"], signed["meta"] = 3, map[string]any{"snapshot.json": map[string]any{"version": 3}}
		})
		refused := 0
		for range 3 {
			now = now.AddDate(0, 0, 46)
			if signed, err := r.Refresh(ctx); !slices.Contains(signed, tuf.RoleTimestamp) || err != nil && !errors.Is(err, repository.ErrVersions) {
				t.Errorf("version %d: signed %q, %v, want the timestamp", version, signed, err)
			} else if err != nil {
				refused++
			}
			if err := deviceOf(t, memory, root, now).Refresh(ctx); err != nil {
				t.Errorf("version %d: %v", version, err)
			}
		}
		if err := r.Stage(ctx, repository.Change{Role: "acme"}); (err != nil) != (refused > 0) || err != nil && !errors.Is(err, repository.ErrVersions) {
			t.Errorf("version %d: stage: %v, refused to refresh: %d", version, err, refused)
		}
		if (refused > 0) != (version >= 1<<53-2) {
			t.Errorf("version %d: refused to refresh: %d", version, refused)
		}
	}
}

// moody signs while it is in the mood.
type moody struct {
	verify.Signer
	mood *error
	odd  *bool
}

func (m moody) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if *m.odd {
		return m.Signer.Sign(ctx, []byte("something else"))
	}
	if *m.mood != nil {
		return nil, *m.mood
	}
	return m.Signer.Sign(ctx, message)
}

// One signer of one delegated role that fails, or signs what it was not given, holds up nobody else, and is asked again the next time.
func TestTUF_02_OneSignerHoldsUpNobody(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	var mood error
	var odd bool
	a, b := moody{testkeys.Ed25519(101), &mood, &odd}, testkeys.Ed25519(102)
	o := options(&now)
	o.Signers["a"], o.Signers["b"] = []verify.Signer{a}, []verify.Signer{b}
	r, err := repository.Create(ctx, memory, o)
	if err == nil {
		err = r.Apply(ctx, repository.Change{Delegate: []repository.Delegation{
			{Role: "a", Keys: keysOf(t, a), Paths: []string{"a/*"}}, {Role: "b", Keys: keysOf(t, b), Paths: []string{"b/*"}},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	away := errors.New("the key's machine is away")
	for _, c := range []struct {
		name string
		mood error
		odd  bool
		want error
	}{{"away", away, false, away}, {"odd", nil, true, tuf.ErrThreshold}, {"back", nil, false, nil}} {
		mood, odd = c.mood, c.odd
		now = now.AddDate(0, 0, 46)
		signed, err := r.Refresh(ctx)
		if !errors.Is(err, c.want) || slices.Contains(signed, "a") != (c.want == nil) || !slices.Contains(signed, "b") || !slices.Contains(signed, tuf.RoleTimestamp) {
			t.Errorf("%s: signed %q, %v, want %v", c.name, signed, err, c.want)
		}
		if err := deviceOf(t, memory, root, now).Refresh(ctx); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		list, err := r.Expiries(ctx)
		i := slices.IndexFunc(list, func(e repository.Expiry) bool { return e.Role == "a" })
		if err != nil || i < 0 || list[i].Err != nil || list[i].Due != (c.want != nil) {
			t.Errorf("%s: %v, %v", c.name, list, err)
		}
	}
}
