// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package simfs_test

import (
	"os"
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/simfs"
)

func TestFiles(t *testing.T) {
	dir, err := simfs.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	below, err := simfs.Sub(dir, "below")
	if err != nil {
		t.Fatal(err)
	}
	for name, fsys := range map[string]simfs.FS{"directory": dir, "sub": below, "simulated": simfs.NewSim(simfs.Options{}).FS()} {
		t.Run(name, func(t *testing.T) {
			for _, dir := range []string{"d", "d/e", "d/f"} {
				if err := fsys.Mkdir(dir); err != nil {
					t.Fatal(err)
				}
			}
			f, err := fsys.OpenFile("d/a", os.O_RDWR|os.O_CREATE)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			files, dirs, err := simfs.Files(fsys, "d")
			if err != nil || !slices.Equal(files, []string{"a"}) || !slices.Equal(dirs, []string{"e", "f"}) {
				t.Errorf("files %q, directories %q, %v", files, dirs, err)
			}
			if _, _, err := simfs.Files(fsys, "d/none"); err == nil {
				t.Error("a directory that is not there is listed")
			}
		})
	}
}
