// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/firmament-dev/firmament/internal/testkeys"
	"github.com/firmament-dev/firmament/manifest"
	"github.com/firmament-dev/firmament/manifest/processor"
	"github.com/firmament-dev/firmament/manifest/report"
	"github.com/firmament-dev/firmament/verify"
	"github.com/firmament-dev/firmament/verify/cose"
)

// shelf is a device whose second component keeps the envelope of a dependency.
type shelf struct{ envelope []byte }

func (s shelf) Component(manifest.ComponentID) (processor.Component, error) { return s, nil }
func (s shelf) Slot(context.Context) (uint64, error)                        { return 1, nil }
func (s shelf) Match(context.Context, verify.Digest, int64) error           { return manifest.ErrDigest }
func (s shelf) Open(context.Context) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(s.envelope)), int64(len(s.envelope)), nil
}

func signed(t *testing.T, m manifest.Manifest) ([]byte, *manifest.Verified) {
	t.Helper()
	e := manifest.Envelope{Manifest: m}
	digest, err := e.SignedBytes()
	if err != nil {
		t.Fatal(err)
	}
	block, err := cose.SignSign1(t.Context(), testkeys.Ed25519(1), cose.Ed25519, digest)
	if err != nil {
		t.Fatal(err)
	}
	e.Authentication = [][]byte{block}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	keys, policy := trust(t, 1)
	v, err := manifest.OpenBytes(b, keys, policy)
	if err != nil {
		t.Fatal(err)
	}
	return b, v
}

func index(i uint64) manifest.Command {
	return manifest.Command{Code: manifest.DirectiveSetComponentIndex, Index: &manifest.ComponentIndex{One: i}}
}

// What a dependency has done is told from its records, if it is at hand, and otherwise passed over.
func TestDependencies(t *testing.T) {
	soft := manifest.Command{Code: manifest.DirectiveTryEach, Sequences: []manifest.Sequence{
		{slot(0), do(manifest.ConditionComponentSlot)}, {slot(1), do(manifest.ConditionComponentSlot)}}}
	for _, tt := range []struct {
		name    string
		install manifest.Sequence
		ends    bool
		want    []string // of the dependency
	}{
		{"completed", manifest.Sequence{soft}, false, []string{"condition-component-slot failed", "condition-component-slot"}},
		{"ended there", manifest.Sequence{image("x"), do(manifest.ConditionImageMatch)}, true, []string{"condition-image-match ended"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			child := manifest.Manifest{SequenceNumber: 2, Components: []manifest.ComponentID{{{9}}}}
			child.Install.Sequence = tt.install
			envelope, dependency := signed(t, child)
			d := dependency.Digest()
			root := manifest.Manifest{SequenceNumber: 1, ReferenceURI: "https://example.com/m", Components: []manifest.ComponentID{{{0}}, {{1}}}, Dependencies: []manifest.Dependency{{Index: 1}}}
			root.Shared = manifest.Sequence{index(0), override(manifest.Parameters{VendorID: &vendor, ClassID: &class}), do(manifest.ConditionVendorID), do(manifest.ConditionClassID)}
			root.Install.Sequence = manifest.Sequence{index(1), override(manifest.Parameters{ImageDigest: &d, ImageSize: new(uint64(len(envelope)))}),
				do(manifest.ConditionDependencyIntegrity), do(manifest.DirectiveProcessDependency), index(0), slot(1), do(manifest.ConditionComponentSlot)}
			_, v := signed(t, root)
			keys, policy := trust(t, 1)
			var recorder report.Recorder
			p, err := processor.New(t.Context(), v, processor.Options{Platform: shelf{envelope}, Identity: processor.Identity{VendorID: vendor, ClassID: class},
				OnEvent: recorder.Event, Dependencies: &processor.Dependencies{
					Open:  func(b []byte) (*manifest.Verified, error) { return manifest.OpenBytes(b, keys, policy) },
					Floor: func(context.Context, manifest.ComponentID) (uint64, error) { return 0, nil }}})
			if err != nil {
				t.Fatal(err)
			}
			failure := p.Run(t.Context(), manifest.SectionInstall)
			if (failure != nil) != tt.ends {
				t.Fatal(failure)
			}
			r, err := recorder.Report(v, failure)
			if err != nil {
				t.Fatal(err)
			}
			at := func(walk []int) *manifest.Verified {
				if slices.Equal(walk, []int{1}) {
					return dependency
				}
				return nil
			}
			steps, err := report.ReconstructWith(v, at, r, manifest.SectionInstall)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range steps {
				if len(s.Manifest) > 0 && s.Command.IsCondition() {
					got = append(got, s.Command.String()+map[report.Outcome]string{report.Failed: " failed", report.Ended: " ended"}[s.Outcome])
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			last := steps[len(steps)-1]
			if tt.ends != (last.Command == manifest.DirectiveProcessDependency && last.Outcome == report.Ended) {
				t.Errorf("the last step is %+v", last)
			}
			var text bytes.Buffer
			if err := report.Print(&text, r, steps); err != nil || !bytes.Contains(text.Bytes(), []byte("dependency 1, install")) {
				t.Errorf("%v: %s", err, &text)
			}

			alone, err := report.Reconstruct(v, r, manifest.SectionInstall)
			if err != nil || len(alone) >= len(steps) {
				t.Errorf("%d steps without the dependency, %d with it, %v", len(alone), len(steps), err)
			}
			// A record of what the dependency cannot have run.
			for _, e := range r.Records {
				if e.Record != nil && len(e.Record.Manifest) > 0 {
					e.Record.Offset++
				}
			}
			if tt.ends {
				r.Result.Record.Offset++
			}
			if _, err := report.ReconstructWith(v, at, r, manifest.SectionInstall); !errors.Is(err, report.ErrMismatch) {
				t.Errorf("impossible record: %v", fmt.Sprint(err))
			}
		})
	}
}
