// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"slices"
	"testing"

	"github.com/firmament-dev/firmament/internal/durable"
	"github.com/firmament-dev/firmament/internal/simfs"
	"github.com/firmament-dev/firmament/verify"
)

// FuzzCheckpoint: what is read from a record is in order, within the resource, on chunk boundaries, and reads back the same
// after it was written.
func FuzzCheckpoint(f *testing.F) {
	const step = MinChunkSize
	res := &Resource{URI: "https://fw.example/image", Size: 20*step + 5, Digest: verify.Sum(verify.SHA256, []byte("x")),
		Chunks: &Chunks{Root: verify.Sum(verify.SHA256, []byte("y")), Size: step}}
	written := func(tb testing.TB, have spans, validator string) []byte {
		record, err := durable.OpenRecord(simfs.NewSim(simfs.Options{}).FS(), "fetch")
		if err != nil {
			tb.Fatal(err)
		}
		if err := (&checkpoint{record, res}).store(have, validator); err != nil {
			tb.Fatal(err)
		}
		b, _, err := record.Load()
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	for _, have := range []spans{nil, {{0, 4 * step}}, {{0, step}, {3 * step, 5 * step}, {20 * step, 20*step + 5}}} {
		f.Add(written(f, have, `"v1"`))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		have, validator, ok := parseCheckpoint(b, res)
		if !ok {
			return
		}
		last := int64(-1)
		for _, s := range have {
			if s.start <= last || s.end <= s.start || s.end > res.Size || s.start%step != 0 || s.end%step != 0 && s.end != res.Size {
				t.Fatalf("spans %v", have)
			}
			last = s.end
		}
		again, v, ok := parseCheckpoint(written(t, have, validator), res)
		if !ok || !slices.Equal(again, have) || v != validator {
			t.Errorf("%v %q became %v %q", have, validator, again, v)
		}
	})
}
