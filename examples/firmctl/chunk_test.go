// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"
)

// What a store gives is counted as its files are, packed, and apart from what they unpack to.
func TestExtractCountsPackedBytes(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	image := noise(1, 1<<20)
	for i := range image {
		image[i] = "0123456789abcdef"[image[i]&15] // half a byte each
	}
	seed := append(bytes.Clone(image[:300_000]), noise(2, 100_000)...)
	put(t, in("image"), image)
	put(t, in("seed"), seed)
	firmctl(t, 0, "chunk", "make", in("image"), "--store", in("store"))
	stored, files := 0.0, 0.0
	err := filepath.WalkDir(in("store"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err == nil {
			stored, files = stored+float64(st.Size()), files+1
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := firmctl(t, 0, "chunk", "extract", in("image.caibx"), "--store", in("store"), "--out", in("whole"))
	wantFile(t, in("whole"), image)
	if size := float64(len(image)); out["bytes_fetched"] != stored || out["bytes_unpacked"] != size || out["size"] != size || out["requests"] != files || stored > 0.6*size {
		t.Errorf("%v, want %v bytes of %v files", out, stored, files)
	}
	out = firmctl(t, 0, "chunk", "extract", in("image.caibx"), "--store", in("store"), "--seed", in("seed"), "--out", in("rest"))
	wantFile(t, in("rest"), image)
	reused, unpacked, fetched := out["bytes_reused"].(float64), out["bytes_unpacked"].(float64), out["bytes_fetched"].(float64)
	if reused < 200_000 || reused+unpacked != float64(len(image)) || fetched > 0.6*unpacked || fetched < 0.4*unpacked {
		t.Errorf("with a seed: %v", out)
	}
}
