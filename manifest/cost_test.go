// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package manifest_test

import (
	"runtime"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/firmament-dev/firmament/manifest"
)

// Reading all of an envelope takes two allocations, the copy of the input and the result; the limit is five.
func TestM5_DecodeAllocations(t *testing.T) {
	in := vector(t, "manifest/example0")
	n := testing.AllocsPerRun(100, func() {
		if _, err := manifest.InspectBytes(in); err != nil {
			t.Fatal(err)
		}
	})
	if n > 5 {
		t.Errorf("%v allocations, want at most 5", n)
	}
	t.Logf("%v allocations", n)
}

// What is read costs memory in proportion to its size, the typed model up to MaxCommands of them, and refused input
// no more than accepted.
func TestM3_AllocationIsBounded(t *testing.T) {
	const (
		perByte   = 4        // the copy, and lists of identifiers
		constant  = 16 << 10 // errors, and what is there whatever the input
		perModel  = 1 << 10  // of each command, with its parameters
		perModelC = 64 << 10
	)
	// [20, {5: 0}] over and over, the shortest command that has parameters.
	commands := func(n int) []byte {
		var items [][]byte
		for range n {
			items = append(items, num(20), dict(num(5), num(0)))
		}
		return seal(t, goodParts().with(9, bstr(arr(items...))).manifest())
	}
	inputs := map[string][]byte{
		"commands":          commands(4000),
		"too many commands": commands(6000),
		"claims":            seal(t, goodParts().with(9, bstr([]byte{0x9a, 0xff, 0xff, 0xff, 0xff})).manifest()),
		"payload":           seal(t, goodParts().manifest(), tstr("#a"), bstr(make([]byte, 500<<10))),
	}
	for name, in := range inputs {
		var u *manifest.Unverified
		var err error
		got := allocated(func() { u, err = manifest.InspectBytes(in) })
		limit := uint64(perByte*len(in) + constant)
		if name == "payload" { // has its digest compared, by way of the model
			limit += perModelC
		}
		if got > limit {
			t.Errorf("%s: %d bytes to read %d, want at most %d (%v)", name, got, len(in), limit, err)
		}
		if err != nil {
			continue
		}
		if got, limit := allocated(func() { u.Envelope() }), uint64(manifest.MaxCommands*perModel+perByte*len(in)+perModelC); got > limit {
			t.Errorf("%s: %d bytes for the model of %d, want at most %d", name, got, len(in), limit)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Changing the options after an envelope has been opened changes nothing for it.
func TestOptionsAreCopied(t *testing.T) {
	o := manifest.Options{Registry: manifest.Registry{Commands: []manifest.CustomCommand{{Code: -256}}}}
	u, err := o.InspectBytes(seal(t, goodParts().with(9, bstr(arr(num(-256), num(0)))).manifest()))
	if err != nil {
		t.Fatal(err)
	}
	o.Registry.Commands[0].Code = -257
	e := u.Envelope()
	e.Options.Registry.Commands[0].Code = -258
	if got := u.Envelope().Manifest.Invoke[0].Code; got != -256 {
		t.Errorf("got %v", got)
	}
}

func BenchmarkInspect(b *testing.B) {
	in := vector(b, "manifest/example0")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.InspectBytes(in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEnvelope makes the typed model of what has been read.
func BenchmarkEnvelope(b *testing.B) {
	u, err := manifest.InspectBytes(vector(b, "manifest/example0"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		u.Envelope()
	}
}

// BenchmarkOuterMap is what a generic decoder takes for the outermost map alone: something
// to compare BenchmarkInspect with.
func BenchmarkOuterMap(b *testing.B) {
	in := vector(b, "manifest/example0")[2:]
	b.ReportAllocs()
	for b.Loop() {
		var outer map[any]any
		if err := cbor.Unmarshal(in, &outer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	in := vector(b, "manifest/example0")
	keys, policy := suitKeys(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := manifest.OpenBytes(in, keys, policy); err != nil {
			b.Fatal(err)
		}
	}
}
