// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

func openDir(t testing.TB, path string) simfs.FS {
	t.Helper()
	fsys, err := simfs.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

func openCounter(t *testing.T, fsys simfs.FS) *verify.FileCounter {
	t.Helper()
	c, err := verify.NewCounter(fsys, "counter")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantValue(t *testing.T, c verify.Counter, want uint64) {
	t.Helper()
	if got, err := c.Value(t.Context()); err != nil || got != want {
		t.Errorf("Value = %d, %v, want %d", got, err, want)
	}
}

func TestFileCounterOnlyGrows(t *testing.T) {
	fsys := openDir(t, t.TempDir())
	c := openCounter(t, fsys)
	wantValue(t, c, 0)
	for _, step := range []struct{ to, want uint64 }{
		{0, 0}, {7, 7}, {7, 7}, {6, 7}, {0, 7}, {8, 8}, {math.MaxUint64, math.MaxUint64}, {9, math.MaxUint64},
	} {
		if err := c.Raise(t.Context(), step.to); err != nil {
			t.Fatal(err)
		}
		wantValue(t, c, step.want)
		wantValue(t, openCounter(t, fsys), step.want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Value(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Value with a cancelled context: %v", err)
	}
	if err := c.Raise(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Raise with a cancelled context: %v", err)
	}
}

func TestFileCounterConcurrent(t *testing.T) {
	c := openCounter(t, openDir(t, t.TempDir()))
	var wg sync.WaitGroup
	for i := range uint64(8) {
		wg.Go(func() {
			if err := c.Raise(t.Context(), i+1); err != nil {
				t.Error(err)
			}
			if got, err := c.Value(t.Context()); err != nil || got < i+1 {
				t.Errorf("Value = %d, %v after Raise(%d)", got, err, i+1)
			}
		})
	}
	wg.Wait()
	wantValue(t, c, 8)
}

// One damaged file changes nothing; two are an error, never 0.
func TestBOO_08_DamagedCounter(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"bit":       func(p string) error { return flip(p) },
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"truncated": func(p string) error { return os.Truncate(p, 9) },
		"zeros":     func(p string) error { return os.WriteFile(p, make([]byte, 64), 0o600) },
	} {
		for first, second := range map[string]string{"counter.0": "counter.1", "counter.1": "counter.0"} {
			t.Run(name+" "+first, func(t *testing.T) {
				dir := t.TempDir()
				fsys := openDir(t, dir)
				c := openCounter(t, fsys)
				for _, to := range []uint64{41, 42} {
					if err := c.Raise(t.Context(), to); err != nil {
						t.Fatal(err)
					}
				}
				if err := damage(filepath.Join(dir, first)); err != nil {
					t.Fatal(err)
				}
				wantValue(t, openCounter(t, fsys), 42)
				if err := damage(filepath.Join(dir, second)); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Value(t.Context()); !errors.Is(err, verify.ErrCounter) {
					t.Errorf("Value with both copies damaged: %v", err)
				}
				if err := c.Raise(t.Context(), 43); !errors.Is(err, verify.ErrCounter) {
					t.Errorf("Raise with both copies damaged: %v", err)
				}
				if _, err := verify.NewCounter(fsys, "counter"); !errors.Is(err, verify.ErrCounter) {
					t.Errorf("NewCounter with both copies damaged: %v", err)
				}
			})
		}
	}
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)-1] ^= 1
	return os.WriteFile(path, data, 0o600)
}

func TestCounterOfAnotherShape(t *testing.T) {
	fsys := openDir(t, t.TempDir())
	r, err := durable.OpenRecord(fsys, "counter")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Store([]byte("4 bytes or so")); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.NewCounter(fsys, "counter"); !errors.Is(err, verify.ErrCounter) {
		t.Errorf("a record that is no counter: %v", err)
	}
	if _, err := verify.NewCounter(fsys, "no/such/directory"); !errors.Is(err, verify.ErrCounter) {
		t.Errorf("no directory: %v", err)
	}
}

func ExampleNewCounter() {
	dir, err := os.MkdirTemp("", "counter")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	storage, err := simfs.OpenDir(dir) // outside this module: install.OpenDir
	if err != nil {
		fmt.Println(err)
		return
	}
	defer storage.Close()
	counter, err := verify.NewCounter(storage, "accepted")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(counter.Raise(ctx, 5), counter.Raise(ctx, 3))
	fmt.Println(counter.Value(ctx))
	// Output:
	// <nil> <nil>
	// 5 <nil>
}

// A cut between the two copies is made good by raising to the same number again: then losing either copy does not lower it (S4).
func TestSTO_01_CounterSecondCopy(t *testing.T) {
	ctx := t.Context()
	for n := 1; ; n++ {
		cut := false
		for _, damaged := range []string{"counter.0", "counter.1"} {
			sim := simfs.NewSim(simfs.Options{})
			c, err := verify.NewCounter(sim.FS(), "counter")
			if err == nil {
				err = c.Raise(ctx, 3)
			}
			if err != nil {
				t.Fatal(err)
			}
			sim.KillAfter(n)
			cut = c.Raise(ctx, 9) != nil
			sim = sim.Restart()
			if c, err = verify.NewCounter(sim.FS(), "counter"); err == nil {
				err = c.Raise(ctx, 9)
			}
			if err != nil {
				t.Fatal(err)
			}
			f, err := sim.FS().OpenFile(damaged, os.O_RDWR)
			if err == nil {
				_, err = f.WriteAt([]byte("damage"), 20)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			if c, err = verify.NewCounter(sim.FS(), "counter"); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Value(ctx); got != 9 || err != nil {
				t.Errorf("killed at operation %d, %s damaged later: counter %d, %v; want 9", n, damaged, got, err)
			}
		}
		if !cut {
			return
		}
	}
}
