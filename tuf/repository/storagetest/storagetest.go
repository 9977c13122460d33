// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// Package storagetest is the contract test for a [repository.Storage]: every implementation must pass [Run].
//
//	func TestStorage(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) repository.Storage { return mystorage.New(t.TempDir()) })
//	}
//
// It cannot lose power for a storage that it does not know. What a call promises about that is to be shown otherwise; the
// directory of package repository is cut off at every operation by its own tests.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
)

// Run tests a storage. Open is called once for each subtest and returns an empty one.
func Run(t *testing.T, open func(t *testing.T) repository.Storage) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s repository.Storage)
	}{
		{"create, replace, delete", testLife}, {"conditions", testConditions}, {"bounds", testBounds}, {"names", testNames},
		{"list", testList}, {"failing source", testFailingSource}, {"large file", testLarge}, {"cancelled", testCancelled},
		{"one winner", testOneWinner}, {"readers see whole files", testWhole},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func put(t *testing.T, s repository.Storage, name, data string, old repository.Tag) repository.Tag {
	t.Helper()
	if err := s.Put(t.Context(), name, strings.NewReader(data), old); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	return holds(t, s, name, data)
}

func holds(t *testing.T, s repository.Storage, name, data string) repository.Tag {
	t.Helper()
	got, tag, err := s.Get(t.Context(), name, 1<<20)
	if err != nil || string(got) != data || tag == "" {
		t.Fatalf("get %s: %q, tag %q, %v; want %q", name, got, tag, err, data)
	}
	f, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	read, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil || string(read) != data {
		t.Fatalf("read %s: %q, %v; want %q", name, read, err, data)
	}
	return tag
}

func absent(t *testing.T, s repository.Storage, name string) {
	t.Helper()
	if _, tag, err := s.Get(t.Context(), name, 1<<20); !errors.Is(err, fs.ErrNotExist) || tag != "" {
		t.Errorf("get %s: tag %q, %v; want fs.ErrNotExist", name, tag, err)
	}
	if f, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open %s: %v, want fs.ErrNotExist", name, err)
		if err == nil {
			_ = f.Close()
		}
	}
}

func testLife(t *testing.T, s repository.Storage) {
	absent(t, s, "a")
	one := put(t, s, "a", "one", "")
	if again := holds(t, s, "a", "one"); again != one {
		t.Errorf("tag %q, then %q, of one content", one, again)
	}
	two := put(t, s, "a", "two", one)
	if two == one {
		t.Errorf("two contents have the tag %q", one)
	}
	put(t, s, "a", "", two)
	put(t, s, "deep/er/b", "b", "")
	for range 2 { // deleting what is not there is no error
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		absent(t, s, "a")
	}
	if err := s.Delete(t.Context(), "never/was"); err != nil {
		t.Error(err)
	}
	put(t, s, "a", "three", "")
	holds(t, s, "deep/er/b", "b")
}

func testConditions(t *testing.T, s repository.Storage) {
	refused := func(name string, old repository.Tag) {
		t.Helper()
		if err := s.Put(t.Context(), name, strings.NewReader("other"), old); !errors.Is(err, repository.ErrConflict) {
			t.Errorf("put %s if its tag is %q: %v, want ErrConflict", name, old, err)
		}
	}
	one := put(t, s, "a", "one", "")
	refused("a", "")
	refused("a", one+"x")
	refused("b", one)
	absent(t, s, "b")
	two := put(t, s, "a", "two", one)
	refused("a", one)
	holds(t, s, "a", "two")
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	refused("a", two)
	absent(t, s, "a")
}

func testBounds(t *testing.T, s repository.Storage) {
	put(t, s, "a", "12345", "")
	if data, _, err := s.Get(t.Context(), "a", 5); err != nil || string(data) != "12345" {
		t.Errorf("5 bytes, at most 5: %q, %v", data, err)
	}
	if data, tag, err := s.Get(t.Context(), "a", 4); !errors.Is(err, tuf.ErrLength) || len(data) != 0 || tag != "" {
		t.Errorf("5 bytes, at most 4: %q, tag %q, %v; want tuf.ErrLength", data, tag, err)
	}
}

