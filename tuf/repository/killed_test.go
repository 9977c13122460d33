// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

var errKilled = errors.New("process killed")

// dying is the storage of a process that is killed before its n-th change, or right after it if late.
type dying struct {
	repository.Storage
	n    int
	late bool
}

func (d *dying) change(f func() error) error {
	if d.n--; d.n < 0 || d.n == 0 && !d.late {
		return errKilled
	}
	err := f()
	if d.n == 0 {
		err = errKilled
	}
	return err
}

func (d *dying) Put(ctx context.Context, name string, data io.Reader, old repository.Tag) error {
	return d.change(func() error { return d.Storage.Put(ctx, name, data, old) })
}

func (d *dying) Delete(ctx context.Context, name string) error {
	return d.change(func() error { return d.Storage.Delete(ctx, name) })
}

// M4, for every kind of change and any storage: a publisher is killed at each change that it makes to its storage. Clients then see what was published before or
// what was to be, and the next publisher does not mind. The power cuts of a directory are TestPowerCut, TestDelegationPowerCut, TestCeremonyPowerCut and
// TestCollectPowerCut.
func TestKilled(t *testing.T) {
	ctx, now := t.Context(), start
	o := func() repository.Options {
		o := options(&now)
		o.Signers["bin"] = []verify.Signer{testkeys.Ed25519(100)}
		o.Keys = []verify.Signer{testkeys.P256(30)}
		return o
	}
	stores := map[string]func() repository.Storage{
		"memory":    func() repository.Storage { return repository.NewMemory() },
		"directory": func() repository.Storage { return repository.NewDir(simfs.NewSim(simfs.Options{}).FS()) },
	}
	kinds := map[string]func(r *repository.Repository) error{
		"publish": func(r *repository.Repository) error {
			return r.Publish(ctx, map[string][]byte{"fw/a": []byte("new"), "fw/b": []byte("new")})
		},
		"withdraw and bins": func(r *repository.Repository) error {
			return r.Apply(ctx, repository.Change{Remove: []string{"fw/a"}, Add: map[string][]byte{"fw/b": []byte("new")}, Bins: &repository.Bins{Prefix: "bin", Bits: 1, Keys: keysOf(t, testkeys.Ed25519(100))}},
				repository.Change{Role: "bin-0", Add: map[string][]byte{"fw/a": []byte("new")}}, repository.Change{Role: "bin-1", Add: map[string][]byte{"fw/a": []byte("new")}})
		},
		"refresh": func(r *repository.Repository) error { _, err := r.Refresh(ctx); return err },
		"rotate": func(r *repository.Repository) error {
			return r.RotateRoot(ctx, repository.RootChange{Signers: map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.P256(30)}}})
		},
		"ceremony": func(r *repository.Repository) error {
			err := r.Stage(ctx, repository.Change{Add: map[string][]byte{"fw/a": []byte("new"), "fw/b": []byte("new")}})
			if err == nil {
				err = r.Sign(ctx, tuf.RoleTargets)
			}
			if err == nil {
				err = r.Complete(ctx, tuf.RoleTargets)
			}
			return err
		},
		"root ceremony": func(r *repository.Repository) error {
			err := r.StageRoot(ctx, map[tuf.Role][]tuf.Key{tuf.RoleTimestamp: keysOf(t, testkeys.P256(30))}, nil)
			if err == nil {
				err = r.Sign(ctx, tuf.RoleRoot)
			}
			if err == nil {
				err = r.Complete(ctx, tuf.RoleRoot)
			}
			return err
		},
		"collect": func(r *repository.Repository) error {
			_, err := r.Collect(ctx, repository.CollectOptions{Keep: 1})
			return err
		},
		"payload": func(r *repository.Repository) error { return r.PutPayload(ctx, "p", readerOf("image")) },
	}
	table := map[string]int{}
	for storeName, open := range stores {
		for kind, do := range kinds {
			for n := 1; ; n++ {
				done := false
				for _, late := range []bool{false, true} {
					now = start
					s := open()
					r, err := repository.Create(ctx, s, o())
					for _, text := range []string{"older", "old"} {
						if err == nil {
							err = r.Publish(ctx, map[string][]byte{"fw/a": []byte(text), "fw/b": []byte(text)})
						}
					}
					if err != nil {
						t.Fatal(err)
					}
					root, err := r.Root(ctx)
					if err != nil {
						t.Fatal(err)
					}
					device := deviceOf(t, s, root, start)
					if _, err := device.Find(ctx, "fw/a"); err != nil {
						t.Fatal(err)
					}
					if kind == "refresh" {
						now = start.Add(8 * 24 * time.Hour)
					}
					killed, err := repository.Open(ctx, &dying{s, n, late}, o())
					if err == nil {
						err = do(killed)
					}
					if err == nil {
						done = true
						break
					}
					if !errors.Is(err, errKilled) {
						t.Fatalf("%s, %s, change %d: %v", storeName, kind, n, err)
					}
					table[kind+", "+storeName]++
					if kind == "refresh" {
						now = start
					}
					fresh := deviceOf(t, s, root, start)
					for _, device := range []interface {
						Find(context.Context, string) ([]byte, error)
					}{device, fresh} {
						a, errA := device.Find(ctx, "fw/a")
						b, errB := device.Find(ctx, "fw/b")
						if errA != nil || errB != nil || string(a) != string(b) || string(a) != "old" && string(a) != "new" {
							t.Errorf("%s, %s, change %d: %q and %q, %v, %v", storeName, kind, n, a, b, errA, errB)
						}
					}
					r, err = repository.Open(ctx, s, o())
					if err == nil { // "older" comes back, whose file a collection may have been about to delete
						err = r.Publish(ctx, map[string][]byte{"fw/a": []byte("next"), "fw/b": []byte("next")})
					}
					if err == nil {
						if err = do(r); errors.Is(err, tuf.ErrTargetUnknown) { // it was done: fw/a is in a bin
							err = nil
						}
					}
					if err == nil {
						err = r.Publish(ctx, map[string][]byte{"fw/a": []byte("older"), "fw/b": []byte("older")})
					}
					if err != nil {
						t.Errorf("%s, %s, change %d: afterwards: %v", storeName, kind, n, err)
						continue
					}
					if a, err := device.Find(ctx, "fw/a"); err != nil || string(a) != "older" {
						t.Errorf("%s, %s, change %d: afterwards: %q, %v", storeName, kind, n, a, err)
					}
				}
				if done {
					break
				}
			}
		}
	}
	text := ""
	for _, store := range slices.Sorted(maps.Keys(stores)) {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			text += fmt.Sprintf("%-30s %3d\n", kind+", "+store, table[kind+", "+store])
			if table[kind+", "+store] == 0 {
				t.Errorf("%s on %s was never killed", kind, store)
			}
		}
	}
	t.Logf("publishers killed before or right after a change to the storage:\n%s", text)
}

