// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
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

// A supplier whose key was replaced, and who has not signed with the new one yet, or whose file is lost, does not keep the others from being refreshed.
func TestRefreshPassesBrokenRoles(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	if err := r.Accept(ctx, "acme", acme.targets(t, 1, map[string]any{}), nil); err != nil {
		t.Fatal(err)
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func() error
		want  error
	}{
		{"another key", func() error { return r.Apply(ctx, supplier{testkeys.Ed25519(105)}.delegation(t)) }, tuf.ErrThreshold},
		{"lost", func() error { return memory.Delete(ctx, "metadata/1.acme.json") }, fs.ErrNotExist},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(47 * time.Hour)
		signed, err := r.Refresh(ctx)
		if !errors.Is(err, c.want) || !slices.Contains(signed, tuf.RoleTimestamp) {
			t.Errorf("%s: signed %q, %v, want the timestamp and %v", c.name, signed, err, c.want)
		}
		if err := deviceOf(t, memory, root, now).Refresh(ctx); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if signed, err := r.Refresh(ctx); len(signed) > 0 || !errors.Is(err, c.want) {
			t.Errorf("%s, nothing due: %q, %v", c.name, signed, err)
		}
		list, err := r.Expiries(ctx)
		if err != nil || len(list) != 5 || list[0].Role != "acme" || !errors.Is(list[0].Err, c.want) || list[0].Due {
			t.Errorf("%s: %v, %v", c.name, list, err)
		}
		var walked []error
		err = r.Walk(ctx, func(_ tuf.Role, _ *tuf.Targets, err error) error { walked = append(walked, err); return nil })
		if err != nil || len(walked) != 2 || walked[0] != nil || !errors.Is(walked[1], c.want) {
			t.Errorf("%s: %v, %v", c.name, walked, err)
		}
		if err := r.Apply(ctx, acme.delegation(t)); err != nil { // trusted as before
			t.Fatal(err)
		}
	}
}

// Where there are many roles, what is due is known without reading them, once they were read: a version of a role does not change. What the file that
// says so holds is not believed where it matters, and whoever loses it or cannot write it loses time.
func TestRefreshReadsOnlyWhatIsNew(t *testing.T) {
	ctx, now, bin := t.Context(), start, testkeys.Ed25519(100)
	o := options(&now)
	o.Signers["bin"] = []verify.Signer{bin}
	s := &reading{counting: counting{Storage: repository.NewMemory()}, read: map[string]int{}}
	r, err := repository.Create(ctx, s, o)
	if err == nil {
		err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 5, Keys: keysOf(t, bin)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	bins := func(what string, want int, f func() error) {
		t.Helper()
		clear(s.read)
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		n := 0
		for name := range s.read {
			if strings.Contains(name, ".bin-") {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d bins read, want %d", what, n, want)
		}
	}
	refresh := func(want int) func() error {
		return func() error {
			signed, err := r.Refresh(ctx)
			if len(signed) != want {
				t.Errorf("signed %q, want %d roles", signed, want)
			}
			return err
		}
	}
	expiries := func() error {
		list, err := r.Expiries(ctx)
		if len(list) != 36 || slices.ContainsFunc(list, func(e repository.Expiry) bool { return e.Err != nil || e.Expires.IsZero() }) {
			t.Errorf("%v", list)
		}
		return err
	}
	bins("the first time", 32, refresh(0))
	bins("again", 0, refresh(0))
	bins("expiries", 0, expiries)
	if err := r.Publish(ctx, map[string][]byte{"fw/a": []byte("a")}); err != nil {
		t.Fatal(err)
	}
	bins("one is new", 1, refresh(0))
	bins("known", 0, expiries)
	for name, bad := range map[string]string{"none": "{", "null": "null", "other types": `{"x":{"bin-00":["a",2]}}`} {
		_, tag, err := s.Storage.Get(ctx, "expiries", 1<<20)
		if err == nil {
			err = s.Storage.Put(ctx, "expiries", strings.NewReader(bad), tag)
		}
		if err != nil {
			t.Fatal(err)
		}
		bins("the file is "+name, 32, expiries)
		bins("and is whole again", 0, expiries)
	}
	now = now.Add(46 * 24 * time.Hour)
	bins("all are due", 32, refresh(32+3))
	bins("after that", 32, refresh(0))
	// Another key, which is at hand: all are signed anew, and read anew.
	other := testkeys.Ed25519(101)
	o.Signers["bin"] = []verify.Signer{bin, other}
	if r, err = repository.Open(ctx, s, o); err == nil {
		err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 5, Keys: keysOf(t, other)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	bins("other keys", 32, refresh(0))
	// And one that is not: what is known of the roles under other keys says nothing.
	if err := r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 5, Keys: keysOf(t, testkeys.Ed25519(102))}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Refresh(ctx); !errors.Is(err, tuf.ErrThreshold) {
		t.Errorf("keys of nobody: %v", err)
	}
}

// Power is cut while a refresh with many roles writes: it loses neither a role nor its time.
func TestRefreshPowerCut(t *testing.T) {
	ctx, bin, later := context.Background(), testkeys.Ed25519(100), start.Add(30*time.Hour)
	at := func(now time.Time) repository.Options {
		o := options(&now)
		o.Signers["bin"] = []verify.Signer{bin}
		return o
	}
	refresh := func(s *simfs.Sim) error {
		r, err := repository.Open(ctx, repository.NewDir(s.FS()), at(later))
		if err == nil {
			_, err = r.Refresh(ctx)
		}
		return err
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			r, err := repository.Create(ctx, repository.NewDir(s.FS()), at(start))
			if err == nil {
				err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 4, Keys: keysOf(t, bin)}})
			}
			return err
		},
		Run: func(s *simfs.Sim) error {
			for range 2 { // the second finds what the first read
				if err := refresh(s); err != nil {
					return err
				}
			}
			s.Ack("refreshed", true)
			return nil
		},
		Recover: func(s *simfs.Sim) error {
			if err := refresh(s); err != nil {
				return err
			}
			r, err := repository.Open(ctx, repository.NewDir(s.FS()), at(later))
			if err != nil {
				return err
			}
			list, err := r.Expiries(ctx)
			if err != nil {
				return err
			}
			for _, e := range list {
				want := start.Add(90 * 24 * time.Hour)
				if e.Err != nil || strings.HasPrefix(string(e.Role), "bin-") && !e.Expires.Equal(want) || e.Role == tuf.RoleTimestamp && e.Due {
					return simfs.Violated("S2", "%v, want until %v", e, want)
				}
			}
			if len(list) != 20 {
				return simfs.Violated("S2", "%d roles", len(list))
			}
			return nil
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(60), Variants: simfs.Sample(1), Seed: 41})
	t.Logf("\n%s", table)
}
