// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package delta_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/firmament-dev/firmament/fetch/delta"
)

// What a patch declares is what applying it holds, in every frame, whatever zstd made of what is inserted.
func TestDeclaredMemory(t *testing.T) {
	letters := noise(1, 1<<20)
	for i, c := range letters {
		letters[i] = "abcdefgh ijk\n"[c%13]
	}
	bits := noise(2, 1<<20)
	for i := range bits {
		bits[i] &= 1
	}
	old := noise(3, 1<<20)
	for name, image := range map[string][]byte{"noise": noise(4, 1<<20), "letters": letters, "bits": bits, "turned": turnedNoise(), "copied": old} {
		patch, info := makePatch(t, old, image, 0)
		p := open(t, patch, info)
		var sink hashed
		sink.Write(nil)
		held := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before, most := held(), int64(0)
		err := p.Apply(t.Context(), bytes.NewReader(old), &sink, delta.ApplyOptions{BaseChecked: true, OnProgress: func(int64, int64) { most = max(most, held()-before) }})
		if err != nil {
			t.Fatal(err)
		}
		if most > info.Memory || most < info.Memory/4 {
			t.Errorf("%s: %d bytes held, %d declared", name, most, info.Memory)
		}
		if info.Memory > 1<<20 {
			t.Errorf("%s: %d bytes declared with the usual frames, want at most 1 MiB", name, info.Memory)
		}
	}
}
