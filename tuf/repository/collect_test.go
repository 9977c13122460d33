// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/client"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/tuftest"
	"github.com/firmament-dev/firmament/verify"
)

// payloadOf is the payload that a target of these tests refers to: payload "x" for a file that says "x".
func payloadOf(_ tuf.TargetFile, data []byte) ([]string, error) {
	if data == nil {
		return nil, nil
	}
	return []string{string(data)}, nil
}

func collect(t *testing.T, r *repository.Repository, keep int) repository.Collection {
	t.Helper()
	dry, err := r.Collect(t.Context(), repository.CollectOptions{Keep: keep, Payloads: payloadOf, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Collect(t.Context(), repository.CollectOptions{Keep: keep, Payloads: payloadOf})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(dry.Deleted, c.Deleted) || dry.Timestamps != c.Timestamps {
		t.Errorf("the dry run said %v, deleted was %v", dry, c)
	}
	return c
}

func there(t *testing.T, s repository.Storage, name string) bool {
	t.Helper()
	_, _, err := s.Get(t.Context(), name, 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestCollect(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, root := created(t, memory, options(&now), nil)
	release := func(i int) string { return fmt.Sprintf("release-%d", i) }
	file := func(i int) string {
		return fmt.Sprintf("targets/fw/%x.stable", verify.Sum(verify.SHA256, []byte(release(i))).Bytes())
	}
	for i := range 6 { // timestamp i+2
		if err := r.PutPayload(ctx, release(i), strings.NewReader("image")); err != nil {
			t.Fatal(err)
		}
		if err := r.Publish(ctx, map[string][]byte{"fw/stable": []byte(release(i))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.PutPayload(ctx, "next", strings.NewReader("not released yet")); err != nil {
		t.Fatal(err)
	}
	if err := r.RotateRoot(ctx, repository.RootChange{}); err != nil {
		t.Fatal(err)
	}
	c := collect(t, r, 3)
	if c.Timestamps != 3 || len(c.Deleted) != 3+3+4+4+4 { // releases 0 to 2 with their payloads; targets, snapshots and timestamps 1 to 4
		t.Errorf("%d timestamps kept, %d files deleted:\n%s", c.Timestamps, len(c.Deleted), strings.Join(c.Deleted, "\n"))
	}
	for i := range 6 {
		for _, name := range []string{"payloads/" + release(i), file(i)} {
			if there(t, memory, name) != (i >= 3) {
				t.Errorf("%s is there: %t", name, i < 3)
			}
		}
	}
	for name, want := range map[string]bool{
		"metadata/1.root.json": true, "metadata/2.root.json": true, "payloads/next": true, "collecting": false,
		"metadata/4.snapshot.json": false, "metadata/5.snapshot.json": true, "metadata/4.timestamp.json": false, "metadata/5.timestamp.json": true,
	} {
		if there(t, memory, name) != want {
			t.Errorf("%s is there: %t", name, !want)
		}
	}
	if again := collect(t, r, 3); len(again.Deleted) != 0 || again.Timestamps != 3 {
		t.Errorf("again: %v", again)
	}
	if more := collect(t, r, 100); len(more.Deleted) != 0 {
		t.Errorf("with more to keep: %v", more)
	}
	if data, err := deviceOf(t, memory, root, now).Find(ctx, "fw/stable"); err != nil || string(data) != release(5) {
		t.Errorf("%q, %v", data, err)
	}
	// what was deleted can be published again, and what two states share stays
	if err := r.Publish(ctx, map[string][]byte{"fw/stable": []byte(release(0)), "fw/other": []byte(release(4))}); err != nil {
		t.Fatal(err)
	}
	collect(t, r, 1)
	device := deviceOf(t, memory, root, now)
	for name, want := range map[string]string{"fw/stable": release(0), "fw/other": release(4)} {
		if data, err := device.Find(ctx, name); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if there(t, memory, file(4)) || !there(t, memory, "payloads/"+release(4)) {
		t.Error("release 4 is a target of another name now: its old file goes, its payload stays")
	}
	if _, err := r.Collect(ctx, repository.CollectOptions{Keep: -1}); err == nil {
		t.Error("-1 timestamps accepted")
	}
}

// Delegated roles, bins, staged metadata, what a cut left, and files nobody knows.
func TestCollectKeeps(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	bin := testkeys.Ed25519(100)
	o := options(&now)
	o.Signers["bin"] = []verify.Signer{bin}
	r, err := repository.Create(ctx, memory, o)
	if err == nil {
		err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 2, Keys: keysOf(t, bin)}})
	}
	for i := range 12 {
		if err == nil {
			err = r.Publish(ctx, map[string][]byte{fmt.Sprintf("fw/%d", i): fmt.Append(nil, i)})
		}
	}
	if err == nil {
		err = r.Withdraw(ctx, "fw/0", "fw/1")
	}
	if err == nil { // withdrawn, and about to come back
		err = r.Stage(ctx, repository.Change{Role: "bin-0", Add: map[string][]byte{"fw/0": []byte("0")}})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"metadata/README", "targets/by/hand", "payloads/by/hand", "staged/99.x", "metadata/77.gone.json"} {
		if strings.HasPrefix(name, "staged") {
			continue
		}
		if err := memory.Put(ctx, name, strings.NewReader("x"), ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Collect(ctx, repository.CollectOptions{Keep: 1}); !errors.Is(err, tuf.ErrMalformed) {
		t.Errorf("metadata that cannot be read: %v, want ErrMalformed", err)
	}
	if err := memory.Delete(ctx, "metadata/77.gone.json"); err != nil {
		t.Fatal(err)
	}
	// A publisher that was cut off after its metadata: a version above the published one, which lists what was withdrawn.
	left := []byte(`{"signed":{"targets":{"fw/1":{"length":1,"hashes":{"sha256":"` + fmt.Sprintf("%x", verify.Sum(verify.SHA256, []byte("1")).Bytes()) + `"}}}}}`)
	if err := memory.Put(ctx, "metadata/50.targets.json", strings.NewReader(string(left)), ""); err != nil {
		t.Fatal(err)
	}
	c := collect(t, r, 1)
	if len(c.Deleted) == 0 {
		t.Error("nothing deleted")
	}
	for _, name := range c.Deleted {
		if strings.HasPrefix(name, "targets/") {
			t.Errorf("%s deleted", name)
		}
	}
	for _, name := range []string{"metadata/README", "targets/by/hand", "payloads/by/hand", "metadata/50.targets.json", "staged/bin-0.json"} {
		if !there(t, memory, name) {
			t.Errorf("%s is gone", name)
		}
	}
	root, err := r.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	device := deviceOf(t, memory, root, now)
	for i := 2; i < 12; i++ {
		if data, err := device.Find(ctx, fmt.Sprintf("fw/%d", i)); err != nil || string(data) != fmt.Sprint(i) {
			t.Errorf("fw/%d: %q, %v", i, data, err)
		}
	}
	if err := r.Publish(ctx, nil); err != nil { // 51.targets.json: what was left behind is behind
		t.Fatal(err)
	}
	deleted := collect(t, r, 1).Deleted
	if !slices.Contains(deleted, "metadata/50.targets.json") || !slices.ContainsFunc(deleted, func(name string) bool { return strings.HasPrefix(name, "targets/fw/") }) {
		t.Errorf("deleted %q", deleted)
	}
	expiries, err := r.Expiries(ctx)
	if err != nil || len(expiries) != 8 {
		t.Errorf("%v, %v", expiries, err)
	}
}

// Whatever happens between two steps of a collection, nothing that is published then lacks a file.
func TestCollectBesidePublisher(t *testing.T) {
	ctx, now := t.Context(), start
	back := map[string][]byte{"fw/a": []byte("one"), "fw/new": []byte("new")} // "one" was dropped: its file may be about to go
	for _, slow := range []string{"collector", "publisher"} {
		busy := 0
		for n := 1; ; n++ {
			memory := repository.NewMemory()
			r, err := repository.Create(ctx, memory, options(&now))
			for _, text := range []string{"one", "two", "three"} {
				if err == nil {
					err = r.Publish(ctx, map[string][]byte{"fw/a": []byte(text)})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			root, err := r.Root(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var published, collected error
			called := false
			publish := func(r *repository.Repository) { published = r.Publish(ctx, back) }
			collect := func(r *repository.Repository) { _, collected = r.Collect(ctx, repository.CollectOptions{Keep: 1}) }
			inner, outer := publish, collect
			if slow == "publisher" {
				inner, outer = collect, publish
			}
			other, err := repository.Open(ctx, &between{memory, n, func() { called = true; inner(r) }}, options(&now))
			if err != nil {
				t.Fatal(err)
			}
			outer(other)
			if !called {
				break
			}
			if collected != nil || published != nil && !errors.Is(published, repository.ErrCollecting) {
				t.Fatalf("%s, step %d: publish %v, collect %v", slow, n, published, collected)
			}
			want := "one"
			if published != nil {
				busy++
				want = "three"
			}
			if data, err := deviceOf(t, memory, root, now).Find(ctx, "fw/a"); err != nil || string(data) != want {
				t.Errorf("%s, step %d: %q, %v, want %q", slow, n, data, err, want)
			}
			if err := r.Publish(ctx, back); err != nil {
				t.Errorf("%s, step %d: afterwards: %v", slow, n, err)
			}
		}
		t.Logf("slow %s: the publisher was refused %d times", slow, busy)
		if slow == "collector" && busy == 0 {
			t.Error("it never mattered")
		}
	}
}

// Power fails at every operation of a collection that is preceded and followed by publications.
func TestCollectPowerCut(t *testing.T) {
	ctx, now := context.Background(), start
	var root []byte
	find := func(s *simfs.Sim) (string, error) {
		c, err := client.New(client.Options{Root: root, Remote: remote{s.FS()}, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }})
		if err != nil {
			return "", err
		}
		data, err := c.Find(ctx, "fw/a")
		return string(data), err
	}
	gc := func(r *repository.Repository) error {
		_, err := r.Collect(ctx, repository.CollectOptions{Keep: 1, Payloads: payloadOf})
		return err
	}
	table := simfs.Explore(t, simfs.Workload{
		Setup: func(s *simfs.Sim) error {
			r, err := repository.Create(ctx, repository.NewDir(s.FS()), options(&now))
			for _, text := range []string{"one", "two", "three"} {
				if err == nil {
					err = r.PutPayload(ctx, text, strings.NewReader(text))
				}
				if err == nil {
					err = r.Publish(ctx, map[string][]byte{"fw/a": []byte(text)})
				}
			}
			if err == nil {
				root, err = r.Root(ctx)
			}
			return err
		},
		Run: func(s *simfs.Sim) error {
			r, err := repository.Open(ctx, repository.NewDir(s.FS()), options(&now))
			if err == nil {
				err = gc(r)
			}
			return err
		},
		Recover: func(s *simfs.Sim) error {
			if got, err := find(s); err != nil || got != "three" && got != "one" {
				return simfs.Violated("S3", "%q found, %w", got, err)
			}
			storage := repository.NewDir(s.FS())
			if _, _, err := storage.Get(ctx, "payloads/three", 10); err != nil {
				return err
			}
			r, err := repository.Open(ctx, storage, options(&now))
			if err == nil {
				err = r.PutPayload(ctx, "four", strings.NewReader("four")) // never refused
			}
			if err == nil {
				err = gc(r)
			}
			if err == nil { // what the collection may have deleted comes back
				err = r.Publish(ctx, map[string][]byte{"fw/a": []byte("one")})
			}
			if err != nil {
				return err
			}
			if got, err := find(s); err != nil || got != "one" {
				return simfs.Violated("S5", "%q found afterwards, %w", got, err)
			}
			names, err := storage.List(ctx, "metadata")
			if err == nil && len(names) > 12 {
				return simfs.Violated("S6", "%d files of metadata are left: %q", len(names), names)
			}
			return err
		},
	}, simfs.ExploreOptions{SecondTotal: simfs.Sample(150), Seed: 23})
	t.Logf("\n%s", table)
}

// slowRemote lets f happen after each file that a client gets.
type slowRemote struct {
	served
	f func()
}

func (s slowRemote) Get(ctx context.Context, name string, max int64) ([]byte, error) {
	data, err := s.served.Get(ctx, name, max)
	s.f()
	return data, err
}

// A client that began its update under one of the timestamps that are kept can finish it, although there is a publication and a collection between any
// two files that it gets.
func TestCollectUnderClient(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, root := created(t, memory, options(&now), map[string][]byte{"fw/a": []byte("release")})
	for _, keep := range []int{1, 10} {
		c, err := client.New(client.Options{Root: root, Storage: simfs.NewSim(simfs.Options{}).FS(), Now: func() time.Time { return now }, Remote: slowRemote{served{memory}, func() {
			err := r.Publish(ctx, map[string][]byte{"fw/a": fmt.Append(nil, "release ", now.UnixNano())})
			if err == nil {
				_, err = r.Collect(ctx, repository.CollectOptions{Keep: keep})
			}
			if err != nil {
				t.Error(err)
			}
			now = now.Add(time.Second)
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if data, err := c.Find(ctx, "fw/a"); (err == nil) != (keep == 10) {
			t.Errorf("%d timestamps kept: %q, %v", keep, data, err)
		}
	}
}

// Members in other letters than TUF's mean nothing to a client, and nothing to the collector: a delegate can neither stop it with them nor hide a file.
func TestCollectReadsAsClientsDo(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	file := []byte("radio")
	for version, more := range []map[string]any{{}, {"LENGTH": "long", "Hashes": map[string]any{"sha256": strings.Repeat("00", 32)}}, {"HASHES": 5}} {
		e := entry(file)
		maps.Copy(e, more)
		data := acme.targets(t, version+1, map[string]any{"acme/radio": e}, map[string]any{"Targets": 7})
		if err := r.Accept(ctx, "acme", data, map[string][]byte{"acme/radio": file}); err != nil {
			t.Fatal(err)
		}
		if err := r.Publish(ctx, nil); err != nil {
			t.Fatal(err)
		}
		collect(t, r, 1)
		if !there(t, memory, "targets/acme/"+hexSum(file)+".radio") {
			t.Errorf("version %d: a published target was collected", version+1)
		}
	}
}

// What a delegate names has nothing to say about files that it is not trusted with. Named and dropped again, they stay, whoever will publish them.
func TestCollectLeavesOthersFiles(t *testing.T) {
	ctx, now, memory := t.Context(), start, repository.NewMemory()
	r, acme := supplied(t, memory, &now)
	victim := []byte("victim-2.0.img")
	target := "targets/victim/" + hexSum(victim) + ".2.0" // as the victim's tools put it, before its metadata
	put := func(name string) error { return memory.Put(ctx, name, bytes.NewReader(victim), "") }
	if err := errors.Join(put(target), put("payloads/victim-2.0.img"), put("payloads/acme/1.img")); err != nil {
		t.Fatal(err)
	}
	refer := map[string][]byte{"acme/x": victim, "acme/1": []byte("acme/1.img"), "victim/2.0": victim}
	list := map[string]any{}
	for name, file := range refer {
		list[name] = entry(file)
	}
	deleted := func(first int, more ...map[string]any) []string {
		t.Helper()
		if err := r.Accept(ctx, "acme", acme.targets(t, first, list, more...), refer); err != nil {
			t.Fatal(err)
		}
		if err := r.Accept(ctx, "acme", acme.targets(t, first+1, map[string]any{}, more...), nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Publish(ctx, nil); err != nil {
			t.Fatal(err)
		}
		return collect(t, r, 1).Deleted
	}
	gone := deleted(1)
	for _, name := range []string{target, "payloads/victim-2.0.img"} {
		if slices.Contains(gone, name) || !there(t, memory, name) {
			t.Errorf("%s is gone", name)
		}
	}
	// What it is trusted with goes: its targets, and payloads of names like them.
	for _, name := range []string{"targets/acme/" + hexSum(victim) + ".x", "payloads/acme/1.img"} {
		if !slices.Contains(gone, name) {
			t.Errorf("%s is not collected", name)
		}
	}
	// Delegations of its own, in a circle too, make it trusted with nothing more.
	id := tuftest.ID(acme)
	delegations := map[string]any{"keys": map[string]any{id: tuftest.KeyJSON(acme.Public())}, "roles": []any{map[string]any{
		"name": "acme", "keyids": []string{id}, "threshold": 1, "terminating": false, "paths": []string{"*", "*/*"},
	}}}
	if gone := deleted(3, map[string]any{"delegations": delegations}); slices.Contains(gone, target) || slices.Contains(gone, "payloads/victim-2.0.img") {
		t.Errorf("trusted by itself: %q", gone)
	}
	// Whoever is trusted with the paths can do what it likes with the files.
	if err := r.Apply(ctx, repository.Change{Delegate: []repository.Delegation{{Role: "acme", Keys: keysOf(t, acme), Paths: []string{"*", "*/*"}}}}); err != nil {
		t.Fatal(err)
	}
	if gone := deleted(5); !slices.Contains(gone, target) || !slices.Contains(gone, "payloads/victim-2.0.img") {
		t.Errorf("trusted with all: %q", gone)
	}
}

// Bins have their payloads in common, since they divide the targets of one publisher; so payloads of withdrawn releases go, and targets that are not of the bin stay.
func TestCollectFromBins(t *testing.T) {
	bin := testkeys.Ed25519(100)
	for _, classic := range []bool{false, true} {
		ctx, now, memory := t.Context(), start, repository.NewMemory()
		o := options(&now)
		o.Signers["bin"] = []verify.Signer{bin}
		r, err := repository.Create(ctx, memory, o)
		if err == nil {
			err = r.Apply(ctx, repository.Change{Bins: &repository.Bins{Prefix: "bin", Bits: 2, Keys: keysOf(t, bin), Classic: classic}})
		}
		all := map[string][]byte{}
		for i := range 12 {
			all[fmt.Sprintf("fw/%d", i)] = fmt.Append(nil, "image-", i)
			if err == nil {
				err = r.PutPayload(ctx, fmt.Sprint("image-", i), strings.NewReader("image"))
			}
		}
		if err == nil {
			err = r.Publish(ctx, all)
		}
		if err == nil {
			err = r.Withdraw(ctx, slices.Collect(maps.Keys(all))...)
		}
		if err != nil {
			t.Fatal(err)
		}
		gone := collect(t, r, 1).Deleted
		for i := range 12 {
			for _, name := range []string{fmt.Sprint("payloads/image-", i), fmt.Sprintf("targets/fw/%s.%d", hexSum(fmt.Append(nil, "image-", i)), i)} {
				if !slices.Contains(gone, name) {
					t.Errorf("classic %t: %s is not collected", classic, name)
				}
			}
		}
		// In a bin that it does not belong to nobody looks for it, and it is not that bin's to let go.
		stray := "targets/fw/" + hexSum([]byte("stray")) + ".stray"
		err = memory.Put(ctx, stray, strings.NewReader("stray"), "")
		for i := 0; err == nil && i < 4; i++ {
			role := tuf.Role(tuf.BinName("bin", 2, uint32(i)))
			if sum := verify.Sum(verify.SHA256, []byte("fw/stray")).Bytes(); int(sum[0]>>6) == i {
				continue
			}
			if err = r.Apply(ctx, repository.Change{Role: role, Add: map[string][]byte{"fw/stray": []byte("stray")}}); err == nil {
				err = r.Apply(ctx, repository.Change{Role: role, Remove: []string{"fw/stray"}})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if gone := collect(t, r, 1).Deleted; slices.Contains(gone, stray) {
			t.Errorf("classic %t: collected by a bin that it does not belong to", classic)
		}
	}
}