func testNames(t *testing.T, s repository.Storage) {
	for _, name := range []string{"", ".", "..", "../a", "/a", "a/", "a//b", "a/../b", `a\b`, "a\x00", "a\n"} {
		if err := s.Put(t.Context(), name, strings.NewReader("x"), ""); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("put %q: %v, want tuf.ErrPath", name, err)
		}
		if _, _, err := s.Get(t.Context(), name, 1); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("get %q: %v, want tuf.ErrPath", name, err)
		}
		if f, err := s.Open(t.Context(), name); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("open %q: %v, want tuf.ErrPath", name, err)
			if err == nil {
				_ = f.Close()
			}
		}
		if err := s.Delete(t.Context(), name); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("delete %q: %v, want tuf.ErrPath", name, err)
		}
	}
	for _, name := range []string{"targets/odd names/#?%41 <&>.suit", "targets/ü/é", "targets/" + strings.Repeat("a", 200), "targets/.hidden"} {
		put(t, s, name, name, "")
	}
}

func testList(t *testing.T, s repository.Storage) {
	for _, name := range []string{"metadata/2.root.json", "metadata/10.root.json", "metadata/sub/x", "metadatas", "other/y"} {
		put(t, s, name, "x", "")
	}
	for dir, want := range map[string][]string{
		"metadata": {"metadata/10.root.json", "metadata/2.root.json", "metadata/sub/x"},
		"other":    {"other/y"}, "none": nil, "metadata/sub": {"metadata/sub/x"},
	} {
		if got, err := s.List(t.Context(), dir); err != nil || !slices.Equal(got, want) {
			t.Errorf("list %s: %q, %v, want %q", dir, got, err, want)
		}
	}
	if err := s.Delete(t.Context(), "other/y"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.List(t.Context(), "other"); err != nil || len(got) != 0 {
		t.Errorf("list other after its last file is gone: %q, %v", got, err)
	}
}

func testFailingSource(t *testing.T, s repository.Storage) {
	broken := errors.New("broken")
	source := func() io.Reader { return io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)) }
	if err := s.Put(t.Context(), "a", source(), ""); !errors.Is(err, broken) {
		t.Errorf("put from a broken source: %v", err)
	}
	absent(t, s, "a")
	tag := put(t, s, "a", "whole", "")
	if err := s.Put(t.Context(), "a", source(), tag); !errors.Is(err, broken) {
		t.Errorf("replace from a broken source: %v", err)
	}
	if holds(t, s, "a", "whole") != tag {
		t.Error("the tag has changed")
	}
	if names, err := s.List(t.Context(), "."+"a"); err != nil || len(names) != 0 {
		t.Errorf("list: %q, %v", names, err)
	}
}

func testLarge(t *testing.T, s repository.Storage) {
	data := bytes.Repeat([]byte("0123456789abcde\n"), 200_000)
	// A reader that is nothing else, and gives little at a time.
	if err := s.Put(t.Context(), "payloads/large", iotest.HalfReader(bytes.NewReader(data)), ""); err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(t.Context(), "payloads/large")
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
}

func testCancelled(t *testing.T, s repository.Storage) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "a", strings.NewReader("x"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	absent(t, s, "a")
	put(t, s, "a", "x", "")
	if _, _, err := s.Get(ctx, "a", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v", err)
	}
	if err := s.Delete(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("delete: %v", err)
	}
	holds(t, s, "a", "x")
}

// testOneWinner: of several that replace one content, exactly one does.
func testOneWinner(t *testing.T, s repository.Storage) {
	tag := repository.Tag("")
	for round := range 8 {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = s.Put(t.Context(), "a", strings.NewReader(fmt.Sprint(round, i)), tag) })
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won < 0:
				won = i
			case err == nil:
				t.Fatalf("round %d: %d and %d won", round, won, i)
			case !errors.Is(err, repository.ErrConflict):
				t.Fatalf("round %d: %v, want ErrConflict", round, err)
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody won", round)
		}
		tag = holds(t, s, "a", fmt.Sprint(round, won))
	}
}

// testWhole: whoever reads while a file is replaced reads one content or the other.
func testWhole(t *testing.T, s repository.Storage) {
	content := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 5000+i) }
	tag := put(t, s, "a", content(0), "")
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				data, _, err := s.Get(t.Context(), "a", 1<<20)
				if err != nil || len(data) < 5000 || string(data) != content(len(data)-5000) {
					t.Errorf("%d bytes of a mixture, or %v", len(data), err)
					return
				}
			}
		})
	}
	for i := range 60 {
		tag = put(t, s, "a", content(i+1), tag)
	}
	close(done)
	wg.Wait()
}
