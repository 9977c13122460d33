// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// counting counts what is written.
type counting struct {
	repository.Storage
	names []string
	bytes int64
}

func (c *counting) Put(ctx context.Context, name string, data io.Reader, old repository.Tag) error {
	all, err := io.ReadAll(data)
	if err != nil {
		return err
	}
	c.names, c.bytes = append(c.names, name), c.bytes+int64(len(all))
	return c.Storage.Put(ctx, name, bytes.NewReader(all), old)
}

// Refresh signs what is due and nothing else; run again it writes nothing.
func TestRefreshIsIdempotent(t *testing.T) {
	ctx, now := t.Context(), start
	bin := testkeys.Ed25519(100)
	o := options(&now)
	o.Signers["bin"] = []verify.Signer{bin}
	storage := &counting{Storage: repository.NewMemory()}
	r, err := repository.Create(ctx, storage, o)
	if err == nil {
		err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 2, Keys: keysOf(t, bin)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	refresh := func(r *repository.Repository, want ...tuf.Role) {
		t.Helper()
		storage.names = nil
		signed, err := r.Refresh(ctx)
		if err != nil || !slices.Equal(signed, want) {
			t.Errorf("after %v: signed %q, %v, want %q", now.Sub(start), signed, err, want)
		}
		if len(signed) == 0 && len(storage.names) > 0 {
			t.Errorf("nothing signed, written: %q", storage.names)
		}
		storage.names = nil
		if signed, err := r.Refresh(ctx); err != nil || len(signed) > 0 || len(storage.names) > 0 {
			t.Errorf("again: signed %q, %v, written: %q", signed, err, storage.names)
		}
		if err := deviceOf(t, storage, root, now).Refresh(ctx); err != nil {
			t.Error(err)
		}
	}
	const day = 24 * time.Hour
	refresh(r)
	now = start.Add(23 * time.Hour)
	refresh(r)
	now = start.Add(25 * time.Hour)
	refresh(r, tuf.RoleTimestamp)
	now = start.Add(8 * day)
	refresh(r, tuf.RoleSnapshot, tuf.RoleTimestamp)
	now = start.Add(46 * day)
	refresh(r, "bin-0", "bin-1", "bin-2", "bin-3", tuf.RoleTargets, tuf.RoleSnapshot, tuf.RoleTimestamp)

	// With jitter of the caller's the bins come one after the other, none later than without; bin-3 is due every 15 days.
	o.Jitter = func(role tuf.Role) time.Duration {
		var n time.Duration
		if _, err := fmt.Sscanf(string(role), "bin-%x", &n); err != nil {
			return 0
		}
		return n * 10 * day
	}
	if r, err = repository.Open(ctx, storage, o); err != nil {
		t.Fatal(err)
	}
	last := now
	for _, c := range []struct {
		days int
		want []tuf.Role
	}{{14, nil}, {16, []tuf.Role{"bin-3"}}, {26, []tuf.Role{"bin-2"}}, {36, []tuf.Role{"bin-1", "bin-3"}}, {46, []tuf.Role{"bin-0", tuf.RoleTargets}}} {
		now = last.Add(time.Duration(c.days) * day)
		signed, err := r.Refresh(ctx)
		signed = slices.DeleteFunc(signed, func(role tuf.Role) bool { return role == tuf.RoleSnapshot || role == tuf.RoleTimestamp })
		if err != nil || !slices.Equal(signed, c.want) {
			t.Errorf("after %d days: signed %q, %v, want %q", c.days, signed, err, c.want)
		}
	}
}
