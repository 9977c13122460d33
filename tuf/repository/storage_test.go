// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package repository_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/tuf"
	"github.com/firmament-dev/firmament/tuf/repository"
	"github.com/firmament-dev/firmament/tuf/repository/storagetest"
)

func TestMemory(t *testing.T) {
	storagetest.Run(t, func(*testing.T) repository.Storage { return repository.NewMemory() })
}

func TestDir(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) repository.Storage {
		dir, err := repository.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = dir.Close() })
		return dir
	})
}

func TestSimulatedDir(t *testing.T) {
	storagetest.Run(t, func(*testing.T) repository.Storage { return repository.NewDir(simfs.NewSim(simfs.Options{}).FS()) })
}

// A directory's own files are nobody's, and what a cut left behind goes.
func TestDirItsOwnFiles(t *testing.T) {
	path := t.TempDir()
	dir, err := repository.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"lock", "metadata/1.root.json.0.tmp"} {
		if err := dir.Put(t.Context(), name, strings.NewReader("x"), ""); !errors.Is(err, tuf.ErrPath) {
			t.Errorf("put %s: %v, want tuf.ErrPath", name, err)
		}
	}
	if err := os.MkdirAll(path+"/metadata", 0o755); err != nil {
		t.Fatal(err)
	}
	stale := path + "/metadata/timestamp.json.3.tmp"
	if err := os.WriteFile(stale, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if names, err := dir.List(t.Context(), "metadata"); err != nil || len(names) != 0 {
		t.Errorf("list: %q, %v", names, err)
	}
	if err := dir.Put(t.Context(), "metadata/timestamp.json", strings.NewReader("x"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a cut left is still there: %v", err)
	}
}
