// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
)

func steps() []processor.Step {
	m := *digest("manifest")
	return []processor.Step{
		{Manifest: m, Kind: processor.StepBegin},
		{Manifest: m, Section: manifest.SectionInstall, Path: []int{0, 3, 1, 200, 3}, Kind: processor.StepDone},
		{Manifest: m, Section: manifest.SectionPayloadFetch, Shared: true, Path: []int{70000, 0}, Kind: processor.StepChoice, Value: 2},
		{Manifest: m, Section: manifest.SectionInstall, Path: []int{1, 1}, Kind: processor.StepMatch, Value: 1},
	}
}

func TestStepRoundTrip(t *testing.T) {
	for _, want := range steps() {
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got processor.Step
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameDigest); diff != "" {
			t.Error(diff)
		}
		for n := range b {
			if err := new(processor.Step).UnmarshalBinary(b[:n]); !errors.Is(err, processor.ErrJournal) {
				t.Fatalf("truncated to %d bytes: got %v", n, err)
			}
		}
		if err := got.UnmarshalBinary(append(b, 0)); !errors.Is(err, manifest.ErrMalformed) {
			t.Errorf("trailing byte: got %v", err)
		}
	}
	for name, s := range map[string]processor.Step{
		"no manifest":   {Kind: processor.StepDone},
		"no kind":       {Manifest: *digest("m")},
		"unknown kind":  {Manifest: *digest("m"), Kind: 6},
		"negative path": {Manifest: *digest("m"), Kind: processor.StepDone, Path: []int{-1}},
		"endless path":  {Manifest: *digest("m"), Kind: processor.StepDone, Path: make([]int, 1000)},
	} {
		if _, err := s.MarshalBinary(); !errors.Is(err, processor.ErrJournal) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What is read is written back as it was.
func FuzzStep(f *testing.F) {
	for _, s := range steps() {
		b, err := s.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s processor.Step
		if s.UnmarshalBinary(b) != nil {
			return
		}
		again, err := s.MarshalBinary()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("read %x, wrote %x, %v", b, again, err)
		}
	})
}
