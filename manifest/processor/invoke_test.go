// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

package processor_test

import (
	"errors"
	"testing"

	"github.com/firmament-dev/firmament/manifest"
)

func TestInvokeNeedsMatch(t *testing.T) {
	v := func(invokeSequence ...manifest.Command) *manifest.Verified {
		m := release(1, shared(image("good"), uri("u")), nil, seq{index(0), imageMatch})
		m.Load = seq{index(0), fetch}
		m.Invoke = append(seq{index(0)}, invokeSequence...)
		return open(t, m)
	}
	for _, tt := range []struct {
		name     string
		v        *manifest.Verified
		sections []manifest.Section
		effects  int
		want     error
	}{
		{"validate first", v(invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 1, nil},
		{"match in place", v(imageMatch, invoke), []manifest.Section{manifest.SectionInvoke}, 1, nil},
		{"never", v(invoke), []manifest.Section{manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"another digest since", v(image("else"), invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"a fetch since", v(invoke), []manifest.Section{manifest.SectionValidate, manifest.SectionLoad, manifest.SectionInvoke}, 0, manifest.ErrCondition},
		{"failed since", v(image("else"), tryOrNil(seq{imageMatch}, seq{abort}), image("good"), invoke),
			[]manifest.Section{manifest.SectionValidate, manifest.SectionInvoke}, 0, manifest.ErrCondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDevice(1)
			d.components["00"].content = *digest("good")
			if err := start(t, tt.v, d, tt.sections...); !errors.Is(err, tt.want) || len(d.effects()) != tt.effects {
				t.Errorf("got %v after %v, want %v", err, d.log, tt.want)
			}
		})
	}
}

func TestInvokeFails(t *testing.T) {
	d := newDevice(1)
	d.components["00"].content = *digest("good")
	d.invokeErr = errors.New("no such kernel")
	m := release(1, shared(image("good")), nil, seq{index(0), imageMatch})
	m.Invoke = seq{index(0), tryOrNil(seq{invoke}, seq{abort})}
	if err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke); !errors.Is(err, d.invokeErr) {
		t.Errorf("got %v", err)
	}
}

func TestCMD_13_InvokeArguments(t *testing.T) {
	d := newDevice(1)
	d.components["00"].content = *digest("good")
	m := release(1, shared(image("good")), nil, seq{index(0), imageMatch})
	m.Invoke = seq{index(0), override(manifest.Parameters{InvokeArgs: []byte("a\x00;$(b)")}), invoke}
	if err := start(t, open(t, m), d, manifest.SectionValidate, manifest.SectionInvoke); err != nil {
		t.Fatal(err)
	}
	if got := d.effects()[0]; got != "invoke 00 a\x00;$(b)" {
		t.Errorf("got %q", got)
	}
}
