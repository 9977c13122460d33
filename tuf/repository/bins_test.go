// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/verify"
)

// reading counts what is read beside what is written.
type reading struct {
	counting
	read map[string]int
}

func (r *reading) Get(ctx context.Context, name string, max int64) ([]byte, repository.Tag, error) {
	r.read[name]++
	return r.counting.Get(ctx, name, max)
}

// M5: a release among many in bins reads and writes its own bin, and no other. examples/bench has a million targets in 16,384 bins.
func TestPublishTouchesOneBin(t *testing.T) {
	const bits, targets = 8, 4000
	ctx, now, bin := t.Context(), start, testkeys.Ed25519(100)
	o := options(&now)
	o.Signers["bin"] = []verify.Signer{bin}
	s := &reading{counting: counting{Storage: repository.NewMemory()}, read: map[string]int{}}
	r, err := repository.Create(ctx, s, o)
	if err == nil {
		err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: bits, Keys: keysOf(t, bin)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for i := range targets {
		all[fmt.Sprintf("fw/%d", i)] = fmt.Append(nil, i)
	}
	if err := r.Publish(ctx, all); err != nil {
		t.Fatal(err)
	}
	for step, publish := range map[string]func() error{
		"replaced":  func() error { return r.Publish(ctx, map[string][]byte{"fw/7": []byte("newer")}) },
		"added":     func() error { return r.Publish(ctx, map[string][]byte{"fw/one-more": []byte("one more")}) },
		"withdrawn": func() error { return r.Withdraw(ctx, "fw/8") },
	} {
		s.names, s.bytes = nil, 0
		clear(s.read)
		if err := publish(); err != nil {
			t.Fatal(err)
		}
		want := 5 // the bin, the target, the snapshot, the timestamp before and the timestamp
		if step == "withdrawn" {
			want = 4
		}
		if len(s.names) != want {
			t.Errorf("%s: %d files written: %q", step, len(s.names), s.names)
		}
		if limit := int64(2<<bits*30 + 2*130*targets>>bits + 4000); s.bytes > limit {
			t.Errorf("%s: %d bytes written, want at most %d", step, s.bytes, limit)
		}
		bins := slices.DeleteFunc(slices.Collect(maps.Keys(s.read)), func(name string) bool { return !strings.Contains(name, ".bin-") })
		if len(bins) != 1 {
			t.Errorf("%s: bins read: %q", step, bins)
		}
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	device := deviceOf(t, s, root, now)
	for name, want := range map[string]string{"fw/7": "newer", "fw/one-more": "one more", "fw/9": "9", "fw/8": ""} {
		if data, err := device.Find(ctx, name); string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	var n int
	if err := r.Walk(ctx, func(_ tuf.Role, t *tuf.Targets, err error) error { n += t.Len(); return err }); err != nil || n != targets {
		t.Errorf("%d targets in all, %v", n, err)
	}
}
