// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// An interrupted run for another version left a part that begins as the wanted image does, and has other bytes where that has zeros.
func TestStalePartUnderZeros(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	old := noise(1, 200_000)
	image := bytes.Join([][]byte{old, make([]byte, 400_000), noise(2, 100_000)}, nil)
	put(t, in("old"), old)
	put(t, in("new"), image)
	firmctl(t, 0, "chunk", "make", in("new"))
	url, _ := site(t, dir)
	for _, behind := range []int{300_000, 900_000, 9 << 20} { // the last is much enough to be a seed itself
		stale := append(bytes.Clone(old), noise(3, behind)...)
		put(t, in("extracted.part"), stale)
		firmctl(t, 0, "chunk", "extract", "--seed", in("new"), "--out", in("extracted"), in("new.caibx"))
		wantFile(t, in("extracted"), image)
		out := in(fmt.Sprint("fetched", behind))
		put(t, out+".part", stale)
		firmctl(t, 0, "fetch", "--url", url+"new", "--size", fmt.Sprint(len(image)), "--sha256", fmt.Sprintf("%x", sha256.Sum256(image)),
			"--index", in("new.caibx"), "--seed", in("old"), "--out", out)
		wantFile(t, out, image)
	}
}

// What passed through Write is not what counts: the file is read back, and gets its name only if it is right. Here the part is a seed itself, under an
// index with a chunk that is too long to be held: when it is read for the second time, its end has been written over.
func TestExtractReadsBack(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	long := noise(1, 200_000)
	put(t, in("out.part"), long)
	put(t, in("out.part.caibx"), caibx(long))
	put(t, in("new.caibx"), caibx(long[:100_000], long))
	var said bytes.Buffer
	code := run(t.Context(), []string{"chunk", "extract", "--seed", in("out.part"), "--out", in("out"), in("new.caibx")}, io.Discard, &said)
	t.Logf("%s", said.Bytes())
	if code == 0 {
		t.Error("exit 0 for a wrong file")
	}
	if _, err := os.Stat(in("out")); err == nil {
		t.Error("a wrong file got the name")
	}
	// What agreed is there for the next run.
	put(t, in("long"), long)
	put(t, in("long.caibx"), caibx(long))
	firmctl(t, 0, "chunk", "extract", "--seed", in("long"), "--out", in("out"), in("new.caibx"))
	wantFile(t, in("out"), append(bytes.Clone(long[:100_000]), long...))
}

// caibx is the index of an image that was cut into these chunks.
func caibx(chunks ...[]byte) []byte {
	const longest = 1 << 20
	le := binary.LittleEndian.AppendUint64
	b := le(nil, 48)
	b = le(b, 0x96824d9c7b129ff9)
	b = le(b, 0xb000000000000000) // SHA-512/256, a blob
	for _, n := range []uint64{16 << 10, 64 << 10, longest} {
		b = le(b, n)
	}
	b = le(b, ^uint64(0))
	b = le(b, 0xe75b9e112f17417d)
	var end uint64
	for _, c := range chunks {
		end += uint64(len(c))
		id := sha512.Sum512_256(c)
		b = append(le(b, end), id[:]...)
	}
	b = le(le(b, 0), 0)
	b = le(b, 48)
	b = le(b, uint64(16+40*len(chunks)+40))
	return le(b, 0x4b4f050e5549ecd1)
}