func readerOf(text string) io.Reader { return strings.NewReader(text) }

// A rotation whose old keys are lost writes the root first. Killed right after that, it leaves metadata that is good for the old root only: whoever has the
// new keys signs what is there anew, by any publication, and whoever has the old ones cannot.
func TestKilledBetweenRootAndMetadata(t *testing.T) {
	ctx, now := t.Context(), start
	next := map[tuf.Role][]verify.Signer{tuf.RoleTimestamp: {testkeys.P256(30)}, tuf.RoleSnapshot: {testkeys.P256(31)}, tuf.RoleTargets: {testkeys.P256(32)}}
	o := options(&now)
	for kind, heal := range map[string]func(r *repository.Repository) error{
		"publish": func(r *repository.Repository) error { return r.Publish(ctx, map[string][]byte{"fw/b": []byte("b")}) },
		"delegated role": func(r *repository.Repository) error {
			return r.Apply(ctx, repository.Change{Role: "team", Add: map[string][]byte{"team/b": []byte("b")}})
		},
		"refresh": func(r *repository.Repository) error { _, err := r.Refresh(ctx); return err },
		"rotate":  func(r *repository.Repository) error { return r.RotateRoot(ctx, repository.RootChange{}) },
		"ceremony": func(r *repository.Repository) error {
			err := r.Stage(ctx, repository.Change{Add: map[string][]byte{"fw/b": []byte("b")}})
			if err == nil {
				err = r.Sign(ctx, tuf.RoleTargets)
			}
			if err == nil {
				err = r.Complete(ctx, tuf.RoleTargets)
			}
			return err
		},
	} {
		t.Run(kind, func(t *testing.T) {
			s := repository.NewMemory()
			r, err := repository.Create(ctx, s, o)
			if err == nil {
				err = r.Apply(ctx, repository.Change{Add: map[string][]byte{"fw/a": []byte("a")}, Delegate: []repository.Delegation{{Role: "team", Keys: keysOf(t, testkeys.Ed25519(100)), Paths: []string{"team/*"}}}})
			}
			if err != nil {
				t.Fatal(err)
			}
			root, err := r.Root(ctx)
			if err != nil {
				t.Fatal(err)
			}
			lost := repository.Options{Signers: map[tuf.Role][]verify.Signer{tuf.RoleRoot: o.Signers[tuf.RoleRoot]}, Now: o.Now}
			dead, err := repository.Open(ctx, &dying{s, 1, true}, lost)
			if err == nil {
				err = dead.RotateRoot(ctx, repository.RootChange{Signers: next})
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			if steps, err := r.Reach(ctx, 1, 0); err != nil || steps[1].Version != 2 || !errors.Is(steps[len(steps)-1].Err, tuf.ErrThreshold) {
				t.Errorf("reach: %v, %v", steps, err)
			}
			if err := r.Publish(ctx, map[string][]byte{"fw/a": []byte("by the old keys")}); !errors.Is(err, repository.ErrIncomplete) {
				t.Errorf("by the old keys: %v, want ErrIncomplete", err)
			}
			r, err = repository.Open(ctx, s, repository.Options{Keys: append([]verify.Signer{testkeys.Ed25519(100), next[tuf.RoleTimestamp][0], next[tuf.RoleSnapshot][0], next[tuf.RoleTargets][0]}, o.Signers[tuf.RoleRoot]...), Now: o.Now})
			if err == nil {
				err = heal(r)
			}
			if err != nil {
				t.Fatal(err)
			}
			if data, err := deviceOf(t, s, root, now).Find(ctx, "fw/a"); err != nil || string(data) != "a" {
				t.Errorf("%q, %v", data, err)
			}
			if steps, err := r.Reach(ctx, 1, 0); err != nil || steps[len(steps)-1].Role != tuf.RoleTargets || steps[len(steps)-1].Err != nil {
				t.Errorf("reach: %v, %v", steps, err)
			}
		})
	}
}
